import type { RunEvent } from '@slipway/protocol/events'

/** The reader fell further behind than the server keeps for it. */
export class SlowReader extends Error {
  override readonly name = 'SlowReader'
}

/** A bounded queue of live events for one reader. It never makes the writer wait. */
export class Subscription implements Disposable {
  readonly #runId: string | null
  readonly #capacity: number
  readonly #signal: AbortSignal
  #waiting: RunEvent[] = []
  #overflown = false
  #wake: (() => void) | null = null

  constructor(runId: string | null, options: { readonly capacity: number; readonly signal: AbortSignal }) {
    this.#runId = runId
    this.#capacity = options.capacity
    this.#signal = options.signal
    options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  offer(event: RunEvent): void {
    if (this.#overflown || (this.#runId !== null && event.run_id !== this.#runId)) return
    if (this.#waiting.length >= this.#capacity) {
      this.#overflown = true
      this.#waiting = []
    } else {
      this.#waiting.push(event)
    }
    this.#wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent> {
    for (;;) {
      if (this.#signal.aborted) return
      if (this.#overflown)
        throw new SlowReader('The reader is too slow. Connect again with the last number it has seen.')
      const batch = this.#waiting
      this.#waiting = []
      yield* batch
      if (this.#waiting.length === 0 && !this.#overflown && !this.#signal.aborted) await this.#arrival()
    }
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
