import type { Item } from './program.ts'
import type { RunState } from './state.ts'
import type { StuckReason } from './records.ts'

/** Whether a pending step may run now: what lies below it is completed and what it reads is there. */
export function isReady(state: RunState, item: Item): boolean {
  if (state.statuses[item.slot] !== 'pending') return false
  const first = state.counts[item.slot] === 0
  return stepsReady(state, item, first) && functionReady(state, item, first) && valuesReady(state, item, first)
}

/** Whether what lies below a step lets it run. */
export function stepsReady(state: RunState, { waits, slot }: Item, first: boolean): boolean {
  return waits.neverForSteps || (first && waits.laterForSteps) || state.supported(slot)
}

function functionReady(state: RunState, { waits, fn }: Item, first: boolean): boolean {
  if (fn < 0 || waits.neverForFunction || (first && waits.laterForFunction)) return true
  return state.conceptStatuses[fn] === 'complete'
}

function valuesReady(state: RunState, item: Item, first: boolean): boolean {
  const { waits } = item
  if (waits.neverForValues) return true
  if (first && waits.laterForValues) return !(waits.forLoopBase && state.waitForLoopBase) || hasLoopBase(state, item)
  return valuesComplete(state, item)
}

function valuesComplete(state: RunState, item: Item): boolean {
  const { conceptStatuses } = state
  for (const value of item.requiredValues) {
    if (conceptStatuses[value] !== 'complete') return false
  }
  if (item.anyOfValues === null) return true
  const complete = item.anyOfValues.filter(value => conceptStatuses[value] === 'complete')
  if (complete.length === item.anyOfValues.length) return true
  // A skipped source is complete without a value. The strict dialect takes it for one of the sources all the same.
  return complete.some(value => state.program.strict || state.references[value] !== null)
}

// A loop that starts before its collection is there would never get going again.
function hasLoopBase(state: RunState, item: Item): boolean {
  return item.values.every(value => state.conceptStatuses[value] === 'complete' || state.references[value] !== null)
}

/** Why a step that is not completed stands still. */
export function stuckReason(state: RunState, item: Item): StuckReason {
  if (state.statuses[item.slot] === 'failed') {
    return { type: 'failed', message: state.results[item.slot] ?? 'Error' }
  }
  const hollow = state.hollow.get(item.slot)
  if (hollow !== undefined) return { type: 'failed', message: `Error: ${hollow.error}` }
  const { conceptStatuses, program } = state
  const open = program.slots[item.slot]?.below.filter(slot => state.statuses[slot] !== 'completed') ?? []
  if (open.length > 0) {
    return { type: 'waits_for_steps', flowIndexes: open.map(slot => program.slots[slot]?.flowIndex ?? '') }
  }
  const missing = (item.fn >= 0 ? [item.fn, ...item.values] : item.values).filter(
    concept => conceptStatuses[concept] !== 'complete',
  )
  if (missing.length > 0) {
    return {
      type: 'waits_for_concepts',
      concepts: missing.map(concept => program.concepts[concept]?.entry.conceptName ?? ''),
    }
  }
  if (item.timing !== null) return { type: 'condition_undecided', concept: item.timing.condition }
  return { type: 'unfinished' }
}
