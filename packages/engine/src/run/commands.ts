import { unreachable } from '@slipway/kit/unreachable'
import { fromData, shapeOf } from '#reference/construct'
import type { Reference } from '#reference/reference'
import { weigh } from '#value/limits'
import { str } from '#value/python-repr'
import { isList, type PyDict, type Value } from '#value/value'
import { dependenciesOf } from './dependencies.ts'
import { continued, standsAt, type GateState } from './gate.ts'
import { applyModifications, itemsAt, modifiedEntry, type Modification } from './modify.ts'
import { conditionMet, maskOf } from './overridden.ts'
import { givenReference, type Item, type Program } from './program.ts'
import type { CommandRecord, ConceptChange, EngineEvent, ItemChange } from './records.ts'
import { resetFor, type Reset } from './reset.ts'
import type { Snapshot } from './snapshot.ts'
import type { RunState } from './state.ts'

/** What somebody tells a run to do. All of it is deterministic: the same command at the same place does the same. */
export type Command =
  /** Ends the run where it stands. */
  | { readonly type: 'cancel'; readonly reason: string }
  | { readonly type: 'set_breakpoint'; readonly flowIndex: string }
  | { readonly type: 'clear_breakpoint'; readonly flowIndex: string }
  | { readonly type: 'clear_breakpoints' }
  /** Lets a run that is held go on, past the breakpoint at which it stands. */
  | { readonly type: 'continue' }
  /** Lets one step start. */
  | { readonly type: 'step' }
  /** Lets steps start until this one has executed. */
  | { readonly type: 'run_to'; readonly flowIndex: string }
  /** Gives a concept another value; `axes` of null keeps the names of its axes where they fit. */
  | {
      readonly type: 'override'
      readonly concept: string
      readonly value: { readonly data: Value; readonly axes: readonly string[] | null }
      readonly rerunDependents: boolean
    }
  /** Does a step again, and all that depends on it. */
  | { readonly type: 'rerun'; readonly flowIndex: string }
  /** Changes how a step works, in this run alone. */
  | {
      readonly type: 'modify'
      readonly flowIndex: string
      readonly changes: PyDict
      readonly prompt: string | null
      readonly retry: boolean
    }
  /** Goes back to an earlier moment of this run. */
  | { readonly type: 'restore'; readonly snapshot: Snapshot }

/** A command as its record shows it. */
export type CommandSummary =
  | { readonly type: 'cancel'; readonly reason: string }
  | { readonly type: 'clear_breakpoints' | 'continue' | 'step' }
  | { readonly type: 'set_breakpoint' | 'clear_breakpoint' | 'run_to' | 'rerun'; readonly flowIndex: string }
  | { readonly type: 'override'; readonly concept: string; readonly rerunDependents: boolean }
  | { readonly type: 'modify'; readonly flowIndex: string; readonly retry: boolean }
  | { readonly type: 'restore'; readonly record: number }

export interface CommandRefusal {
  readonly code: 'step_unknown' | 'concept_unknown' | 'value_invalid' | 'paradigm_unknown' | 'run_ended'
  readonly message: string
}

/** What a command is about to do; nothing has changed yet. */
export interface CommandPlan {
  readonly summary: CommandSummary
  readonly changes: readonly ConceptChange[]
  readonly given: readonly string[]
  readonly items: readonly ItemChange[]
  readonly clearedLoops: readonly string[]
  readonly filters: CommandRecord['filters']
  readonly truthMasks: CommandRecord['truthMasks']
  readonly gate: GateState
  readonly modification: Modification | null
  readonly snapshot: Snapshot | null
  /** Which executions that are under way it ends. */
  readonly givesUp: (item: Item) => boolean
  readonly events: readonly EngineEvent[]
  /** Whether a run that has ended goes on. */
  readonly revives: boolean
}

/** What the command does to a run in this state, or why it cannot be done. */
export function planCommand(
  command: Command,
  run: { readonly state: RunState; readonly gate: GateState; readonly isEnded: boolean },
): CommandPlan | CommandRefusal {
  const { state, gate } = run
  if ('flowIndex' in command && !state.program.slotNumbers.has(command.flowIndex)) {
    return { code: 'step_unknown', message: `The plan has no step ${command.flowIndex}.` }
  }
  switch (command.type) {
    case 'cancel':
      if (run.isEnded) return { code: 'run_ended', message: 'The run has ended, so there is nothing to cancel.' }
      return { ...nothing(command, gate), givesUp: () => true }
    case 'set_breakpoint':
    case 'clear_breakpoint':
    case 'run_to':
    case 'clear_breakpoints':
    case 'continue':
    case 'step':
      return gateCommand(command, gate)
    case 'override':
      return override(command, run)
    case 'rerun':
      return rerun(command, run)
    case 'modify':
      return modify(command, run)
    case 'restore':
      return restore(command, gate)
    default:
      return unreachable(command)
  }
}

export function isRefusal(plan: CommandPlan | CommandRefusal): plan is CommandRefusal {
  return 'code' in plan
}

