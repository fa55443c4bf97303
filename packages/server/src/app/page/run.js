import { follow, request } from './connection.js'
import { announce, askInDialog, duration, el, put, readable, showProblem, statusPill, byteCount } from './dom.js'
import { eventLog } from './event-log.js'
import { questionsCard } from './questions.js'
import { stepList } from './steps.js'
import { traceCard } from './trace.js'

/** One run: its steps as they happen, what it asks, what came out, and every call it made. */
export async function showRun({ main, setConnection }, runId, signal) {
  const path = `/api/runs/${encodeURIComponent(runId)}`
  let run = await request('GET', path, { signal })
  document.title = `${run.plan_id} · Slipway`
  const names = await stepNames(run, signal)
  if (signal.aborted) return
  const steps = stepList(names)
  const head = runHead({ path, signal, onChanged: () => void reload() })
  const questions = questionsCard(runId, signal)
  const log = eventLog()
  const outcome = el('section', { class: 'card', 'aria-labelledby': 'result-title', hidden: true })
  put(
    main,
    el('p', { class: 'back' }, el('a', { href: '/', 'data-route': true }, '← Plans and runs')),
    head.node,
    questions.node,
    el(
      'div',
      { class: 'columns run' },
      el(
        'section',
        { class: 'card', 'aria-labelledby': 'steps-title' },
        el('h2', { id: 'steps-title' }, 'Steps'),
        steps.node,
      ),
      el('div', { class: 'stack' }, outcome, log.node, traceCard(path, signal)),
    ),
  )
  const update = next => {
    run = next
    head.update(run, steps.counts())
    if (isOver(run)) void showOutcome(outcome, { run, path, signal })
  }
  const reload = async () => {
    const fresh = await request('GET', path, { signal })
    if (signal.aborted) return
    steps.setStatuses(fresh.node_statuses)
    update(fresh)
  }
  steps.setStatuses(run.node_statuses)
  update(run)
  const ticking = setInterval(() => !isOver(run) && head.tick(run), 1000)
  void questions.refresh()
  const stop = follow(`/ws/runs/${encodeURIComponent(runId)}`, {
    after: 0,
    numberOf: event => event.seq,
    probe: () => request('GET', path, { signal }),
    onState: state => !signal.aborted && setConnection(isOver(run) && state !== 'connected' ? 'ended' : state),
    onEvent(event) {
      if (signal.aborted) return
      log.add(event)
      steps.apply(event)
      if (event.event.startsWith('user_input:')) void questions.refresh()
      if (event.event === 'cycle:started') run = { ...run, progress: { ...run.progress, cycle_count: event.cycle } }
      if (event.event === 'run:started' && run.status === 'pending')
        run = { ...run, status: 'running', started_at: new Date(event.ts).toISOString() }
      const status = statusAfter[event.event]
      if (status) {
        run = { ...run, status }
        // What it waits for is announced with the question.
        if (status !== 'waiting') announce(`The run is ${status}.`)
      }
      if (!isOver(run)) head.update(run, steps.counts())
      if (event.event !== 'run:completed' && event.event !== 'run:failed') return
      // It may have gone on since: the server ends the stream behind the last event.
      announce(`The run ${event.event === 'run:completed' ? 'is completed' : 'has failed'}.`)
      void questions.refresh()
      void reload()
    },
  })
  signal.addEventListener('abort', () => {
    stop()
    clearInterval(ticking)
  })
}

const statusAfter = {
  'execution:paused': 'paused',
  'execution:waiting': 'waiting',
  'execution:resumed': 'running',
}

function isOver(run) {
  return run.status === 'completed' || run.status === 'failed'
}

/** Flow index to concept name, for the steps that have not run yet. Without the plan (undeployed) they stay nameless. */
async function stepNames(run, signal) {
  try {
    const version = encodeURIComponent(run.plan_version)
    const graph = await request('GET', `/api/plans/${encodeURIComponent(run.plan_id)}/graph?version=${version}`, {
      signal,
    })
    return new Map(graph.nodes.filter(node => node.node_type === 'value').map(node => [node.flow_index, node.label]))
  } catch (error) {
    if (signal.aborted) throw error
    return new Map()
  }
}

