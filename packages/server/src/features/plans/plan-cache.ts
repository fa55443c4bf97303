/** Values that are costly to make, the latest used ones kept. Who asks while one is made waits for the same one. */
export class PlanCache<T> {
  readonly #capacity: number
  readonly #entries = new Map<string, Promise<T>>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(key: string, make: () => Promise<T>): Promise<T> {
    const entry = this.#entries.get(key) ?? this.#made(key, make)
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.#capacity && oldest !== undefined) this.#entries.delete(oldest)
    return entry
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  #made(key: string, make: () => Promise<T>): Promise<T> {
    const entry = make()
    // A failure is not kept: the next one who asks tries again.
    entry.catch(() => this.#entries.get(key) === entry && this.#entries.delete(key))
    return entry
  }
}
