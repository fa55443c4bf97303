/** Looking costs a query or two: what comes in quick succession is looked at once. */
const soonestMs = 50
/** What another server has changed is told by nobody. */
const latestMs = 1_000

/** When to look at a job again: soon after it was told, and now and then. */
export class Wakes implements Disposable {
  readonly #signal: AbortSignal
  #timer: NodeJS.Timeout | null = null
  #wake: ((look: 'look') => void) | null = null
  #waiting: Promise<'look'> | null = null
  #isTold = false
  #lookedAt = 0

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  tell(): void {
    this.#isTold = true
    this.#arm()
  }

  /** The same promise until it has resolved. */
  next(): Promise<'look'> {
    this.#waiting ??= new Promise(resolve => {
      this.#wake = resolve
      this.#arm()
      if (this.#signal.aborted) this.#resolve()
    })
    return this.#waiting
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #arm(): void {
    if (this.#wake === null) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    const at = this.#lookedAt + (this.#isTold ? soonestMs : latestMs)
    this.#timer = setTimeout(() => this.#resolve(), Math.max(0, at - performance.now()))
  }

  #resolve(): void {
    const wake = this.#wake
    this.#wake = null
    this.#waiting = null
    this.#isTold = false
    this.#lookedAt = performance.now()
    wake?.('look')
  }

  readonly #onAbort = (): void => this.#resolve()
}
