import type { RunEvent } from '@slipway/protocol/events'

/** A bounded queue of live events for one reader. It never makes the writer wait. */
export class Subscription implements Disposable {
  /** Null for the events of all runs. */
  readonly runId: string | null
  readonly #capacity: number
  readonly #signal: AbortSignal
  #waiting: RunEvent[] = []
  #hasGap = false
  #wake: (() => void) | null = null

  constructor(runId: string | null, options: { readonly capacity: number; readonly signal: AbortSignal }) {
    this.runId = runId
    this.#capacity = options.capacity
    this.#signal = options.signal
    options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  offer(event: RunEvent): void {
    if (this.#hasGap || (this.runId !== null && event.run_id !== this.runId)) return
    if (this.#waiting.length >= this.#capacity) return this.lose()
    this.#waiting.push(event)
    this.#wake?.()
  }

  /** Events that were not offered may be in the log. */
  lose(): void {
    this.#hasGap = true
    this.#waiting = []
    this.#wake?.()
  }

  /**
   * The next live events; waits for the first of them. `gap` when some were dropped because too many were waiting, or were
   * never offered: they are in the log, and what is offered from now on is kept again. Null once the signal has aborted.
   */
  async next(): Promise<readonly RunEvent[] | 'gap' | null> {
    if (this.#waiting.length === 0 && !this.#hasGap && !this.#signal.aborted) await this.#arrival()
    if (this.#signal.aborted) return null
    if (this.#hasGap) {
      this.#hasGap = false
      return 'gap'
    }
    const batch = this.#waiting
    this.#waiting = []
    return batch
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#waiting = []
  }

  #arrival(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
    })
  }

  readonly #onAbort = (): void => this.#wake?.()
}
