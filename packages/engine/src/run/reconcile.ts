import { AppError } from '@slipway/protocol/errors'
import { leaves } from '#reference/access'
import type { Reference } from '#reference/reference'
import { decodeSign } from '#reference/sign'
import { encodeValue } from '#value/codec'
import { dumpJson } from '#value/json-write'
import { PyDict } from '#value/value'
import { applyDelta, applyRecord } from './apply-record.ts'
import { isRefusal, planCommand } from './commands.ts'
import { dependenciesOf } from './dependencies.ts'
import { openGate } from './gate.ts'
import { isSameReference } from './growth.ts'
import { givenReference, type Item, type Program, type ProgramConcept } from './program.ts'
import type { RunRecord } from './records.ts'
import { resetFor } from './reset.ts'
import type { RunInput } from './run.ts'
import { freshScheduler, withReset } from './scheduler-state.ts'
import { loadState, recordedSnapshot, type Snapshot, type SnapshotConcept } from './snapshot.ts'
import { startState, type RunStart } from './start-state.ts'
import { RunState } from './state.ts'

/** The state of a run after the last of these records, which are all that it made since it started. */
export function stateAfter(program: Program, start: RunStart, records: Iterable<RunRecord>): Snapshot {
  let state = startState(program, start)
  for (const record of records) state = applyRecord(state, record)
  return recordedSnapshot(state)
}

export interface ReconcileOptions {
  /**
   * `OVERWRITE` takes over all that the plan still has. `PATCH` takes over what is unchanged, and does again what
   * changed and all that depends on it. `FILL_GAPS` takes over what the plan itself leaves open.
   */
  readonly mode: 'OVERWRITE' | 'PATCH' | 'FILL_GAPS'
  /** Whether every step is done again with the values that are taken over; otherwise the run goes on from there. */
  readonly isFork: boolean
  /** Of the plan that the state was saved with, and of the one that takes it over. */
  readonly signatures: { readonly before: Signatures; readonly after: Signatures }
  /** Inputs of the new run; they come before everything that is taken over. */
  readonly inputs: ReadonlyMap<string, RunInput>
  /** Values of any concepts, as a command that overrides them and does again what depends on them. */
  readonly overrides: ReadonlyMap<string, RunInput>
}

export interface Reconciled {
  /** What the new run begins with. Its numbers go on from those of the saved state. */
  readonly snapshot: Snapshot
  /** Concepts whose saved value was taken over. */
  readonly kept: readonly string[]
  /** Concepts that had a value which was not taken over, or has to be made again. */
  readonly discarded: readonly string[]
  /** Flow indices of the steps that are to be done again although they had been done, in flow order. */
  readonly reset: readonly string[]
}

/**
 * The state with which a run of `program` begins that takes over a saved one, of the same plan or another. Concepts and
 * steps are the same when they have the same name and flow index.
 *
 * Values that the plan or its inputs give are never lost: a mode only decides whose they are. Steps that had failed are
 * done again, since nothing else could come of them. The number of cycles is counted anew.
 */
export function reconcile(program: Program, saved: Snapshot, options: ReconcileOptions): Reconciled {
  const { state, reset } = options.isFork ? restarted(program, saved, options) : continued(program, saved, options)
  for (const [concept, value] of options.overrides)
    for (const flowIndex of override(state, concept, value)) reset.add(flowIndex)
  state.cyclesFrom = state.tracker.cycleCount
  if (reset.size > 0) {
    const isReset = (name: string): boolean =>
      reset.has(program.items[program.itemNumbers.get(name) ?? -1]?.flowIndex ?? '')
    state.trail.set(withReset(state.trail.state, isReset), state.tracker.cycleCount)
  }
  return {
    snapshot: recordedSnapshot(state),
    ...keptAndDiscarded(state, saved),
    reset: program.slots.flatMap(({ flowIndex }) => (reset.has(flowIndex) ? [flowIndex] : [])),
  }
}

interface Taken {
  readonly state: RunState
  /** Flow indices. */
  readonly reset: Set<string>
}

/** All steps are pending; values that no step of the plan makes are taken over. */
function restarted(program: Program, saved: Snapshot, options: ReconcileOptions): Taken {
  const state = new RunState(program, { parallel: saved.scheduler.mode === 'parallel' })
  for (const before of saved.concepts) {
    const concept = program.conceptNumbers.get(before.name)
    const value = concept === undefined ? null : takenValue(program, concept, { before, options })
    if (concept !== undefined && value !== null) state.supply(concept, value)
  }
  for (const [name, { data, axes }] of options.inputs) {
    const concept = program.conceptNumbers.get(name)
    if (concept !== undefined) state.supply(concept, givenReference(data, axes))
  }
  state.records = saved.records
  state.emitted = saved.emitted
  state.starts = saved.starts
  return { state, reset: new Set(saved.items.flatMap(item => (item.executions > 0 ? [item.flowIndex] : []))) }
}

