import type { Database, Tx } from '#db/database'
import { isStorageFault } from '#db/faults'

/** What came of one piece of work in a commit: its value, or why it was refused without harm to the others. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Error }

/** Work of one kind that goes into one transaction. */
export interface Portion {
  readonly size: number
  run(tx: Tx): Promise<void>
  /** The transaction is on disk. */
  settle(): void
  /** The transaction failed. */
  refuse(error: unknown): void
  /** The same work, piece by piece. */
  split(): readonly Portion[]
}

export interface Lane {
  /**
   * Takes work that waits; null when there is none. A portion of size 0 has no work of its own, but takes part in a
   * transaction that others are the reason for.
   */
  take(): Portion | null
}

/**
 * Writes what many callers ask for at the same time in one transaction, so that they share the cost of getting it to the
 * disk. Where the whole fails, each piece is written on its own, so that one that cannot be written does not take the
 * others with it.
 */
export class GroupCommit implements AsyncDisposable {
  readonly #db: Database
  readonly #lanes: Lane[] = []
  #flushing: Promise<void> | null = null
  #isOver = false

  constructor(db: Database) {
    this.#db = db
  }

  /** Lanes have their turn in each transaction in the order in which they were added. */
  add(...lanes: readonly Lane[]): void {
    this.#lanes.push(...lanes)
  }

  /** Something waits in a lane. */
  wake(): void {
    this.#flushing ??= this.#flush()
  }

  /** Resolves once everything that waited is written or refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    while (this.#flushing) await this.#flushing
  }

  get isOver(): boolean {
    return this.#isOver
  }

  async #flush(): Promise<void> {
    // One turn of the loop, so that what others ask for in this turn shares the commit.
    await new Promise(resolve => setImmediate(resolve))
    for (;;) {
      const portions = this.#lanes.flatMap(lane => lane.take() ?? [])
      if (portions.every(({ size }) => size === 0)) break
      await this.#commit(portions)
    }
    this.#flushing = null
  }

  async #commit(portions: readonly Portion[]): Promise<void> {
    try {
      await this.#write(portions)
    } catch (error) {
      // Where the database is gone, it is for each of them.
      if (isStorageFault(error) && !isDeadlock(error)) return refuseAll(portions, error)
      for (const portion of portions.flatMap(whole => whole.split())) await this.#commitOne(portion)
    }
  }

  async #commitOne(portion: Portion): Promise<void> {
    try {
      await this.#write([portion])
    } catch (error) {
      // Two transactions that waited for each other: Postgres has ended this one, and the other is through by now.
      if (!isDeadlock(error)) return portion.refuse(error)
      await this.#write([portion]).catch((again: unknown) => portion.refuse(again))
    }
  }

  async #write(portions: readonly Portion[]): Promise<void> {
    await this.#db.transaction(async tx => {
      for (const portion of portions) await portion.run(tx)
    })
    for (const portion of portions) portion.settle()
  }
}

function refuseAll(portions: readonly Portion[], error: unknown): void {
  for (const portion of portions) portion.refuse(error)
}

function isDeadlock(error: unknown): boolean {
  return (error as { readonly code?: unknown } | null)?.code === '40P01'
}

interface Entry<Input, Output> {
  readonly input: Input
  readonly resolve: (value: Output) => void
  readonly reject: (error: unknown) => void
}

export interface QueueLaneOptions<Input, Output> {
  /** Does the work of all inputs, and says of each in its place what came of it. */
  readonly work: (tx: Tx, inputs: readonly Input[]) => Promise<readonly Outcome<Output>[]>
  /** Inputs of the same key have their turn in different transactions. */
  readonly keyOf?: (input: Input) => string
  /** Most inputs in one transaction. */
  readonly limit: number
}

/** Work that waits in order. */
export class QueueLane<Input, Output> implements Lane {
  readonly #options: QueueLaneOptions<Input, Output>
  #waiting: Entry<Input, Output>[] = []

  constructor(options: QueueLaneOptions<Input, Output>) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.length
  }

  /** Resolves once the input's work is on disk. */
  add(input: Input): Promise<Output> {
    return new Promise((resolve, reject) => this.#waiting.push({ input, resolve, reject }))
  }

  take(): Portion | null {
    if (this.#waiting.length === 0) return null
    const { keyOf, limit } = this.#options
    const seen = new Set<string>()
    const taken: Entry<Input, Output>[] = []
    const left: Entry<Input, Output>[] = []
    for (const entry of this.#waiting) {
      const key = keyOf?.(entry.input)
      const fits = taken.length < limit && (key === undefined || !seen.has(key))
      if (key !== undefined) seen.add(key)
      if (fits) taken.push(entry)
      else left.push(entry)
    }
    this.#waiting = left
    return this.#portion(taken)
  }

  #portion(entries: readonly Entry<Input, Output>[]): Portion {
    let outcomes: readonly Outcome<Output>[] = []
    return {
      size: entries.length,
      run: async tx => {
        outcomes = await this.#options.work(
          tx,
          entries.map(({ input }) => input),
        )
      },
      settle: () => {
        entries.forEach((entry, index) => {
          const outcome = outcomes[index]
          if (outcome?.ok === true) entry.resolve(outcome.value)
          else entry.reject(outcome?.error ?? new Error('A piece of work has no outcome.'))
        })
      },
      refuse: error => {
        for (const { reject } of entries) reject(error)
      },
      split: () => entries.map(entry => this.#portion([entry])),
    }
  }
}
