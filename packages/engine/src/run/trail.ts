import type { Item, Program } from './program.ts'
import type { StepRecord } from './records.ts'
import { freshScheduler, type SchedulerState } from './scheduler-state.ts'

/**
 * Where the order of steps stood after a record, worked out from the records alone. In sequential mode that is exactly
 * where the run stood; in parallel mode the pass over the steps begins anew, which changes no value.
 */
export class Trail {
  #state: SchedulerState
  #cycle = 0

  constructor(parallel: boolean) {
    this.#state = freshScheduler(parallel)
  }

  get state(): SchedulerState {
    return this.#state
  }

  /** Goes on from a known place; `cycle` is the last that began. */
  set(state: SchedulerState, cycle: number): void {
    this.#state = state
    this.#cycle = cycle
  }

  note(record: StepRecord, program: Program): void {
    const isNewCycle = !this.#state.inCycle || record.cycle > this.#cycle
    if (isNewCycle) this.#startCycle(record.cycle)
    const state = this.#state
    if (state.mode === 'parallel') {
      if (record.cycle < this.#cycle || state.ran.includes(record.flowIndex)) return
      this.#state = { ...state, ran: [...state.ran, record.flowIndex] }
      return
    }
    const item = itemOf(record, program)
    if (item === null) return
    const again = state.again.indexOf(item.name)
    const place = again >= state.place ? again : state.again.length + item.index
    const retries = record.status === 'completed' ? state.retries : [...state.retries, item.name]
    this.#state = { ...state, place: Math.max(state.place, place + 1), hasExecuted: true, retries }
  }

  #startCycle(cycle: number): void {
    this.#cycle = cycle
    const state = this.#state
    this.#state =
      state.mode === 'parallel'
        ? { ...state, inCycle: true, ran: [], place: 0, hasStarted: false, passed: [] }
        : { ...state, inCycle: true, again: [...new Set(state.retries)], place: 0, hasExecuted: false, retries: [] }
  }
}

// Steps that share a flow index infer different concepts.
function itemOf({ flowIndex, concept }: StepRecord, program: Program): Item | null {
  const items = program.slots[program.slotNumbers.get(flowIndex) ?? -1]?.items ?? []
  return items.find(({ entry }) => entry.conceptToInfer === concept) ?? items[0] ?? null
}
