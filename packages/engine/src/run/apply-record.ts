import { unreachable } from '@slipway/kit/unreachable'
import { changedReference } from './growth.ts'
import { withModification } from './modify.ts'
import type {
  CommandRecord,
  ConceptChange,
  FilterChange,
  ItemChange,
  LoopChange,
  RunRecord,
  StepRecord,
} from './records.ts'
import { restoredState } from './snapshot.ts'
import type { RunState } from './state.ts'

/**
 * The state after a record, from the one before it, which is changed in place; a record that goes back to an earlier
 * moment gives a new one. Executions that are under way have no record yet and are not in it.
 */
export function applyRecord(state: RunState, record: RunRecord): RunState {
  const after = record.kind === 'step' ? applyStep(state, record) : applyCommand(state, record)
  if (record.kind === 'command') after.trail.set(record.scheduler, record.cycle)
  after.records = record.n
  return after
}

function applyStep(state: RunState, record: StepRecord): RunState {
  const slot = state.program.slotNumbers.get(record.flowIndex)
  applyShared(state, record, record.flowIndex)
  state.trail.note(record, state.program)
  if (slot === undefined) return state
  const { tracker } = state
  tracker.cycleCount = Math.max(tracker.cycleCount, record.cycle)
  tracker.totalExecutions++
  state.starts++
  state.executions[slot] = record.execution
  state.counts[slot] = (state.counts[slot] ?? 0) + 1
  state.details[slot] = record.detail
  state.setStatus(slot, record.status)
  if (record.truthMask !== null) {
    const concept = state.program.conceptNumbers.get(record.concept)
    if (concept !== undefined) state.truthMasks.set(concept, record.truthMask)
  }
  noteEnd(state, record, slot)
  return state
}

function noteEnd(state: RunState, record: StepRecord, slot: number): void {
  const { tracker, results, hollow } = state
  switch (record.status) {
    case 'failed':
      results[slot] = `Error: ${record.errors.at(-1)?.message ?? ''}`
      tracker.failedExecutions++
      return
    case 'pending':
      tracker.retryCount++
      return
    case 'completed': {
      results[slot] = 'Success'
      tracker.completionOrder.push(record.flowIndex)
      if (record.detail === 'skipped') tracker.skippedExecutions++
      else tracker.successfulExecutions++
      const [first] = record.errors
      if (record.hollow && first !== undefined) {
        hollow.set(slot, { error: `${first.name}: ${first.message}`, execution: record.execution })
      }
      return
    }
    default:
      unreachable(record.status)
  }
}

// A live run does the same, so that both lead to the same state.
function applyCommand(state: RunState, record: CommandRecord): RunState {
  if (record.snapshot !== null) return applyRestore(state, record, record.snapshot)
  if (record.modification !== null) {
    state.modifications = withModification(state.modifications, record.modification)
  }
  applyShared(state, record)
  noteGiven(state, record.given)
  noteMasks(state, record.truthMasks)
  countGivenUp(state, record)
  state.tracker.cycleCount = record.cycle
  state.cyclesFrom = record.cyclesFrom
  return state
}

function applyRestore(
  state: RunState,
  record: CommandRecord,
  snapshot: NonNullable<CommandRecord['snapshot']>,
): RunState {
  countGivenUp(state, record)
  const restored = restoredState(state, snapshot)
  restored.cyclesFrom = record.cyclesFrom
  return restored
}

// They have no record of their own, but their numbers are taken.
function countGivenUp(state: RunState, { givenUp }: CommandRecord): void {
  for (const { flowIndex, execution } of givenUp) {
    const slot = state.program.slotNumbers.get(flowIndex)
    if (slot !== undefined) state.executions[slot] = execution
    state.tracker.totalExecutions++
    state.starts++
  }
}

function noteGiven({ program, given, references }: RunState, names: readonly string[]): void {
  for (const name of names) {
    const concept = program.conceptNumbers.get(name)
    if (concept !== undefined) given[concept] = references[concept] ?? null
  }
}