interface Situation {
  readonly state: RunState
  readonly gate: GateState
}

function nothing(summary: CommandSummary, gate: GateState): CommandPlan {
  return {
    summary,
    changes: [],
    given: [],
    items: [],
    clearedLoops: [],
    filters: [],
    truthMasks: [],
    gate,
    modification: null,
    snapshot: null,
    givesUp: () => false,
    events: [],
    revives: false,
  }
}

type GateCommand = Extract<
  Command,
  { readonly type: 'set_breakpoint' | 'clear_breakpoint' | 'clear_breakpoints' | 'continue' | 'step' | 'run_to' }
>

function gateCommand(command: GateCommand, gate: GateState): CommandPlan {
  const { breakpoints } = gate
  const plan = nothing(command, gate)
  switch (command.type) {
    case 'set_breakpoint': {
      const { flowIndex } = command
      const set = breakpoints.includes(flowIndex) ? breakpoints : [...breakpoints, flowIndex]
      return { ...plan, gate: { ...gate, breakpoints: set }, events: [{ type: 'breakpoint:set', flowIndex }] }
    }
    case 'clear_breakpoint': {
      const { flowIndex } = command
      const left = breakpoints.filter(one => one !== flowIndex)
      return { ...plan, gate: { ...gate, breakpoints: left }, events: [{ type: 'breakpoint:cleared', flowIndex }] }
    }
    case 'clear_breakpoints':
      return { ...plan, gate: { ...gate, breakpoints: [] }, events: [{ type: 'breakpoints:cleared_all' }] }
    case 'continue':
      return { ...plan, gate: continued(gate), revives: true }
    case 'step':
      return {
        ...plan,
        gate: { ...gate, mode: { type: 'stepping' } },
        events: [{ type: 'execution:stepping' }],
        revives: true,
      }
    case 'run_to': {
      const { flowIndex } = command
      return {
        ...plan,
        gate: { ...gate, mode: { type: 'running_to', flowIndex, passes: standsAt(gate) } },
        events: [{ type: 'execution:run_to', flowIndex }],
        revives: true,
      }
    }
    default:
      return unreachable(command)
  }
}

function withReset(plan: CommandPlan, reset: Reset): CommandPlan {
  const flowIndexes = reset.itemChanges.map(({ flowIndex }) => flowIndex)
  // By number: a step that was modified while it ran is another object by now.
  const slots = new Set([...reset.items].map(({ slot }) => slot))
  return {
    ...plan,
    changes: reset.changes,
    items: reset.itemChanges,
    clearedLoops: reset.clearedLoops,
    filters: reset.filters,
    truthMasks: reset.truthMasks,
    givesUp: ({ slot }) => slots.has(slot),
    events: [...plan.events, { type: 'execution:partial_reset', flowIndexes }],
    revives: true,
  }
}

function rerun(command: Extract<Command, { readonly type: 'rerun' }>, { state, gate }: Situation): CommandPlan {
  return withReset(nothing(command, gate), resetFor(state, { items: itemsAt(state.program, command.flowIndex) }))
}

function modify(
  { flowIndex, changes, prompt, retry }: Extract<Command, { readonly type: 'modify' }>,
  { state, gate }: Situation,
): CommandPlan | CommandRefusal {
  const { program } = state
  const refusal = changes.has('paradigm') ? paradigmKnown(program, itemsAt(program, flowIndex), changes) : null
  if (refusal !== null) return refusal
  try {
    weigh(changes)
    applyModifications(program, [{ flowIndex, changes, prompt }])
  } catch (cause) {
    return { code: 'value_invalid', message: cause instanceof Error ? cause.message : String(cause) }
  }
  const keys = changes.keys().map(str)
  const plan: CommandPlan = {
    ...nothing({ type: 'modify', flowIndex, retry }, gate),
    modification: { flowIndex, changes, prompt },
    events: [{ type: 'function:modified', flowIndex, keys, hasPrompt: prompt !== null }],
  }
  return retry ? withReset(plan, resetFor(state, { items: itemsAt(program, flowIndex) })) : plan
}

function paradigmKnown(program: Program, items: readonly Item[], changes: PyDict): CommandRefusal | null {
  for (const { entry } of items) {
    const modified = modifiedEntry(entry, changes)
    if (!modified.sequence.endsWith('_in_composition')) continue
    const paradigm = program.paradigms.get(modified.workingInterpretation.get('paradigm') ?? null)
    if (paradigm instanceof Error) return { code: 'paradigm_unknown', message: paradigm.message }
  }
  return null
}

function restore({ snapshot }: Extract<Command, { readonly type: 'restore' }>, gate: GateState): CommandPlan {
  return {
    ...nothing({ type: 'restore', record: snapshot.records }, gate),
    gate: { ...gate, mode: { type: 'open' } },
    snapshot,
    givesUp: () => true,
    events: [{ type: 'execution:restored', record: snapshot.records }],
    revives: true,
  }
}