/** The saved value with which a concept begins that no step of the plan makes; null for what the plan itself says. */
function takenValue(
  { concepts }: Program,
  number: number,
  { before, options }: { readonly before: SnapshotConcept; readonly options: ReconcileOptions },
): Reference | null {
  const concept = concepts[number]
  if (concept === undefined || (!concept.entry.isGround && concept.producer >= 0)) return null
  const { signatures, mode } = options
  if (mode === 'PATCH' && !isSame(signatures, 'concepts', before.name)) return null
  if (mode === 'FILL_GAPS' && concept.initial !== null) return null
  // A value that steps have used up in the meantime is taken as it was at first.
  const atFirst = before.given ?? (isSame(signatures, 'values', before.name) ? concept.initial : null)
  return atFirst ?? before.reference
}

/** Goes on from the saved state, without what the mode leaves behind. */
function continued(program: Program, saved: Snapshot, options: ReconcileOptions): Taken {
  const { mode, signatures } = options
  const isKept = (flowIndex: string): boolean => mode !== 'PATCH' || isSame(signatures, 'steps', flowIndex)
  const isSamePlan =
    saved.items.length === program.slots.length &&
    saved.items.every(({ flowIndex }, slot) => program.slots[slot]?.flowIndex === flowIndex)
  const state = loadState(
    program,
    {
      ...saved,
      gate: openGate,
      modifications: saved.modifications.filter(({ flowIndex }) => isKept(flowIndex)),
      scheduler: isSamePlan ? saved.scheduler : freshScheduler(saved.scheduler.mode === 'parallel'),
    },
    { parallel: saved.scheduler.mode === 'parallel' },
  )
  const changes = new Changes(state)
  for (const item of program.items) {
    if (mode === 'PATCH' && !isSame(signatures, 'steps', item.name)) changes.redo(item)
    if (state.statusOf(item) === 'failed' || state.hollow.has(item.slot)) changes.redo(item)
  }
  for (const before of saved.concepts) takeOver(before, { state, changes, options })
  for (const [name, { data, axes }] of options.inputs) changes.give(name, givenReference(data, axes))
  return { state, reset: changes.apply() }
}

function takeOver(
  before: SnapshotConcept,
  run: { readonly state: RunState; readonly changes: Changes; readonly options: ReconcileOptions },
): void {
  const { state, changes } = run
  const { mode, signatures } = run.options
  const concept = state.program.conceptNumbers.get(before.name) ?? -1
  const initial = initialOf(state.program, concept)
  if (mode === 'PATCH' && !isSame(signatures, 'concepts', before.name)) changes.remake(concept)
  if (initial === null || (mode === 'PATCH' && before.given !== undefined)) return
  const wasGiven = before.given ?? (isSame(signatures, 'values', before.name) ? initial : null)
  if (mode !== 'OVERWRITE') {
    if (!isSameReference(wasGiven, initial)) changes.replace(concept, initial)
  } else if (before.reference === null) changes.replace(concept, initial)
  // A loop that starts again begins with what the run was given, not with what the plan gives now.
  else if (wasGiven === null) state.given[concept] = before.reference
}

function initialOf({ concepts }: Program, concept: number): Reference | null {
  return concepts[concept]?.initial ?? null
}

/** Collects what is different, and does again what depends on it. */
class Changes {
  readonly #state: RunState
  readonly #items = new Set<Item>()

  constructor(state: RunState) {
    this.#state = state
  }

  redo(item: Item): void {
    this.#items.add(item)
  }

