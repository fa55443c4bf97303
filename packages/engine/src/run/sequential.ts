import type { Item } from './program.ts'
import { isReady } from './readiness.ts'
import type { EndReason } from './records.ts'
import type { Steps } from './steps.ts'

/** Looking at a step that may or may not be ready. */
export const VISIT_UNITS = 0.2

/** Decides which step starts next. */
export interface Scheduler {
  /**
   * Starts what may start now, for one turn. The reason why nothing will start any more; `more` when the host is to call
   * again before it gives outcomes; null while the run waits for outcomes.
   */
  readonly pump: () => 'finished' | EndReason | 'more' | null
}

/**
 * The order of the reference engine: one step at a time, in cycles. A cycle goes over the steps that did not complete
 * in the one before, then over all others in flow order, and starts each that is ready when its turn comes.
 */
export class SequentialScheduler implements Scheduler {
  readonly #steps: Steps
  readonly #maxCycles: number
  #order: readonly Item[] = []
  #place = 0
  /** The step that was started last, until it is known how it ended. */
  #latest: Item | null = null
  #hasExecuted = false
  #retries: Item[] = []
  #inCycle = false

  constructor(steps: Steps, maxCycles: number) {
    this.#steps = steps
    this.#maxCycles = maxCycles
  }

  pump(): 'finished' | EndReason | 'more' | null {
    const steps = this.#steps
    const { state } = steps
    steps.refill()
    for (;;) {
      if (steps.isSpent) return 'more'
      if (steps.active.size > 0) return null
      this.#noteRetry()
      const item = this.#order[this.#place]
      if (item !== undefined) {
        this.#place++
        steps.spend(VISIT_UNITS)
        if (!isReady(state, item)) continue
        this.#latest = item
        this.#hasExecuted = true
        steps.start(item, state.tracker.cycleCount)
        continue
      }
      if (this.#inCycle && !this.#endCycle()) return 'deadlock'
      if (state.unfinished === 0) return 'finished'
      if (state.tracker.cycleCount >= this.#maxCycles) return 'max_cycles'
      this.#startCycle()
    }
  }

  // Decided as soon as the step has ended: one that a loop resets later in the cycle keeps its place in the flow order.
  #noteRetry(): void {
    const item = this.#latest
    this.#latest = null
    if (item !== null && this.#steps.state.statusOf(item) !== 'completed') this.#retries.push(item)
  }

  #startCycle(): void {
    const { state } = this.#steps
    const again = new Set(this.#retries)
    this.#order = [...again, ...state.program.items.filter(item => !again.has(item))]
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
