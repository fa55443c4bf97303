import { requestPage } from './connection.js'
import { el, put, statusPill, time } from './dom.js'

const filters = ['all', 'pending', 'running', 'waiting', 'paused', 'completed', 'failed']

/** The runs, newest first, by state and page. */
export function runsSection({ signal }) {
  const list = el('div', { class: 'list' })
  const state = { filter: 'all', cursors: [''], next: null }
  const older = el('button', { onclick: () => turn([...state.cursors, state.next]) }, 'Older')
  const newer = el('button', { onclick: () => turn(state.cursors.slice(0, -1)) }, 'Newer')
  const pages = el('nav', { class: 'pages', 'aria-label': 'Pages of runs' }, newer, older)
  const filter = el(
    'select',
    {
      id: 'run-filter',
      onchange: () => {
        state.filter = filter.value
        void turn([''])
      },
    },
    ...filters.map(name => el('option', { value: name }, name)),
  )
  const node = el(
    'section',
    { class: 'card', 'aria-labelledby': 'runs-title' },
    el(
      'div',
      { class: 'head' },
      el('h2', { id: 'runs-title' }, 'Runs'),
      el('label', { for: 'run-filter', class: 'filter' }, 'Status', filter),
    ),
    list,
    pages,
  )
  const refresh = async () => {
    const query = new URLSearchParams({ limit: '20' })
    if (state.filter !== 'all') query.set('status', state.filter)
    if (state.cursors.at(-1)) query.set('after', state.cursors.at(-1))
    const page = await requestPage('GET', `/api/runs?${query}`, { signal })
    state.next = page.next
    newer.disabled = state.cursors.length === 1
    older.disabled = page.next === null
    pages.hidden = newer.disabled && older.disabled
    const focused = document.activeElement?.closest?.('li')?.dataset.run
    put(list, page.body.length === 0 ? emptyList(state.filter) : el('ul', { class: 'rows' }, ...page.body.map(runRow)))
    // The rows are new ones: whoever was on one with the keyboard stays there.
    if (focused) list.querySelector(`li[data-run="${CSS.escape(focused)}"] a`)?.focus()
  }
  const turn = cursors => {
    state.cursors = cursors
    return refresh()
  }
  return { node, refresh }
}

function emptyList(filter) {
  return el('p', { class: 'empty' }, filter === 'all' ? 'No runs yet. Start one from a plan.' : `No ${filter} runs.`)
}

function runRow(run) {
  const { completed_count: done, total_count: total, current_inference: current } = run.progress
  const active = !['pending', 'completed', 'failed'].includes(run.status)
  return el(
    'li',
    { class: 'row', 'data-run': run.run_id },
    el(
      'div',
      { class: 'grow' },
      el('h3', {}, el('a', { href: `/runs/${encodeURIComponent(run.run_id)}`, 'data-route': true }, run.plan_id)),
      el('p', { class: 'facts' }, el('span', { class: 'id' }, run.run_id), ' · ', time(run.created_at)),
      active && current ? el('p', { class: 'facts current' }, current) : null,
      active
        ? el('progress', { max: Math.max(total, 1), value: done, 'aria-label': `Progress of ${run.run_id}` })
        : null,
      run.error ? el('p', { class: 'facts why' }, run.error.message) : null,
    ),
    el(
      'div',
      { class: 'state' },
      statusPill(run.status),
      el('span', { class: 'facts' }, run.queue_position ? `place ${run.queue_position}` : `${done}/${total}`),
    ),
  )
}
