/** Lets `limit` runs execute at a time; the others wait in the order in which they came. */
export class RunQueue {
  readonly #limit: number
  readonly #start: (runId: string) => void
  readonly #running = new Set<string>()
  #waiting: string[] = []

  constructor(limit: number, start: (runId: string) => void) {
    this.#limit = limit
    this.#start = start
  }

  add(runId: string): void {
    this.#waiting.push(runId)
    this.#fill()
  }

  /** Takes a waiting run out. False when it is not waiting. */
  remove(runId: string): boolean {
    const before = this.#waiting.length
    this.#waiting = this.#waiting.filter(id => id !== runId)
    return this.#waiting.length < before
  }

  finished(runId: string): void {
    this.#running.delete(runId)
    this.#fill()
  }

  /** From 1, or null for a run that does not wait. */
  positionOf(runId: string): number | null {
    const index = this.#waiting.indexOf(runId)
    return index === -1 ? null : index + 1
  }

  counts(): { readonly running: number; readonly pending: number } {
    return { running: this.#running.size, pending: this.#waiting.length }
  }

  /** Starts nothing more. */
  stop(): void {
    this.#waiting = []
  }

  #fill(): void {
    while (this.#running.size < this.#limit) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#running.add(next)
      this.#start(next)
    }
  }
}
