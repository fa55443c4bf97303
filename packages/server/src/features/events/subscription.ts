import type { EventSource, LoggedEvent } from './events.ts'

/** A bounded queue of live events for one reader. It never makes the writer wait. */
export class Subscription implements Disposable {
  readonly source: EventSource
  readonly #capacity: number
  readonly #signal: AbortSignal
  #waiting: LoggedEvent[] = []
  #hasGap = false
  #wake: (() => void) | null = null

  constructor(source: EventSource, options: { readonly capacity: number; readonly signal: AbortSignal }) {
    this.source = source
    this.#capacity = options.capacity
    this.#signal = options.signal
    options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** Whoever follows all events takes those of other organisations too, for their numbers. */
  offer(logged: LoggedEvent): void {
    const { organisation, runId } = this.source
    const isForeign = runId !== null && (logged.event.run_id !== runId || logged.organisation !== organisation)
    if (this.#hasGap || isForeign) return
    if (this.#waiting.length >= this.#capacity) return this.lose()
    this.#waiting.push(logged)
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
  async next(): Promise<readonly LoggedEvent[] | 'gap' | null> {
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
