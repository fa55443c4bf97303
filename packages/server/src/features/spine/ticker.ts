import type { Tx } from '#db/database'
import { spineFailed } from '#observe/spine-log'
import { applySteps } from './job-ends.ts'
import { dueChange } from './job-machine.ts'
import { selectDue, selectNextDue } from './job-store.ts'
import type { SpineParts } from './spine-parts.ts'

export interface TickerDeps {
  readonly parts: SpineParts
  /** What is done beside the jobs at every tick; gives when it wants to be called again at the latest, or null. */
  readonly chores: () => Promise<number | null>
}

const lookEveryMs = 1_000
const jobsAtOnce = 500
const longestTimerMs = 2_000_000_000

/** Lets happen what happens by itself, when its time comes. Every server does, and of each job one of them. */
export class Ticker implements AsyncDisposable {
  readonly #deps: TickerDeps
  #isStarted = false
  #isOver = false
  #working: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #nextAt: number | null = null
  #regular: NodeJS.Timeout | null = null

  constructor(deps: TickerDeps) {
    this.#deps = deps
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#regular = setInterval(() => this.#soon(), lookEveryMs)
    this.#regular.unref()
    this.#soon()
  }

  /** Something is to happen at that time. */
  expect(at: number | null): void {
    if (at === null || !this.#isStarted || this.#isOver) return
    if (this.#nextAt !== null && this.#nextAt <= at) return
    if (this.#timer) clearTimeout(this.#timer)
    this.#nextAt = at
    const waitMs = Math.min(Math.max(0, at - this.#deps.parts.now()), longestTimerMs)
    this.#timer = setTimeout(() => this.#soon(), waitMs)
    this.#timer.unref()
  }

  /** Lets everything happen that is due; gives how many jobs it did something to. */
  async settle(): Promise<number> {
    let settled = 0
    // Blocked ones first: what then gets its turn has time left.
    for (const isBlocked of [true, false]) {
      for (let count = jobsAtOnce; count === jobsAtOnce && !this.#isOver; settled += count)
        count = await this.#deps.parts.db.transaction(tx => this.#settleSome(tx, isBlocked))
    }
    return settled
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    if (this.#regular) clearInterval(this.#regular)
    if (this.#timer) clearTimeout(this.#timer)
    await this.#working
  }

  #soon(): void {
    this.#timer = null
    this.#nextAt = null
    this.#working = this.#working.then(() => this.#tick())
  }

  async #tick(): Promise<void> {
    if (this.#isOver) return
    try {
      await this.settle()
      const { db } = this.#deps.parts
      this.expect(await db.transaction(tx => selectNextDue(tx)))
      this.expect(await this.#deps.chores())
    } catch (error) {
      if (!this.#isOver) spineFailed(this.#deps.parts.log, { doing: 'what is due', error })
    }
  }

  // Blocked jobs go apart: whoever holds one of them locked must not wait for an ordering key.
  async #settleSome(tx: Tx, isBlocked: boolean): Promise<number> {
    const { parts } = this.#deps
    const now = parts.now()
    const jobs = await selectDue(tx, { now, isBlocked, limit: jobsAtOnce })
    const steps = jobs.flatMap(job => dueChange(job, now, parts.random()) ?? [])
    await applySteps(tx, steps, parts)
    return steps.length
  }
}