function noteMasks({ program, truthMasks }: RunState, masks: CommandRecord['truthMasks']): void {
  for (const { concept: name, mask } of masks) {
    const concept = program.conceptNumbers.get(name)
    if (concept === undefined) continue
    if (mask === null) truthMasks.delete(concept)
    else truthMasks.set(concept, mask)
  }
}

/** What a command changes in a state. */
export type Delta = Pick<CommandRecord, 'changes' | 'given' | 'items' | 'clearedLoops' | 'filters' | 'truthMasks'>

export function applyDelta(state: RunState, delta: Partial<Delta>): void {
  const { changes = [], items = [], clearedLoops = [], filters = [] } = delta
  applyShared(state, { changes, items, clearedLoops, filters, loops: [], late: [] })
  noteGiven(state, delta.given ?? [])
  noteMasks(state, delta.truthMasks ?? [])
}

type Shared = Pick<CommandRecord, 'changes' | 'items' | 'clearedLoops' | 'loops' | 'filters' | 'late'>

/** `by` is the step that skipped others, where one did. */
function applyShared(state: RunState, record: Shared, by = ''): void {
  for (const change of record.changes) applyChange(state, change)
  for (const item of record.items) applyItem(state, item, by)
  for (const key of record.clearedLoops) state.loops.delete(key)
  for (const loop of record.loops) applyLoop(state, loop)
  for (const filter of record.filters) applyFilter(state, filter)
  for (const name of record.late) {
    const index = state.program.itemNumbers.get(name)
    if (index !== undefined) state.late.add(index)
  }
}

function applyChange(state: RunState, change: ConceptChange): void {
  const concept = state.program.conceptNumbers.get(change.name)
  if (concept === undefined) return
  state.references[concept] = changedReference(state.references[concept] ?? null, change)
  if (change.status !== undefined) state.conceptStatuses[concept] = change.status
}

function applyItem(state: RunState, change: ItemChange, by: string): void {
  const slot = state.program.slotNumbers.get(change.flowIndex)
  if (slot === undefined) return
  state.setStatus(slot, change.status)
  switch (change.reason) {
    case 'skipped':
      state.details[slot] = 'skipped'
      state.results[slot] = `Skipped due to parent ${by}`
      state.tracker.skippedExecutions++
      state.tracker.completionOrder.push(change.flowIndex)
      return
    case 'reset':
      state.counts[slot] = 0
      if (state.parallel) state.details[slot] = null
      for (const item of state.program.slots[slot]?.items ?? []) countReset(state, item.concept)
      return
    case 'rerun':
      state.counts[slot] = 0
      state.details[slot] = null
      state.results[slot] = null
      forgetHollow(state, slot, change)
      return
    case 'overridden':
      state.details[slot] = change.detail ?? 'success'
      state.results[slot] = 'Overridden'
      forgetHollow(state, slot, change)
      return
    default:
      unreachable(change.reason)
  }
}

/** What a loop counts for the concepts of its body, whether it clears them or they are invariant. */
export function countReset({ program, conceptResets }: RunState, concept: number): void {
  if (program.concepts[concept]?.entry.isGround === false) conceptResets[concept] = (conceptResets[concept] ?? 0) + 1
}

// In a loop that goes on, what happened in an earlier iteration stays as it was.
function forgetHollow({ hollow, executions }: RunState, slot: number, { inLoop }: ItemChange): void {
  if (inLoop !== true || hollow.get(slot)?.execution === executions[slot]) hollow.delete(slot)
}

function applyLoop({ loops }: RunState, { key, kept, added }: LoopChange): void {
  loops.set(key, [...(loops.get(key) ?? []).slice(0, kept), ...added])
}

function applyFilter({ filters }: RunState, { flowIndex, taken, added }: FilterChange): void {
  const waiting = [...(filters.get(flowIndex) ?? []).slice(taken), ...added]
  if (waiting.length > 0) filters.set(flowIndex, waiting)
  else filters.delete(flowIndex)
}
