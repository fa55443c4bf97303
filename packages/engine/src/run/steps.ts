import { applyFinished, type Finished } from './apply.ts'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import { StepExecution, type Budget } from './execution.ts'
import { giveBack, lookThrough, stillFiltered, takeFilters, type TakenFilters } from './filters.ts'
import { Gate, type Held } from './gate.ts'
import type { Item } from './program.ts'
import { promptReader, type PromptReader } from './prompts.ts'
import type { CommandRecord, EngineEvent, RunRecord, StepRecord } from './records.ts'
import type { SchedulerState } from './scheduler-state.ts'
import { saveState, type Snapshot } from './snapshot.ts'
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
  /** Which start of an execution in the run it was. */
  readonly start: number
  readonly cycle: number
  readonly execution: StepExecution<StepResult>
  readonly errors: StepError[]
  filters: TakenFilters | null
  /** Answers what a modified prompt replaces. */
  readonly prompt: PromptReader | null
}

/** What the host takes. */
export interface Taken {
  readonly effects: readonly EffectRequest[]
  readonly records: readonly RunRecord[]
  readonly events: readonly EngineEvent[]
  /** Number of the first of the events. */
  readonly firstEvent: number
  readonly snapshot: Snapshot | null
}

/** Starts and ends executions of steps, and keeps what they asked for and did until the host takes it. */
export class Steps {
  state: RunState
  readonly active = new Map<number, Active>()
  readonly gate = new Gate()
  /** Why nothing starts although something could; set anew each time that the run goes on. */
  held: Held | null = null
  /** Told of every execution that has ended, when its record is made and before anything else happens. */
  onEnd: (item: Item, record: StepRecord) => void = () => undefined
  readonly #options: StepsOptions
  #effects: EffectRequest[] = []
  #records: RunRecord[] = []
  #events: EngineEvent[] = []
  #wantsSnapshot = false
  #snapshot: Snapshot | null = null
  readonly #owners = new Map<string, Active>()
  /** Those that stopped in the middle of their work because the turn was over. */
  readonly #paused = new Set<Active>()
  readonly #budget: Budget
  /** Whether the work goes on until nothing is left, however long that takes. */
  isEndless = false

  constructor(state: RunState, options: StepsOptions) {
    this.state = state
    this.#options = options
    this.#budget = { left: options.unitsPerTurn }
  }

  /** Whether the host gets its turn before anything else is started. */
  get isSpent(): boolean {
    return this.#budget.left <= 0
  }

  /** Whether a step stopped in the middle of its work because the turn was over. */
  get hasPaused(): boolean {
    return this.#paused.size > 0
  }

  spend(units: number): void {
    this.#budget.left -= units
  }

