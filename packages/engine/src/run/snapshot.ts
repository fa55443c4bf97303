import type { Reference } from '#reference/reference'
import { openGate, type GateState } from './gate.ts'
import type { Modification } from './modify.ts'
import type { Program } from './program.ts'
import type { ConceptStatus, Detail, ItemStatus, Tracker, TruthMask } from './records.ts'
import type { SchedulerState } from './scheduler-state.ts'
import { RunState, type Hollow, type LoopIteration, type PendingFilter } from './state.ts'

export interface SnapshotConcept {
  readonly name: string
  readonly reference: Reference | null
  readonly status: ConceptStatus
  readonly resets: number
  /** What the run was given for it where that is not what the plan says; absent otherwise. */
  readonly given?: Reference
}

export interface SnapshotItem {
  readonly flowIndex: string
  readonly status: ItemStatus
  readonly detail: Detail | null
  readonly result: string | null
  readonly count: number
  readonly executions: number
  readonly hollow: Hollow | null
}

/**
 * The whole state of a run at a moment at which no step was active. It names concepts and steps instead of numbering
 * them, so it can be taken over by a run of a changed plan. References are those of the run itself: values are never
 * changed, so they need no copy.
 */
export interface Snapshot {
  /** Numbers of the last record, event and start of an execution before it. */
  readonly records: number
  readonly emitted: number
  readonly starts: number
  readonly cyclesFrom: number
  readonly tracker: Tracker
  readonly concepts: readonly SnapshotConcept[]
  readonly items: readonly SnapshotItem[]
  readonly truthMasks: readonly { readonly concept: string; readonly mask: TruthMask }[]
  readonly loops: readonly { readonly key: string; readonly iterations: readonly LoopIteration[] }[]
  readonly filters: readonly { readonly flowIndex: string; readonly filters: readonly PendingFilter[] }[]
  readonly late: readonly string[]
  readonly modifications: readonly Modification[]
  readonly gate: GateState
  readonly scheduler: SchedulerState
}

export interface Surroundings {
  readonly gate: GateState
  readonly scheduler: SchedulerState
}

/** Takes down a state in which no step is active. */
export function saveState(state: RunState, { gate, scheduler }: Surroundings): Snapshot {
  const { program, tracker } = state
  const nameOf = (concept: number): string => program.concepts[concept]?.entry.conceptName ?? ''
  return {
    records: state.records,
    emitted: state.emitted,
    starts: state.starts,
    cyclesFrom: state.cyclesFrom,
    tracker: { ...tracker, completionOrder: [...tracker.completionOrder] },
    concepts: program.concepts.map((_, concept) => savedConcept(state, concept)),
    items: program.slots.map(({ flowIndex }, slot) => ({
      flowIndex,
      status: state.statuses[slot] ?? 'pending',
      detail: state.details[slot] ?? null,
      result: state.results[slot] ?? null,
      count: state.counts[slot] ?? 0,
      executions: state.executions[slot] ?? 0,
      hollow: state.hollow.get(slot) ?? null,
    })),
    truthMasks: [...state.truthMasks].map(([concept, mask]) => ({ concept: nameOf(concept), mask })),
    loops: [...state.loops].map(([key, iterations]) => ({ key, iterations })),
    filters: [...state.filters].map(([flowIndex, filters]) => ({ flowIndex, filters })),
    late: [...state.late].map(index => program.items[index]?.name ?? ''),
    modifications: state.modifications,
    gate,
    scheduler,
  }
}

function savedConcept(
  { program, given, references, conceptStatuses, conceptResets }: RunState,
  at: number,
): SnapshotConcept {
  const concept = program.concepts[at]
  const own = given[at] ?? null
  const saved = {
    name: concept?.entry.conceptName ?? '',
    reference: references[at] ?? null,
    status: conceptStatuses[at] ?? 'empty',
    resets: conceptResets[at] ?? 0,
  }
  return own === null || own === concept?.initial ? saved : { ...saved, given: own }
}

/** A state that records led to; the gate of the run is not part of it. */
export function recordedSnapshot(state: RunState): Snapshot {
  return saveState(state, { gate: openGate, scheduler: state.trail.state })
}

/** A state as it was taken down. What the program has and the snapshot does not know is as in a new run. */
export function loadState(program: Program, snapshot: Snapshot, options: { readonly parallel: boolean }): RunState {
  const state = new RunState(program, options)
  loadInto(state, snapshot)
  state.trail.set(snapshot.scheduler, snapshot.tracker.cycleCount)
  state.records = snapshot.records
  state.emitted = snapshot.emitted
  state.starts = snapshot.starts
  return state
}

/** Puts a state that was taken down into a new one, without its numbers of records, events and starts. */
function loadInto(state: RunState, snapshot: Snapshot): void {
  state.modifications = snapshot.modifications.filter(({ flowIndex }) => state.program.slotNumbers.has(flowIndex))
  const { program } = state
  for (const saved of snapshot.concepts) {
    const concept = program.conceptNumbers.get(saved.name)
    if (concept === undefined) continue
    if (saved.given !== undefined) state.given[concept] = saved.given
    state.references[concept] = saved.reference
    state.conceptStatuses[concept] = saved.status
    state.conceptResets[concept] = saved.resets
  }
  for (const saved of snapshot.items) loadItem(state, saved)
  for (const { concept, mask } of snapshot.truthMasks) {
    const number = program.conceptNumbers.get(concept)
    if (number !== undefined) state.truthMasks.set(number, mask)
  }
  for (const { key, iterations } of snapshot.loops) state.loops.set(key, iterations)
  for (const { flowIndex, filters } of snapshot.filters) state.filters.set(flowIndex, filters)
  for (const name of snapshot.late) {
    const index = program.itemNumbers.get(name)
    if (index !== undefined) state.late.add(index)
  }
  Object.assign(state.tracker, snapshot.tracker, { completionOrder: [...snapshot.tracker.completionOrder] })
  state.cyclesFrom = snapshot.cyclesFrom
}

function loadItem(state: RunState, saved: SnapshotItem): void {
  const slot = state.program.slotNumbers.get(saved.flowIndex)
  if (slot === undefined) return
  // What was under way when it was taken down has no end, so it is done again.
  state.setStatus(slot, saved.status === 'in_progress' ? 'pending' : saved.status)
  state.details[slot] = saved.detail
  state.results[slot] = saved.result
  state.counts[slot] = saved.count
  state.executions[slot] = saved.executions
  if (saved.hollow !== null) state.hollow.set(slot, saved.hollow)
}

/**
 * The state that a run goes back to. Numbers that make keys and records unique never go back: they are those of the
 * run as it is now.
 */
export function restoredState(now: RunState, snapshot: Snapshot): RunState {
  const state = new RunState(now.pristine, { parallel: now.parallel })
  loadInto(state, snapshot)
  state.records = now.records
  state.emitted = now.emitted
  state.starts = now.starts
  for (const [slot, executions] of now.executions.entries()) {
    state.executions[slot] = Math.max(state.executions[slot] ?? 0, executions)
  }
  return state
}
