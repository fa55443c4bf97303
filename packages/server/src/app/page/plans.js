import { request, requestPage, upload } from './connection.js'
import { announce, askInDialog, byteCount, el, problemList, put, showProblem } from './dom.js'
import { startRunDialog } from './start.js'

/** The deployed plans, with a field to deploy another. */
export function plansSection({ navigate, signal }) {
  const list = el('div', { class: 'list' })
  const node = el(
    'section',
    { class: 'card', 'aria-labelledby': 'plans-title' },
    el('h2', { id: 'plans-title' }, 'Plans'),
    deployField({ refresh: () => refresh(), signal }),
    list,
  )
  const refresh = async () => {
    const plans = []
    for (let next = ''; next !== null;) {
      const page = await requestPage('GET', `/api/plans?limit=100${next && `&after=${encodeURIComponent(next)}`}`, {
        signal,
      })
      plans.push(...page.body)
      next = page.next
    }
    put(
      list,
      plans.length === 0
        ? el(
            'p',
            { class: 'empty' },
            'No plans are deployed yet. Drop the zip of a plan package above, or deploy a folder with ',
            el('code', {}, 'slipway deploy <folder>'),
            '.',
          )
        : el('ul', { class: 'rows' }, ...plans.map(plan => planRow(plan, { navigate, refresh, signal }))),
    )
  }
  return { node, refresh }
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function planRow(plan, { navigate, refresh, signal }) {
  const facts = [
    `version ${plan.version}`,
    count(plan.step_count, 'step'),
    count(Object.keys(plan.inputs).length, 'input'),
  ].join(' · ')
  return el(
    'li',
    { class: 'row' },
    el(
      'div',
      { class: 'grow' },
      el('h3', {}, plan.name),
      plan.description ? el('p', { class: 'description' }, plan.description) : null,
      el('p', { class: 'facts' }, facts),
    ),
    el(
      'div',
      { class: 'buttons' },
      el(
        'button',
        { class: 'quiet', onclick: () => undeploy(plan, { refresh, signal }), 'aria-label': `Undeploy ${plan.name}` },
        'Undeploy',
      ),
      el(
        'button',
        {
          class: 'primary',
          'aria-label': `Start a run of ${plan.name}`,
          onclick: () => startRunDialog(plan, { navigate, signal }),
        },
        'Start a run',
      ),
    ),
  )
}

async function undeploy(plan, { refresh, signal }) {
  const gone = await askInDialog({
    title: `Undeploy ${plan.name}?`,
    body: [
      el(
        'p',
        {},
        'New runs cannot be started then. Its finished runs stay. It can be deployed again from its package.',
      ),
    ],
    submitLabel: 'Undeploy',
    danger: true,
    submit: () => request('DELETE', `/api/plans/${encodeURIComponent(plan.id)}`, { signal }),
  })
  if (!gone) return
  announce(`${plan.name} is undeployed.`)
  await refresh()
}

function deployField({ refresh, signal }) {
  const file = el('input', { type: 'file', id: 'package', accept: '.zip,application/zip', class: 'unseen' })
  const outcome = el('div', { class: 'outcome', role: 'status', hidden: true })
  const bar = el('progress', { max: 1, value: 0, hidden: true, 'aria-label': 'Upload' })
  const zone = el(
    'div',
    { class: 'drop' },
    file,
    el('label', { for: 'package', class: 'button' }, 'Choose a zip'),
    el('p', {}, 'or drop a plan package here to deploy it'),
    bar,
    outcome,
  )
  const deploy = async (chosen, replace = false) => {
    outcome.hidden = true
    bar.hidden = false
    bar.value = 0
    const form = new FormData()
    form.set('plan', chosen, chosen.name)
    try {
      const reply = await upload(`/api/plans/deploy${replace ? '?replace=true' : ''}`, form, part => {
        bar.value = part
      })
      showDeployed(outcome, reply)
      await refresh()
    } catch (error) {
      if (signal.aborted) return
      outcome.className = 'outcome problem'
      showProblem(outcome, error)
      if (error.code === 'plan.conflict')
        outcome.append(
          el(
            'button',
            { type: 'button', onclick: () => void deploy(chosen, true) },
            `Replace it with ${chosen.name} (${byteCount(chosen.size)})`,
          ),
        )
    } finally {
      bar.hidden = true
      file.value = ''
    }
  }
  file.addEventListener('change', () => file.files[0] && void deploy(file.files[0]))
  for (const kind of ['dragenter', 'dragover'])
    zone.addEventListener(kind, () => {
      zone.dataset.over = 'true'
    })
  for (const kind of ['dragleave', 'drop']) zone.addEventListener(kind, () => delete zone.dataset.over)
  zone.addEventListener('drop', event => {
    event.preventDefault()
    const dropped = event.dataTransfer.files[0]
    if (dropped) void deploy(dropped)
  })
  return zone
}

function showDeployed(outcome, reply) {
  const said = reply.status === 'unchanged' ? 'was deployed already' : 'is deployed'
  outcome.className = 'outcome good'
  put(
    outcome,
    el('strong', {}, `${reply.plan_name} ${reply.version} ${said}.`),
    reply.problems.length > 0 ? el('p', {}, `${reply.problems.length} warnings:`) : null,
    reply.problems.length > 0 ? problemList(reply.problems) : null,
  )
  outcome.hidden = false
}
