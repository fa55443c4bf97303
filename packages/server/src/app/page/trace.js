import { request } from './connection.js'
import { duration, el, put, readable, showProblem } from './dom.js'

const pageSize = 100

/** Every call of a run, read when it is opened, page by page. */
export function traceCard(path, signal) {
  const list = el('ol', { class: 'calls' })
  const problem = el('div', { class: 'problem', role: 'alert', hidden: true })
  const more = el('button', { hidden: true, onclick: () => void load() }, 'More calls')
  const again = el('button', { onclick: () => void reload() }, 'Read again')
  let after = 0
  const load = async () => {
    problem.hidden = true
    try {
      const calls = await request('GET', `${path}/trace?after=${after}&limit=${pageSize}`, { signal })
      list.append(...calls.map(callRow))
      after = calls.at(-1)?.n ?? after
      more.hidden = calls.length < pageSize
      if (after === 0) put(list, el('li', { class: 'empty' }, 'No calls so far.'))
    } catch (error) {
      if (!signal.aborted) showProblem(problem, error)
    }
  }
  const reload = () => {
    after = 0
    put(list)
    return load()
  }
  const node = el(
    'details',
    { class: 'card', ontoggle: () => node.open && void reload() },
    el('summary', {}, el('h2', {}, 'Calls'), el('span', { class: 'facts' }, 'prompts, answers, scripts, files')),
    list,
    problem,
    el('div', { class: 'actions' }, again, more),
  )
  return node
}

function callRow(call) {
  const facts = [
    call.flow_index,
    call.concept_name,
    call.model,
    duration(call.duration_ms),
    call.input_tokens === null ? null : `${call.input_tokens} + ${call.output_tokens ?? 0} tokens`,
    call.attempts > 1 ? `${call.attempts} attempts` : null,
  ]
  const body = el('div', { class: 'call' })
  const node = el(
    'details',
    {
      ontoggle: () => {
        if (!node.open || body.childElementCount > 0) return
        put(
          body,
          el('h4', {}, 'In'),
          readable(call.inputs),
          el('h4', {}, call.error ? 'Error' : 'Out'),
          call.error
            ? el('div', { class: 'text why' }, `${call.error.name}: ${call.error.message}`)
            : readable(call.output),
        )
      },
    },
    el(
      'summary',
      {},
      el('span', { class: 'dot' }),
      el('strong', {}, call.type),
      el('span', { class: 'facts' }, facts.filter(Boolean).join(' · ')),
    ),
    body,
  )
  return el('li', { 'data-status': call.error ? 'failed' : 'completed' }, node)
}
