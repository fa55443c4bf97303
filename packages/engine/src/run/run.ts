import type { Reference } from '#reference/reference'
import type { Value } from '#value/value'
import { applyRecord } from './apply-record.ts'
import { isRefusal, planCommand, type Command, type CommandPlan, type CommandRefusal } from './commands.ts'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import type { Held } from './gate.ts'
import { ParallelScheduler } from './parallel.ts'
import type { Program } from './program.ts'
import { stuckReason } from './readiness.ts'
import type {
  CommandRecord,
  ConceptStatus,
  Detail,
  EndReason,
  EngineEvent,
  ItemStatus,
  RunEnd,
  RunRecord,
  StuckStep,
  Tracker,
  TruthMask,
} from './records.ts'
import { SequentialScheduler, type Scheduler } from './sequential.ts'
import { withReset, type SchedulerState } from './scheduler-state.ts'
import type { Snapshot } from './snapshot.ts'
import { startState, type RunStart } from './start-state.ts'
import type { RunState } from './state.ts'
import { Steps, type GivenUp } from './steps.ts'

export interface RunInput {
  readonly data: Value
  readonly axes: readonly string[] | null
}

export interface RunOptions extends RunStart {
  /** Counted anew after a command that lets steps be done again. */
  readonly maxCycles: number
  /** Decides the ids of signs; a run with the same seed and the same outcomes is the same run. */
  readonly seed: string
  /**
   * How much is done before `advance` comes back although there is more to do, in units of about a microsecond; without
   * end by default. It is counted and not timed, so the same number always interrupts at the same places.
   */
  readonly unitsPerTurn?: number | undefined
}

/** What happened since the host last asked. */
export interface Progress {
  /** Effects that are asked for now; each appears once. */
  readonly effects: readonly EffectRequest[]
  readonly records: readonly RunRecord[]
  readonly events: readonly EngineEvent[]
  /** Number of the first of the events in the whole run, from 1; where there are none, that of the next one. */
  readonly firstEvent: number
  readonly end: RunEnd | null
  /** Whether `advance` is to be called again, before any outcome is given, because the turn was over. */
  readonly more: boolean
  /** Why a step that could start does not, when nothing else is under way; the run has not ended then. */
  readonly held: Held | null
  /** The snapshot that was asked for, once it could be taken. Every outcome and command given so far is in it. */
  readonly snapshot: Snapshot | null
}

/**
 * One run of a program: pure and deterministic. The host takes the effects that `advance` asks for, performs them, and
 * gives the outcomes to `resolve`; the same outcomes and commands in the same order lead to the same records, however
 * they are interleaved with `advance`. A command counts as given when as many executions had started as were when it
 * was first given; see `limitStarts`.
 */
export class Run {
  readonly program: Program
  readonly #steps: Steps
  readonly #scheduler: Scheduler
  /** Whether steps may be able to start that were not looked at since. */
  #isDue = true
  #more = false
  /** Whether something was done that `advance` has not given yet. */
  #isFresh = false
  #end: RunEnd | null = null