  /** The concept means something else now: what makes it and what reads it is done again. */
  remake(concept: number): void {
    const { readers, writers } = dependenciesOf(this.#state.program)
    for (const item of [...(writers[concept] ?? []), ...(readers[concept] ?? [])]) this.#items.add(item)
  }

  /** A value in the place of what the run was given; nothing changes where it is the same. */
  give(name: string, reference: Reference): void {
    const { program, given } = this.#state
    const concept = program.conceptNumbers.get(name)
    if (concept === undefined || isSameReference(given[concept] ?? null, reference)) return
    this.replace(concept, reference)
  }

  replace(concept: number, reference: Reference): void {
    this.#state.supply(concept, reference)
    for (const item of dependenciesOf(this.#state.program).readers[concept] ?? []) this.#items.add(item)
  }

  /** The flow indices of all steps that are done again. */
  apply(): Set<string> {
    const reset = resetFor(this.#state, { items: [...this.#items] })
    applyDelta(this.#state, { ...reset, items: reset.itemChanges })
    return new Set(reset.itemChanges.map(({ flowIndex }) => flowIndex))
  }
}

/** Overrides a value in a state that nothing executes, and gives the flow indices of the steps that it resets. */
function override(state: RunState, concept: string, value: RunInput): string[] {
  const command = { type: 'override', concept, value, rerunDependents: true } as const
  const plan = planCommand(command, { state, gate: openGate, isEnded: false })
  if (isRefusal(plan)) {
    throw new AppError(plan.code === 'concept_unknown' ? 'concept.unknown' : 'input.invalid', plan.message)
  }
  applyDelta(state, plan)
  return plan.items.flatMap(({ reason, flowIndex }) => (reason === 'rerun' ? [flowIndex] : []))
}

function isSame({ before, after }: ReconcileOptions['signatures'], part: keyof Signatures, name: string): boolean {
  const signature = after[part].get(name)
  return signature !== undefined && signature === before[part].get(name)
}

function keptAndDiscarded(state: RunState, saved: Snapshot): Pick<Reconciled, 'kept' | 'discarded'> {
  const kept: string[] = []
  const discarded: string[] = []
  for (const { name, reference, given } of saved.concepts) {
    if (reference === null) continue
    const now = state.references[state.program.conceptNumbers.get(name) ?? -1] ?? null
    const isKept = now !== null && (now === given || isSameReference(now, reference))
    ;(isKept ? kept : discarded).push(name)
  }
  return { kept, discarded }
}

/** What tells whether parts of two versions of a plan mean the same. Texts that are equal exactly then, by name. */
export interface Signatures {
  readonly concepts: ReadonlyMap<string, string>
  /** Of the values that the plan gives its concepts. */
  readonly values: ReadonlyMap<string, string>
  /** By the names of steps: their settings, and the paradigms of the plan and the files that they work with. */
  readonly steps: ReadonlyMap<string, string>
}

export interface SignatureOptions {
  /** The text of a prompt or script that a step names; null where there is none. Without it files do not count. */
  readonly contentOf?: ((path: string) => string | null) | undefined
}

/**
 * The signatures of a plan as it was deployed: nothing that a run does changes them. `hash` makes a text short; it is
 * given because the engine has no cryptography of its own.
 */
export function signaturesOf(
  program: Program,
  hash: (text: string) => string,
  { contentOf = () => null }: SignatureOptions = {},
): Signatures {
  const { concepts, items } = program
  return {
    concepts: new Map(concepts.map(concept => [concept.entry.conceptName, hash(conceptText(concept))])),
    values: new Map(concepts.map(({ entry, initial }) => [entry.conceptName, hash(referenceText(initial))])),
    steps: new Map(items.map(item => [item.name, hash(stepText(program, item, contentOf))])),
  }
}

function conceptText({ entry }: ProgramConcept): string {
  const fields = PyDict.from({
    concept_name: entry.conceptName,
    type: entry.type,
    context: entry.context,
    axis_name: entry.axisName,
    natural_name: entry.naturalName,
    is_ground_concept: entry.isGround,
    is_invariant: entry.isInvariant,
    flow_indices: entry.flowIndices,
  })
  return dumpJson(fields, { sortKeys: true })
}

function referenceText(reference: Reference | null): string {
  return reference === null ? '' : encodeValue([reference.axes, reference.shape, reference.data])
}

function stepText(program: Program, item: Item, contentOf: (path: string) => string | null): string {
  const { entry } = item
  const fields = PyDict.from({
    inference_sequence: entry.sequence,
    concept_to_infer: entry.conceptToInfer,
    function_concept: entry.functionConcept,
    value_concepts: [...entry.valueConcepts].sort(),
    context_concepts: [...entry.contextConcepts].sort(),
    flow_index: entry.flowIndex,
    working_interpretation: entry.workingInterpretation,
    paradigm_text: program.paradigms.ownText(entry.workingInterpretation.get('paradigm') ?? null),
    files: namedFiles(program, item).flatMap(path => {
      const content = contentOf(path)
      return content === null ? [] : [[path, content]]
    }),
  })
  return dumpJson(fields, { sortKeys: true })
}

const FILES: ReadonlySet<string> = new Set(['prompt_location', 'prompt', 'script_location', 'file_location'])

function namedFiles({ concepts }: Program, { fn, values }: Item): string[] {
  const cells = [fn, ...values].flatMap(concept => {
    const initial = concepts[concept]?.initial ?? null
    return initial === null ? [] : leaves(initial)
  })
  const paths = cells.flatMap(cell => {
    const sign = typeof cell === 'string' ? decodeSign(cell) : null
    return sign !== null && FILES.has(sign.norm ?? '') ? [sign.signifier] : []
  })
  return [...new Set(paths)].sort()
}
