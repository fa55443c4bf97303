import { duration, el, put } from './dom.js'

/** The steps of a run in the order of their flow index, each changed in place as events come. */
export function stepList(names) {
  const rows = new Map()
  const node = el('ol', { class: 'steps' })
  const touched = new Set()
  let drawing = 0

  const rowOf = flowIndex => {
    const known = rows.get(flowIndex)
    if (known) return known
    const row = newRow(flowIndex, names.get(flowIndex) ?? '')
    rows.set(flowIndex, row)
    const after = [...rows.values()].filter(other => byFlowIndex(other.flowIndex, flowIndex) > 0)
    const next = after.sort((a, b) => byFlowIndex(a.flowIndex, b.flowIndex))[0]
    node.insertBefore(row.node, next?.node ?? null)
    return row
  }
  const redraw = row => {
    touched.add(row)
    // Many events may come between two frames; each row is drawn once.
    drawing ||= requestAnimationFrame(() => {
      drawing = 0
      for (const changed of touched) draw(changed)
      touched.clear()
    })
  }
  const setStatuses = statuses => {
    for (const [flowIndex, status] of Object.entries(statuses ?? {})) {
      const row = rowOf(flowIndex)
      row.status = status === 'in_progress' ? 'running' : status
      redraw(row)
    }
  }
  const apply = event => {
    if (event.event === 'node:statuses') return setStatuses(event.statuses)
    if (event.event === 'inference:error' && rows.has(event.flow_index)) {
      // The step went on: only a part of its values is missing.
      const row = rows.get(event.flow_index)
      row.error = textOf(event.error)
      return redraw(row)
    }
    const status = statusAfter[event.event]
    if (!status || !event.flow_index) return
    const row = rowOf(event.flow_index)
    row.status = status
    if (event.concept_name) row.name = event.concept_name
    if (status === 'running') row.startedAt = event.ts
    else if (row.startedAt !== null) row.durationMs = event.ts - row.startedAt
    if (status === 'running') row.times += 1
    if (status === 'running') row.error = null
    if (status === 'failed') row.error = textOf(event.error)
    redraw(row)
  }
  const counts = () => {
    const found = { pending: 0, running: 0, completed: 0, failed: 0, skipped: 0, total: rows.size }
    for (const row of rows.values()) if (row.status in found) found[row.status] += 1
    return found
  }
  return { node, setStatuses, apply, counts }
}

const statusAfter = {
  'inference:started': 'running',
  'inference:completed': 'completed',
  'inference:skipped': 'skipped',
  'inference:failed': 'failed',
  'inference:pending': 'pending',
}

function textOf(error) {
  return typeof error === 'string' ? error : (error?.message ?? null)
}

function newRow(flowIndex, name) {
  const parts = {
    status: el('span', { class: 'unseen' }),
    name: el('span', { class: 'name' }),
    time: el('span', { class: 'time' }),
    error: el('p', { class: 'why', hidden: true }),
  }
  const node = el(
    'li',
    { 'data-status': 'pending' },
    el('span', { class: 'dot' }),
    el('span', { class: 'index' }, flowIndex),
    parts.name,
    parts.status,
    parts.time,
    parts.error,
  )
  const depth = Math.min(flowIndex.split('.').length - 1, 6)
  node.style.setProperty('--depth', String(depth))
  return { flowIndex, name, status: 'pending', startedAt: null, durationMs: null, times: 0, error: null, node, parts }
}

function draw(row) {
  const { node, parts } = row
  node.dataset.status = row.status
  put(parts.status, row.status)
  put(parts.name, row.name)
  const took = row.status === 'running' || row.durationMs === null ? '' : duration(row.durationMs)
  put(parts.time, row.times > 1 ? `${row.times}× ${took}` : took)
  parts.error.hidden = !row.error
  if (row.error) put(parts.error, row.error)
}

/** `1.2.10` behind `1.2.9`. */
function byFlowIndex(a, b) {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)]
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? -1) - (right[at] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}