function runHead({ path, signal, onChanged }) {
  const title = el('h1', {})
  const state = el('span', {})
  const facts = el('p', { class: 'facts' })
  const bar = el('progress', { max: 1, value: 0, 'aria-label': 'Steps done' })
  const counts = el('p', { class: 'facts counts' })
  const why = el('div', { class: 'problem', hidden: true })
  const stop = el(
    'button',
    { class: 'danger', hidden: true, onclick: () => void confirmStop({ path, signal, onStopped: onChanged }) },
    'Stop',
  )
  const refused = el('div', { class: 'problem', hidden: true })
  const pause = el('button', { hidden: true, onclick: () => void pauseOrResume() }, 'Pause')
  const pauseOrResume = async () => {
    pause.disabled = true
    refused.hidden = true
    try {
      await request('POST', `${path}/${pause.textContent === 'Pause' ? 'pause' : 'resume'}`, { signal })
    } catch (error) {
      if (!signal.aborted) showProblem(refused, error)
    }
    onChanged()
  }
  const node = el(
    'header',
    { class: 'card run-head' },
    el('div', { class: 'head' }, title, state, pause, stop),
    facts,
    bar,
    counts,
    refused,
    why,
  )
  const tick = run => {
    const since = run.started_at ? Date.parse(run.started_at) : null
    const until = run.completed_at ? Date.parse(run.completed_at) : Date.now()
    const parts = [
      run.run_id,
      `version ${run.plan_version}`,
      `${run.mode}, agent ${run.agent}`,
      since === null ? null : duration(Math.max(0, until - since)),
      `cycle ${run.progress.cycle_count} of at most ${run.max_cycles}`,
    ]
    put(facts, parts.filter(Boolean).join(' · '))
  }
  const update = (run, steps) => {
    put(title, run.plan_id)
    put(state, statusPill(run.status))
    tick(run)
    const total = Math.max(run.progress.total_count, steps.total)
    bar.max = Math.max(total, 1)
    bar.value = steps.completed + steps.skipped + steps.failed
    put(
      counts,
      `${standing(run)}${steps.completed + steps.skipped} of ${total} steps done${steps.skipped > 0 ? ` (${steps.skipped} skipped)` : ''} · ${steps.running} running · ${steps.failed} failed`,
    )
    pause.hidden = !['pending', 'running', 'waiting', 'paused'].includes(run.status)
    pause.disabled = false
    put(pause, run.status === 'paused' ? 'Resume' : 'Pause')
    stop.hidden = isOver(run)
    stop.disabled = run.status === 'stopping'
    why.hidden = !run.error
    if (run.error) put(why, ...errorText(run.error))
  }
  return { node, update, tick }
}

function standing(run) {
  if (run.status === 'pending' && run.queue_position) return `waiting in place ${run.queue_position} · `
  if (run.status === 'waiting') return 'waiting for an answer · '
  if (run.status !== 'paused' || !run.held) return ''
  return run.held.by === 'run_to'
    ? `held behind step ${run.held.flow_index} · `
    : `held before step ${run.held.flow_index} · `
}

function errorText(error) {
  return [
    el('strong', {}, error.message),
    el('code', { class: 'code' }, error.reason),
    error.stuck.length === 0
      ? null
      : el(
          'ul',
          { class: 'problems' },
          ...error.stuck.map(step =>
            el('li', {}, el('span', { class: 'where' }, step.flow_index), ` ${step.concept_name}: ${step.why}`),
          ),
        ),
  ]
}

async function confirmStop({ path, signal, onStopped }) {
  const stopped = await askInDialog({
    title: 'Stop this run?',
    body: [el('p', {}, 'The calls under way are cancelled and the run ends as failed. It cannot go on after that.')],
    submitLabel: 'Stop the run',
    danger: true,
    submit: () => request('POST', `${path}/stop`, { body: {}, signal }),
  })
  if (stopped) onStopped()
}

async function showOutcome(place, { run, path, signal }) {
  if (!place.hidden) return
  place.hidden = false
  put(place, el('h2', { id: 'result-title' }, 'Result'))
  try {
    const result = await request('GET', `${path}/result`, { signal })
    place.append(
      ...(result.final_concepts.length === 0 ? [el('p', { class: 'empty' }, 'The plan has no final values.')] : []),
      ...result.final_concepts.map(finalConcept),
      ...(result.files.length === 0 ? [] : [fileList(result.files)]),
    )
  } catch (error) {
    if (signal.aborted) return
    const problem = el('div', { class: 'problem' })
    showProblem(problem, error)
    place.append(
      run.status === 'completed' ? problem : el('p', { class: 'empty' }, 'The run ended without final values.'),
    )
  }
}

function finalConcept(concept) {
  return el(
    'article',
    { class: 'value' },
    el('h3', {}, concept.name),
    concept.has_value ? readable(concept.value) : el('p', { class: 'none' }, 'no value'),
  )
}

function fileList(files) {
  return el(
    'article',
    { class: 'value' },
    el('h3', {}, 'Files'),
    el(
      'ul',
      {},
      ...files.map(file => el('li', {}, file.path, ' ', el('span', { class: 'facts' }, byteCount(file.size_bytes)))),
    ),
  )
}
