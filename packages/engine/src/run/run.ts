import type { Reference } from '#reference/reference'
import type { Value } from '#value/value'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import { ParallelScheduler } from './parallel.ts'
import { givenReference, type Program } from './program.ts'
import { stuckReason } from './readiness.ts'
import type {
  ConceptStatus,
  Detail,
  EndReason,
  EngineEvent,
  ItemStatus,
  RunEnd,
  StepRecord,
  StuckStep,
  Tracker,
  TruthMask,
} from './records.ts'
import { SequentialScheduler, type Scheduler } from './sequential.ts'
import { RunState } from './state.ts'
import { Steps } from './steps.ts'

export interface RunInput {
  readonly data: Value
  readonly axes: readonly string[] | null
}

export interface RunOptions {
  readonly mode: 'sequential' | 'parallel'
  readonly maxCycles: number
  /** Decides the ids of signs; a run with the same seed and the same outcomes is the same run. */
  readonly seed: string
  readonly inputs: ReadonlyMap<string, RunInput>
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
  readonly records: readonly StepRecord[]
  readonly events: readonly EngineEvent[]
  readonly end: RunEnd | null
  /** Whether `advance` is to be called again, before any outcome is given, because the turn was over. */
  readonly more: boolean
}

/**
 * One run of a program: pure and deterministic. The host takes the effects that `advance` asks for, performs them, and
 * gives the outcomes to `resolve`; the same outcomes in the same order lead to the same records, however they are
 * interleaved with `advance`.
 */
export class Run {
  readonly program: Program
  readonly state: RunState
  readonly #steps: Steps
  readonly #scheduler: Scheduler
  #started = false
  #more = false
  /** Whether something was done that `advance` has not given yet. */
  #isFresh = false
  #end: RunEnd | null = null

  constructor(program: Program, options: RunOptions) {
    const parallel = options.mode === 'parallel'
    this.program = program
    this.state = new RunState(program, { parallel })
    for (const [name, { data, axes }] of options.inputs) this.#supply(name, givenReference(data, axes))
    const unitsPerTurn = options.unitsPerTurn ?? Number.POSITIVE_INFINITY
    this.#steps = new Steps(this.state, { seed: options.seed, parallel, unitsPerTurn })
    this.#scheduler = parallel
      ? new ParallelScheduler(this.#steps, options.maxCycles)
      : new SequentialScheduler(this.#steps, options.maxCycles)
  }

  /** Executes all that can go on without the outside, and gives what is new. */
  advance(): Progress {
    if (!this.#started || (this.#more && !this.#isFresh)) {
      this.#started = true
      this.#pump()
    }
    this.#isFresh = false
    return { ...this.#steps.take(), end: this.#end, more: this.#more }
  }

  /** Takes the outcome of an effect. False when nothing waits for it any more. */
  resolve(key: string, outcome: EffectOutcome): boolean {
    if (this.#end !== null || !this.#steps.resolve(key, outcome)) return false
    this.#pump()
    return true
  }

  /** Ends the run where it stands. What is under way is forgotten. */
  cancel(message: string): Progress {
    if (this.#end === null) {
      this.#steps.abandon()
      this.#end = this.#failed('cancelled', message)
    }
    this.#more = false
    return { ...this.#steps.take(), end: this.#end, more: false }
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

  // A supplied value is there, so what waits for it need not wait, whether the plan calls the concept given or not.
  #supply(name: string, reference: Reference): void {
    const concept = this.program.conceptNumbers.get(name)
    if (concept === undefined) return
    this.state.references[concept] = reference
    this.state.conceptStatuses[concept] = 'complete'
  }

  #pump(): void {
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
