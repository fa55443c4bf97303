import type { Message } from './message-store.ts'

/** What one live reader may have waiting in memory before it is cut. */
export interface LiveBounds {
  readonly messages: number
  readonly bytes: number
}

/** A bounded queue of live messages for one reader. It never makes the writer wait. */
export class LiveMessages implements Disposable {
  readonly #bounds: LiveBounds
  readonly #signal: AbortSignal
  #waiting: Message[] = []
  #bytes = 0
  /** Messages that were not offered may be in the log, from which the reader takes them at its own pace. */
  #mustLook = true
  /** The reader is busy with the log, which costs nobody anything. */
  #isLooking = false
  #isCut = false
  /** How many gaps there were before what is offered when it last looked, or is to look. */
  #gaps = 0
  #wake: (() => void) | null = null

  constructor(bounds: LiveBounds, signal: AbortSignal) {
    this.#bounds = bounds
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** `gaps` says how often messages before this one were not offered: those are in the log. */
  offer(message: Message, gaps: number): void {
    const isBehindGap = gaps !== this.#gaps
    this.#gaps = gaps
    // Whoever is still to read the log finds it there.
    if (this.#mustLook || this.#isCut) return
    if (isBehindGap) return this.look()
    this.#waiting.push(message)
    this.#bytes += message.payload.byteLength
    if (this.#waiting.length > this.#bounds.messages || this.#bytes > this.#bounds.bytes) {
      if (this.#isLooking) return this.look()
      this.#isCut = true
      this.#clear()
    }
    this.#wake?.()
  }

  /** Something may have been committed that was not offered. */
  look(): void {
    this.#mustLook = true
    this.#clear()
    this.#wake?.()
  }

  /**
   * The next live messages; waits for the first of them. `look` when the log is to be read: from then on what is offered
   * is kept. `cut` when too much waited. Null once the signal has aborted.
   */
  async next(): Promise<readonly Message[] | 'look' | 'cut' | null> {
    this.#isLooking = false
    if (this.#waiting.length === 0 && !this.#mustLook && !this.#isCut && !this.#signal.aborted) await this.#arrival()
    if (this.#signal.aborted) return null
    if (this.#isCut) return 'cut'
    if (this.#mustLook) {
      this.#mustLook = false
      this.#isLooking = true
      return 'look'
    }
    const batch = this.#waiting
    this.#clear()
    return batch
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#clear()
  }

  #clear(): void {
    this.#waiting = []
    this.#bytes = 0
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
