/** Lets a number of works be under way at a time; further ones wait in their order. */
export class Gate {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  /** Resolves when there is room. Disposing the result makes room again; repeating that changes nothing. */
  async enter(): Promise<Disposable> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    let isInside = true
    return {
      [Symbol.dispose]: () => {
        if (isInside) this.#leave()
        isInside = false
      },
    }
  }

  // Who waits longest gets the room without it ever being free.
  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }
}
