import { applyFinished, type Finished } from './apply.ts'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import { StepExecution, type Budget } from './execution.ts'
import { applyFilters } from './filters.ts'
import type { Item, Program } from './program.ts'
import type { EngineEvent, StepRecord } from './records.ts'
import type { RunState } from './state.ts'
import type { StepContext, StepResult } from '#sequence/result'
import type { Reference } from '#reference/reference'
import { weigh } from '#value/limits'
import { describeError, type Step, type StepError } from '#sequence/step'

export interface StepsOptions {
  readonly seed: string
  readonly parallel: boolean
  /** Units of work between two turns of the host, see `Spent`. */
  readonly unitsPerTurn: number
}

/** Starting and ending a step, with its record and events. */
const STEP_UNITS = 100
const WEIGHT_PER_UNIT = 500

interface Active {
  readonly item: Item
  readonly cycle: number
  readonly execution: StepExecution<StepResult>
  readonly errors: StepError[]
}

/** Starts and ends executions of steps, and keeps what they asked for and did until the host takes it. */
export class Steps {
  readonly state: RunState
  readonly active = new Map<number, Active>()
  readonly #program: Program
  readonly #options: StepsOptions
  #effects: EffectRequest[] = []
  #records: StepRecord[] = []
  #events: EngineEvent[] = []
  readonly #owners = new Map<string, Active>()
  readonly #budget: Budget

  constructor(state: RunState, options: StepsOptions) {
    this.state = state
    this.#program = state.program
    this.#options = options
    this.#budget = { left: options.unitsPerTurn }
  }

  /** Whether the host gets its turn before anything else is started. */
  get isSpent(): boolean {
    return this.#budget.left <= 0
  }

  spend(units: number): void {
    this.#budget.left -= units
  }

  /** A new turn: fills the budget and goes on with the steps that were interrupted. */
  refill(): void {
    this.#budget.left = this.#options.unitsPerTurn
    for (const active of [...this.active.values()]) {
      if (this.isSpent) return
      if (!active.execution.isPaused) continue
      active.execution.goOn()
      this.#settle(active)
    }
  }

  readonly emit = (event: EngineEvent): void => {
    this.#events.push(event)
  }

  /** Starts a step; it may have ended already when this returns. */
  start(item: Item, cycle: number): void {
    const { state } = this
    this.spend(STEP_UNITS)
    const number = (state.executions[item.slot] ?? 0) + 1
    state.executions[item.slot] = number
    state.counts[item.slot] = (state.counts[item.slot] ?? 0) + 1
    state.tracker.totalExecutions++
    state.setStatus(item.slot, 'in_progress')
    const { flowIndex } = item
    const { conceptToInfer: conceptName, sequence } = item.entry
    this.emit({ type: 'inference:started', flowIndex, execution: number, conceptName, sequence })
    const execution = new StepExecution<StepResult>({
      flowIndex,
      execution: number,
      seed: this.#options.seed,
      ordered: !this.#options.parallel || item.prepared.lanes.length > 0,
      budget: this.#budget,
    })
    const active: Active = { item, cycle, execution, errors: [] }
    this.active.set(item.index, active)
    try {
      const work = item.prepared.start(this.#contextOf(active))
      if (isStep(work)) {
        execution.start(work)
        this.#settle(active)
      } else this.#complete(active, work)
    } catch (cause) {
      this.#finish(active, { ok: false, error: { path: '', ...describeError(cause) } })
    }
  }

  /** Hands an outcome to the step that waits for it. False when none does. */
  resolve(key: string, outcome: EffectOutcome): boolean {
    const active = this.#owners.get(key)
    if (active === undefined) return false
    this.#owners.delete(key)
    active.execution.resolve(key, outcome)
    this.#settle(active)
    return true
  }

  abandon(): void {
    this.active.clear()
    this.#owners.clear()
  }

  take(): { effects: readonly EffectRequest[]; records: readonly StepRecord[]; events: readonly EngineEvent[] } {
    const taken = { effects: this.#effects, records: this.#records, events: this.#events }
    this.#effects = []
    this.#records = []
    this.#events = []
    return taken
  }

  #contextOf(active: Active): StepContext {
    const { item } = active
    const { state } = this
    const filtered = applyFilters(state, item)
    return {
      program: this.#program,
      item,
      state,
      reference: concept => filtered?.get(concept) ?? state.references[concept] ?? null,
      nextSignId: active.execution.nextSignId,
      errors: active.errors,
      origins: new Map(),
    }
  }

  #settle(active: Active): void {
    for (const request of active.execution.takeRequests()) {
      this.#owners.set(request.key, active)
      this.#effects.push(request)
    }
    const { end } = active.execution
    if (end === null) return
    if (end.ok) this.#complete(active, end.value)
    else this.#finish(active, { ok: false, error: { path: '', ...describeError(end.cause) } })
  }

  /** Ends a step with its result, or with an error when the result is too large to be kept. */
  #complete(active: Active, result: StepResult): void {
    try {
      let weight = 0
      for (const reference of writtenBy(result)) weight += weigh(reference.data)
      this.spend(weight / WEIGHT_PER_UNIT)
    } catch (cause) {
      return this.#finish(active, { ok: false, error: { path: '', ...describeError(cause) } })
    }
    this.#finish(active, { ok: true, result })
  }

  #finish(active: Active, outcome: Finished['outcome']): void {
    const { item, cycle, errors, execution } = active
    this.active.delete(item.index)
    for (const key of execution.waitsFor) this.#owners.delete(key)
    const finished: Finished = { item, cycle, execution: execution.options.execution, errors, outcome }
    this.#records.push(
      applyFinished(this.state, finished, {
        clearDetails: this.#options.parallel,
        keepNestedLoops: this.#program.behaviour.keepNestedLoops,
        emit: this.emit,
      }),
    )
    this.emit({
      type: 'execution:progress',
      completedCount: this.state.completed,
      totalCount: this.#program.slots.length,
      cycleCount: this.state.tracker.cycleCount,
      currentInference: item.flowIndex,
    })
  }
}

function writtenBy({ output, truthMask, loop }: StepResult): Reference[] {
  const written = loop ? loop.context.map(([, reference]) => reference) : []
  if (output) written.push(output)
  if (truthMask && truthMask.tensor !== output) written.push(truthMask.tensor)
  return written
}

function isStep(work: StepResult | Step<StepResult>): work is Step<StepResult> {
  return 'next' in work
}