  constructor(program: Program, options: RunOptions) {
    const parallel = options.mode === 'parallel'
    const from = options.from ?? null
    this.program = program
    const unitsPerTurn = options.unitsPerTurn ?? Number.POSITIVE_INFINITY
    this.#steps = new Steps(startState(program, options), { seed: options.seed, parallel, unitsPerTurn })
    this.#scheduler = parallel
      ? new ParallelScheduler(this.#steps, options.maxCycles)
      : new SequentialScheduler(this.#steps, options.maxCycles)
    if (from === null) return
    this.#steps.gate.state = from.gate
    this.#scheduler.load(from.scheduler)
  }

  /** Executes all that can go on without the outside, and gives what is new. */
  advance(): Progress {
    if (this.#end === null && (this.#isDue || (this.#more && !this.#isFresh))) this.#pump()
    this.#isFresh = false
    return {
      ...this.#steps.take(),
      end: this.#end,
      more: this.#more,
      held: this.#end === null && this.#steps.active.size === 0 ? this.#steps.held : null,
    }
  }

  /** Takes the outcome of an effect. False when nothing waits for it any more. */
  resolve(key: string, outcome: EffectOutcome): boolean {
    if (this.#end !== null || !this.#steps.resolve(key, outcome)) return false
    this.#steps.renewSnapshot()
    this.#pump()
    return true
  }

  /**
   * Does what somebody wants of the run, or says why that cannot be done; then nothing changes. What follows from it is
   * what `advance` gives next.
   *
   * Work that was only interrupted because a turn was over is finished first, so that a command is always applied
   * between two starts of steps. A host that minds how long that takes closes the gate with `limitStarts` and calls
   * `advance` until there is no more.
   */
  command(command: Command): CommandRefusal | null {
    const refused = this.#plan(command)
    if (isRefusal(refused)) return refused
    this.#settle()
    const plan = this.#plan(command)
    if (isRefusal(plan)) return plan
    const givenUp = this.#steps.giveUp(plan.givesUp)
    // What was given up has left its traces, so what is to be done is looked at once more.
    const final = givenUp.length > 0 ? this.#plan(command) : plan
    if (isRefusal(final)) return final
    this.#apply(final, givenUp)
    if (command.type === 'cancel') {
      this.#end = this.#failed('cancelled', command.reason)
      this.#more = false
    }
    return null
  }

  /**
   * Lets no step start once this many executions have started in the run; null lets all start. What is under way goes
   * on. A replay of a journal that limits the starts to those that there were when a command was given, gives it the
   * outcomes before the command, and then the command, applies it at exactly its place.
   */
  limitStarts(most: number | null): void {
    if (this.#steps.gate.limit === most) return
    this.#steps.gate.limit = most
    this.#isDue = true
  }

  /** Asks for a snapshot; `advance` gives it once no step is active. */
  requestSnapshot(): void {
    this.#steps.requestSnapshot()
  }

  /** Whether the outcome of this effect would be taken. */
  awaits(key: string): boolean {
    return this.#end === null && this.#steps.awaits(key)
  }

  /** Flow indices of the steps before which the run holds. */
  get breakpoints(): readonly string[] {
    return this.#steps.gate.state.breakpoints
  }

  get state(): RunState {
    return this.#steps.state
  }

  /** Executions started in the run so far. */
  get starts(): number {
    return this.state.starts
  }

  /** Events told in the run so far. */
  get emitted(): number {
    return this.state.emitted
  }

  /** Records made in the run so far. */
  get records(): number {
    return this.state.records
  }

  get end(): RunEnd | null {
    return this.#end
  }

  get cycle(): number {
    return this.state.tracker.cycleCount
  }

  get tracker(): Tracker {
    return this.state.tracker
  }

  reference(concept: string): Reference | null {
    return this.state.references[this.program.conceptNumbers.get(concept) ?? -1] ?? null
  }

  conceptStatus(concept: string): ConceptStatus | null {
    return this.state.conceptStatuses[this.program.conceptNumbers.get(concept) ?? -1] ?? null
  }

  truthMask(concept: string): TruthMask | null {
    return this.state.truthMasks.get(this.program.conceptNumbers.get(concept) ?? -1) ?? null
  }

  item(flowIndex: string): ItemState | null {
    const slot = this.program.slotNumbers.get(flowIndex)
    if (slot === undefined) return null
    const { statuses, details, results, counts, executions } = this.state
    return {
      status: statuses[slot] ?? 'pending',
      detail: details[slot] ?? null,
      result: results[slot] ?? null,
      count: counts[slot] ?? 0,
      executions: executions[slot] ?? 0,
    }
  }

  /** The final concepts in the order of the plan, with their values where they have one. */
  finals(): readonly { readonly name: string; readonly reference: Reference | null }[] {
    return this.program.concepts.flatMap(({ entry, index }) =>
      entry.isFinal ? [{ name: entry.conceptName, reference: this.state.references[index] ?? null }] : [],
    )
  }

  #plan(command: Command): CommandPlan | CommandRefusal {
    return planCommand(command, { state: this.state, gate: this.#steps.gate.state, isEnded: this.#end !== null })
  }

  // Nothing else starts, and nothing stays interrupted: the only place between two starts that a replay finds again.
  #settle(): void {
    if (this.#end !== null || (!this.#isDue && !this.#more)) return
    const { gate } = this.#steps
    const { limit } = gate
    gate.limit = Math.min(limit ?? this.starts, this.starts)
    this.#steps.isEndless = true
    this.#pump()
    this.#steps.isEndless = false
    gate.limit = limit
    this.#isDue = true
  }

  #apply(plan: CommandPlan, givenUp: readonly GivenUp[]): void {
    const steps = this.#steps
    const { state } = steps
    const { tracker } = state
    const isAnew = plan.revives && (this.#end !== null || plan.items.length > 0)
    const record: CommandRecord = {
      kind: 'command',
      n: state.records + 1,
      cycle: plan.snapshot?.tracker.cycleCount ?? tracker.cycleCount,
      command: plan.summary,
      changes: plan.changes,
      given: plan.given,
      items: plan.items,
      clearedLoops: plan.clearedLoops,
      loops: [],
      filters: plan.filters,
      truthMasks: plan.truthMasks,
      late: state.takeLate(),
      givenUp,
      cyclesFrom: plan.snapshot?.cyclesFrom ?? (isAnew ? tracker.cycleCount : state.cyclesFrom),
      gate: plan.gate,
      scheduler: this.#orderAfter(plan),
      modification: plan.modification,
      snapshot: plan.snapshot,
    }
    steps.renewSnapshot()
    steps.state = applyRecord(state, record)
    steps.gate.state = record.gate
    this.#scheduler.load(record.scheduler)
    for (const event of plan.events) steps.emit(event)
    steps.addRecord(record)
    if (plan.revives) this.#end = null
    this.#isDue = true
  }

  #orderAfter(plan: CommandPlan): SchedulerState {
    if (plan.snapshot !== null) return plan.snapshot.scheduler
    const { items, itemNumbers } = this.state.program
    const reset = new Set(plan.items.flatMap(({ reason, flowIndex }) => (reason === 'rerun' ? [flowIndex] : [])))
    const order = this.#scheduler.save()
    return reset.size === 0
      ? order
      : withReset(order, name => reset.has(items[itemNumbers.get(name) ?? -1]?.flowIndex ?? ''))
  }

  #pump(): void {
    this.#isDue = false
    const reason = this.#scheduler.pump()
    this.#more = reason === 'more'
    this.#isFresh = true
    if (reason === null || reason === 'more') return
    this.#end = this.#endFor(reason)
  }

  #endFor(reason: 'finished' | EndReason): RunEnd {
    const failed = this.state.statuses.filter(status => status === 'failed').length + this.state.hollow.size
    if (failed > 0) return this.#failed('step_failed', `${failed === 1 ? 'A step' : `${failed} steps`} failed.`)
    if (reason === 'finished') return { status: 'completed', reason: null, stuck: [] }
    if (reason === 'max_cycles') {
      return this.#failed(reason, `The run used its ${this.cycle} cycles before every step was completed.`)
    }
    return this.#failed(reason, 'No step that is left can ever start.')
  }

  #failed(reason: EndReason, message: string): RunEnd {
    const stuck: StuckStep[] = this.program.items
      .filter(item => this.state.statusOf(item) !== 'completed' || this.state.hollow.has(item.slot))
      .map(item => ({ flowIndex: item.flowIndex, why: stuckReason(this.state, item) }))
    return { status: 'failed', reason, message, stuck }
  }
}

export interface ItemState {
  readonly status: ItemStatus
  readonly detail: Detail | null
  /** `Success`, `Error: …`, `Skipped due to parent …`, or null before the first end. */
  readonly result: string | null
  /** Executions since the last reset by a loop. */
  readonly count: number
  readonly executions: number
}
