import type { Item, Program } from './program.ts'
import type { StepRecord } from './records.ts'
import { freshScheduler, type SchedulerState } from './scheduler-state.ts'

/**
 * Where the order of steps stood after a record, worked out from the records alone. In sequential mode that is exactly
 * where the run stood; in parallel mode the pass over the steps begins anew, which changes no value.
 */
export class Trail {
  #from: SchedulerState
  #cycle = 0
  /** What the records have added since: the steps that ran, or are to be done again. */
  readonly #ran = new Set<string>()
  readonly #retries: string[] = []
  #place = 0
  #hasExecuted = false
  /** Places of the steps that the cycle starts with. */
  #again = new Map<string, number>()

  constructor(parallel: boolean) {
    this.#from = freshScheduler(parallel)
  }

  get state(): SchedulerState {
    const from = this.#from
    if (from.mode === 'parallel') return { ...from, ran: [...this.#ran] }
    return { ...from, place: this.#place, hasExecuted: this.#hasExecuted, retries: [...this.#retries] }
  }

  /** Goes on from a known place; `cycle` is the last that began. */
  set(state: SchedulerState, cycle: number): void {
    this.#cycle = cycle
    this.#goOnFrom(state)
  }

  note(record: StepRecord, program: Program): void {
    if (!this.#from.inCycle || record.cycle > this.#cycle) this.#startCycle(record.cycle)
    if (this.#from.mode === 'parallel') {
      if (record.cycle >= this.#cycle) this.#ran.add(record.flowIndex)
      return
    }
    const item = itemOf(record, program)
    if (item === null) return
    const again = this.#again.get(item.name) ?? -1
    const place = again >= this.#place ? again : this.#again.size + item.index
    if (record.status !== 'completed') this.#retries.push(item.name)
    this.#place = Math.max(this.#place, place + 1)
    this.#hasExecuted = true
  }

  #startCycle(cycle: number): void {
    this.#cycle = cycle
    const from = this.#from
    this.#goOnFrom(
      from.mode === 'parallel'
        ? { ...from, inCycle: true, ran: [], place: 0, hasStarted: false, passed: [] }
        : { ...from, inCycle: true, again: [...new Set(this.#retries)], place: 0, hasExecuted: false, retries: [] },
    )
  }

  #goOnFrom(state: SchedulerState): void {
    this.#from = state
    this.#ran.clear()
    this.#retries.length = 0
    if (state.mode === 'parallel') {
      for (const flowIndex of state.ran) this.#ran.add(flowIndex)
      return
    }
    this.#retries.push(...state.retries)
    this.#place = state.place
    this.#hasExecuted = state.hasExecuted
    this.#again = new Map(state.again.map((name, place) => [name, place]))
  }
}

// Steps that share a flow index infer different concepts.
function itemOf({ flowIndex, concept }: StepRecord, program: Program): Item | null {
  const items = program.slots[program.slotNumbers.get(flowIndex) ?? -1]?.items ?? []
  return items.find(({ entry }) => entry.conceptToInfer === concept) ?? items[0] ?? null
}