type Override = Extract<Command, { readonly type: 'override' }>

function override(command: Override, { state, gate }: Situation): CommandPlan | CommandRefusal {
  const { program } = state
  const { concept: name, rerunDependents } = command
  const concept = program.conceptNumbers.get(name)
  if (concept === undefined) return { code: 'concept_unknown', message: `The plan has no concept ${name}.` }
  const reference = referenceFor(state, concept, command.value)
  if ('code' in reference) return reference
  const plan: CommandPlan = {
    ...nothing({ type: 'override', concept: name, rerunDependents }, gate),
    events: [{ type: 'value:overridden', conceptName: name, rerunDependents }],
    revives: true,
  }
  if (!rerunDependents) return withValue(plan, state, { concept, reference, reset: new Set() })
  const reset = resetFor(state, { items: directUsers(state, concept), overridden: concept })
  return withValue(withReset(plan, reset), state, { concept, reference, reset: reset.items })
}

/** The steps that use a concept; not a loop that only hands it to its body and has begun to go over its elements. */
function directUsers(state: RunState, concept: number): Item[] {
  const readers = dependenciesOf(state.program).readers[concept] ?? []
  return readers.filter(item => {
    const isUsed = item.fn === concept || item.values.includes(concept)
    return (
      isUsed || item.loopKey === null || (state.loops.get(item.loopKey)?.length ?? 0) === 0 || !isPending(state, item)
    )
  })
}

function isPending(state: RunState, item: Item): boolean {
  return state.statusOf(item) === 'pending'
}

interface GivenValue {
  readonly concept: number
  readonly reference: Reference
  /** Steps that the same command resets. */
  readonly reset: ReadonlySet<Item>
}

function withValue(plan: CommandPlan, state: RunState, value: GivenValue): CommandPlan {
  const { concept, reference, reset } = value
  const { program } = state
  const name = program.concepts[concept]?.entry.conceptName ?? ''
  const restartsWithAnother = plan.changes.some(change => change.name === name)
  if (restartsWithAnother) return plan
  const mask = state.truthMasks.get(concept)
  const truthMasks = mask === undefined ? [] : [{ concept: name, mask: maskOf(reference, mask) }]
  const standsIn = standingIn(state, value)
  const replaced = new Set(standsIn.map(({ flowIndex }) => flowIndex))
  return {
    ...plan,
    changes: [...plan.changes, { name, reference, status: 'complete' }],
    given: isGiven(state, concept, reset.size > 0) ? [name] : [],
    items: [...plan.items, ...standsIn],
    truthMasks: [...plan.truthMasks.filter(one => one.concept !== name), ...truthMasks],
    givesUp: item => plan.givesUp(item) || replaced.has(item.flowIndex),
  }
}

// What the run was given is what a loop that starts again begins with.
function isGiven(state: RunState, concept: number, rerunDependents: boolean): boolean {
  const { program, given } = state
  const isOnlyGiven = (dependenciesOf(program).writers[concept] ?? []).every(({ timing }) => timing !== null)
  if (program.concepts[concept]?.entry.isGround === true) return isOnlyGiven || rerunDependents
  return isOnlyGiven && given[concept] !== null
}

/**
 * The value stands in for the steps that would infer it, unless they run again anyway: those that have not made it yet
 * or failed have nothing left to do, and how a judgement ended follows from its value.
 */
function standingIn(state: RunState, value: GivenValue): ItemChange[] {
  const { concept, reference, reset } = value
  const isMissing = state.conceptStatuses[concept] !== 'complete'
  const makers = state.program.items.filter(
    item => item.concept === concept && item.timing === null && !reset.has(item),
  )
  return makers.flatMap((item): ItemChange[] => {
    const status = state.statusOf(item)
    const isDone = status === 'completed'
    const judges = item.entry.sequence.startsWith('judgement')
    const hasValue = state.details[item.slot] !== 'skipped' && !state.hollow.has(item.slot)
    if (isDone && !judges && hasValue) return []
    if (!isDone && !isMissing && status !== 'failed') return []
    const detail = judges && !conditionMet(item.entry, reference) ? 'condition_not_met' : 'success'
    return [{ flowIndex: item.flowIndex, status: 'completed', reason: 'overridden', detail }]
  })
}

function referenceFor(state: RunState, concept: number, { data, axes }: Override['value']): Reference | CommandRefusal {
  const before = state.references[concept]?.axes ?? state.program.concepts[concept]?.entry.referenceAxisNames ?? null
  try {
    const reference = axes === null ? keepingAxes(data, before) : fromData(isList(data) ? data : [data], axes)
    weigh(reference.data)
    return reference
  } catch (cause) {
    return { code: 'value_invalid', message: cause instanceof Error ? cause.message : String(cause) }
  }
}

function keepingAxes(data: Value, before: readonly string[] | null): Reference {
  const list = isList(data) ? data : [data]
  const fits = before !== null && before.length > 0 && before.length <= shapeOf(list).length
  return givenReference(list, fits ? before : null)
}
