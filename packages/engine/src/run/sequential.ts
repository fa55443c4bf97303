import { IndexSet } from './index-set.ts'
import type { Item } from './program.ts'
import { isReady } from './readiness.ts'
import type { EndReason } from './records.ts'
import { freshScheduler, type SchedulerState } from './scheduler-state.ts'
import type { Steps } from './steps.ts'
import { touchedBy } from './touched.ts'

/** Looking at a step that may or may not be ready. */
export const VISIT_UNITS = 0.2

/** Decides which step starts next. */
export interface Scheduler {
  /**
   * Starts what may start now, for one turn. The reason why nothing will start any more; `more` when the host is to call
   * again before it gives outcomes; null while the run waits for outcomes, or the gate holds what could start.
   */
  readonly pump: () => 'finished' | EndReason | 'more' | null
  /** Where it stands; no step may be active that it does not know of already. */
  readonly save: () => SchedulerState
  /** Goes on from where another one stood. */
  readonly load: (state: SchedulerState) => void
}

/**
 * The order of the reference engine: one step at a time, in cycles. A cycle goes over the steps that did not complete
 * in the one before, then over all others in flow order, and starts each that is ready when its turn comes. Those that
 * were not ready at their last turn, and for which nothing has changed since, are passed over.
 */
export class SequentialScheduler implements Scheduler {
  readonly #steps: Steps
  readonly #maxCycles: number
  /** The steps that come first in this cycle, and their numbers once more. */
  #again: readonly number[] = []
  #isAgain: ReadonlySet<number> = new Set()
  /** Steps that had their turn in this cycle, of those that come first and then of all. */
  #place = 0
  #hasExecuted = false
  #retries: number[] = []
  #inCycle = false
  /** The step that was started last, until it is known how it ended. */
  #latest: number | null = null
  /** Steps that may be ready, by index; null when all may be. */
  #due: IndexSet | null = null

  constructor(steps: Steps, maxCycles: number) {
    this.#steps = steps
    this.#maxCycles = maxCycles
    steps.onEnd = (_item, record) => touchedBy(steps.state.program, record, this.#touch)
  }

  pump(): 'finished' | EndReason | 'more' | null {
    const steps = this.#steps
    const due = (this.#due ??= IndexSet.full(steps.state.program.items.length))
    steps.refill()
    for (;;) {
      if (steps.isSpent) return 'more'
      if (steps.active.size > 0) return null
      this.#noteRetry()
      steps.offerSnapshot(this.save)
      const { state } = steps
      const item = this.#next(due)
      if (item !== null) {
        steps.spend(VISIT_UNITS)
        if (isReady(state, item)) {
          if (steps.holds(item)) return null
          due.delete(item.index)
          this.#latest = item.index
          this.#hasExecuted = true
          this.#place++
          steps.start(item, state.tracker.cycleCount)
        } else {
          due.delete(item.index)
          this.#place++
        }
        continue
      }
      if (this.#inCycle && !this.#endCycle()) return 'deadlock'
      if (state.unfinished === 0) return 'finished'
      if (state.tracker.cycleCount - state.cyclesFrom >= this.#maxCycles) return 'max_cycles'
      this.#startCycle()
    }
  }

  readonly save = (): SchedulerState => {
    if (this.#steps.active.size === 0) this.#noteRetry()
    const { items } = this.#steps.state.program
    const nameOf = (index: number): string => items[index]?.name ?? ''
    return {
      mode: 'sequential',
      inCycle: this.#inCycle,
      again: this.#again.map(nameOf),
      place: this.#place,
      hasExecuted: this.#hasExecuted,
      retries: this.#retries.map(nameOf),
    }
  }

  load(saved: SchedulerState): void {
    const { itemNumbers } = this.#steps.state.program
    const from = saved.mode === 'sequential' ? saved : freshScheduler(false)
    if (from.mode !== 'sequential') return
    const numberOf = (name: string): number[] => {
      const index = itemNumbers.get(name)
      return index === undefined ? [] : [index]
    }
    this.#again = from.again.flatMap(numberOf)
    this.#isAgain = new Set(this.#again)
    this.#place = from.place
    this.#hasExecuted = from.hasExecuted
    this.#retries = from.retries.flatMap(numberOf)
    this.#inCycle = from.inCycle
    this.#due = null
    if (this.#steps.active.size === 0) this.#latest = null
  }

  readonly #touch = (item: Item): void => {
    this.#steps.spend(VISIT_UNITS)
    this.#due?.add(item.index)
  }

  // The next step that may be ready and has not had its turn in this cycle; null at its end.
  #next(due: IndexSet): Item | null {
    if (!this.#inCycle) return null
    const { items } = this.#steps.state.program
    const first = this.#again.length
    for (; this.#place < first; this.#place++) {
      const index = this.#again[this.#place] ?? -1
      if (due.has(index)) return items[index] ?? null
    }
    let index = due.next(this.#place - first)
    while (index >= 0 && this.#isAgain.has(index)) index = due.next(index + 1)
    this.#place = first + (index < 0 ? items.length : index)
    return items[index] ?? null
  }

  // Decided as soon as the step has ended: one that a loop resets later in the cycle keeps its place in the flow order.
  #noteRetry(): void {
    const { items } = this.#steps.state.program
    const item = this.#latest === null ? undefined : items[this.#latest]
    this.#latest = null
    if (item !== undefined && this.#steps.state.statusOf(item) !== 'completed') this.#retries.push(item.index)
  }

  #startCycle(): void {
    const { state } = this.#steps
    this.#isAgain = new Set(this.#retries)
    this.#again = [...this.#isAgain]
    this.#place = 0
    this.#hasExecuted = false
    this.#retries = []
    this.#inCycle = true
    state.tracker.cycleCount++
    this.#steps.emit({ type: 'cycle:started', cycle: state.tracker.cycleCount })
  }

  #endCycle(): boolean {
    const progressMade = this.#hasExecuted
    this.#inCycle = false
    this.#steps.emit({ type: 'cycle:completed', cycle: this.#steps.state.tracker.cycleCount, progressMade })
    return progressMade
  }
}