  /** A new turn: fills the budget and goes on with the steps that were interrupted. */
  refill(): void {
    this.#budget.left = this.isEndless ? Number.POSITIVE_INFINITY : this.#options.unitsPerTurn
    this.held = null
    if (this.#paused.size === 0) return
    for (const active of [...this.#paused].sort((a, b) => a.start - b.start)) {
      if (this.isSpent) return
      active.execution.goOn()
      this.#settle(active)
    }
  }

  readonly emit = (event: EngineEvent): void => {
    this.state.emitted++
    this.#events.push(event)
  }

  /** Whether the gate keeps a step that could start from starting. */
  holds({ flowIndex, slot }: Item): boolean {
    const { starts, executions } = this.state
    const { emit } = this
    this.held = this.gate.holds(flowIndex, { starts, execution: (executions[slot] ?? 0) + 1, emit })
    return this.held !== null
  }

  requestSnapshot(): void {
    this.#wantsSnapshot = true
  }

  /** A snapshot that was taken before what the run is told now would not have it in it. */
  renewSnapshot(): void {
    if (this.#snapshot === null) return
    this.#snapshot = null
    this.#wantsSnapshot = true
  }

  /** Takes a snapshot if one is wanted; called where no step is active. */
  offerSnapshot(scheduler: () => SchedulerState): void {
    if (!this.#wantsSnapshot) return
    this.#wantsSnapshot = false
    this.#snapshot = saveState(this.state, { gate: this.gate.state, scheduler: scheduler() })
  }

  addRecord(record: CommandRecord): void {
    this.#records.push(record)
  }

  /** Starts a step; it may have ended already when this returns. */
  start(item: Item, cycle: number): void {
    const { state } = this
    this.spend(STEP_UNITS)
    const number = (state.executions[item.slot] ?? 0) + 1
    state.executions[item.slot] = number
    state.counts[item.slot] = (state.counts[item.slot] ?? 0) + 1
    state.tracker.totalExecutions++
    state.starts++
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
    const active: Active = {
      item,
      start: state.starts,
      cycle,
      execution,
      errors: [],
      filters: null,
      prompt: promptReader(state, item),
    }
    this.active.set(item.index, active)
    this.gate.started(flowIndex)
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

  awaits(key: string): boolean {
    return this.#owners.has(key)
  }

  /**
   * Gives up the executions of these steps as though they had not started. Their numbers stay taken once the record of
   * the command that does it is applied.
   */
  giveUp(isGivenUp: (item: Item) => boolean): GivenUp[] {
    const { state } = this
    const givenUp: GivenUp[] = []
    for (const active of [...this.active.values()]) {
      const { item, execution, filters } = active
      if (!isGivenUp(item)) continue
      this.#forget(active)
      state.setStatus(item.slot, 'pending')
      state.executions[item.slot] = execution.options.execution - 1
      state.tracker.totalExecutions--
      state.starts--
      state.counts[item.slot] = Math.max(0, (state.counts[item.slot] ?? 0) - 1)
      if (filters !== null) giveBack(state, item, filters)
      givenUp.push({ flowIndex: item.flowIndex, execution: execution.options.execution })
    }
    if (givenUp.length > 0) this.#effects = this.#effects.filter(({ key }) => this.#owners.has(key))
    return givenUp
  }

  take(): Taken {
    const taken = {
      effects: this.#effects,
      records: this.#records,
      events: this.#events,
      firstEvent: this.state.emitted - this.#events.length + 1,
      snapshot: this.#snapshot,
    }
    this.#effects = []
    this.#records = []
    this.#events = []
    this.#snapshot = null
    return taken
  }

  #forget(active: Active): void {
    const { item, execution } = active
    this.active.delete(item.index)
    this.#paused.delete(active)
    for (const key of execution.waitsFor) this.#owners.delete(key)
  }

  #contextOf(active: Active): StepContext {
    const { item, prompt } = active
    const { state } = this
    const filters = takeFilters(state, item)
    active.filters = filters
    if (filters !== null) lookThrough(state, item, filters)
    const seen = filters?.seen
    const reference = (concept: number): Reference | null => seen?.get(concept) ?? state.references[concept] ?? null
    return {
      program: state.program,
      item,
      state,
      reference: prompt === null ? reference : concept => prompt.reference(concept, reference(concept)),
      nextSignId: active.execution.nextSignId,
      errors: active.errors,
      origins: new Map(),
    }
  }

  #settle(active: Active): void {
    const { execution, prompt } = active
    // What is answered here may lead to further requests.
    for (let requests = execution.takeRequests(); requests.length > 0; requests = execution.takeRequests()) {
      for (const request of requests) {
        const answer = prompt?.answer(request.effect) ?? null
        if (answer !== null) {
          execution.resolve(request.key, answer)
          continue
        }
        this.#owners.set(request.key, active)
        this.#effects.push(request)
      }
    }
    const { end } = execution
    if (execution.isPaused) this.#paused.add(active)
    else this.#paused.delete(active)
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
    const { item, cycle, errors, execution, filters } = active
    const { state } = this
    this.#forget(active)
    const finished: Finished = {
      item,
      cycle,
      execution: execution.options.execution,
      errors,
      filtersTaken: filters?.taken.length ?? 0,
      filtered: filters === null ? nothingFiltered : stillFiltered(state, filters),
      outcome,
    }
    const record = applyFinished(state, finished, {
      clearDetails: this.#options.parallel,
      keepNestedLoops: state.program.behaviour.keepNestedLoops,
      emit: this.emit,
    })
    this.#records.push(record)
    this.onEnd(item, record)
    this.gate.ended(item.flowIndex)
    this.emit({
      type: 'execution:progress',
      completedCount: state.completed,
      totalCount: state.program.slots.length,
      cycleCount: state.tracker.cycleCount,
      currentInference: item.flowIndex,
    })
  }
}

export interface GivenUp {
  readonly flowIndex: string
  readonly execution: number
}

const nothingFiltered: Finished['filtered'] = []

function writtenBy({ output, truthMask, loop }: StepResult): Reference[] {
  const written = loop ? loop.context.map(([, reference]) => reference) : []
  if (output) written.push(output)
  if (truthMask && truthMask.tensor !== output) written.push(truthMask.tensor)
  return written
}

function isStep(work: StepResult | Step<StepResult>): work is Step<StepResult> {
  return 'next' in work
}
