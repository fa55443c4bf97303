import { sleep } from '@slipway/kit/abort'
import type { Tx } from '#db/database'
import { jobsRemoved, spineFailed } from '#observe/spine-log'
import type { QueueRow } from './queue-store.ts'
import type { SpineParts } from './spine-parts.ts'
import {
  deleteEmptyQueues,
  deleteFreeMessages,
  deleteJobs,
  deleteMessagesOf,
  selectOver,
  selectQueuesOver,
} from './spine-retention-store.ts'

/** How long what is over is kept; 0 is without limit. */
export interface SpinePolicy {
  readonly jobDays: number
  /** Of each queue, the newest, dead ones apart. */
  readonly jobsPerQueue: number
  readonly deadDays: number
  readonly messageDays: number
  /** Messages that are of no job: only those among the newest of all. */
  readonly messages: number
}

export interface Removed {
  jobs: number
  messages: number
}

const dayMs = 86_400_000
const firstPassAfterMs = 45_000
const passEveryMs = 15 * 60_000
const jobsAtOnce = 200
const messagesAtOnce = 1_000
const pauseMs = 5

/** Removes what is over, bit by bit, so that others work in between. */
export class SpineRetention implements AsyncDisposable {
  readonly #parts: SpineParts
  readonly #policy: SpinePolicy
  readonly #stop = new AbortController()
  #passes: Promise<void> = Promise.resolve()

  constructor(parts: SpineParts, policy: SpinePolicy) {
    this.#parts = parts
    this.#policy = policy
  }

  start(): void {
    this.#passes = this.#repeat()
  }

  /** Removes everything that is to go now. */
  async pass(): Promise<Removed> {
    const removed: Removed = { jobs: 0, messages: 0 }
    const { db, now } = this.#parts
    let after = { organisation: '', topic: '' }
    for (let queues = await selectQueuesOver(db.read, after); queues.length > 0;) {
      for (const queue of queues) await this.#removeOf(queue, removed)
      after = queues.at(-1) ?? after
      queues = await selectQueuesOver(db.read, after)
    }
    const before = this.#policy.messageDays === 0 ? 0 : Math.floor(now() - this.#policy.messageDays * dayMs)
    const keep = this.#policy.messages === 0 ? Number.MAX_SAFE_INTEGER : this.#policy.messages
    const limit = messagesAtOnce
    await this.#portions(async tx => {
      const count = await deleteFreeMessages(tx, { before, keep, limit })
      removed.messages += count
      return count === limit
    })
    await db.transaction(deleteEmptyQueues)
    this.#parts.counters.add('removed', removed.jobs)
    return removed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#passes
  }

  async #repeat(): Promise<void> {
    const { log } = this.#parts
    const { signal } = this.#stop
    for (let pause = firstPassAfterMs; !signal.aborted; pause = passEveryMs) {
      await sleep(pause, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        const removed = await this.pass()
        if (removed.jobs + removed.messages > 0) jobsRemoved(log, removed)
      } catch (error) {
        if (!this.#stop.signal.aborted) spineFailed(log, { doing: 'retention', error })
      }
    }
  }

  async #removeOf(queue: QueueRow, removed: Removed): Promise<void> {
    const { jobDays, jobsPerQueue, deadDays } = this.#policy
    const now = this.#parts.now()
    if (jobDays > 0) await this.#remove('finished', { queue, before: Math.floor(now - jobDays * dayMs) }, removed)
    if (deadDays > 0) await this.#remove('dead', { queue, before: Math.floor(now - deadDays * dayMs) }, removed)
    if (jobsPerQueue === 0) return
    for (const kind of ['finished', 'dead'] as const) {
      const most = queue[kind] - jobsPerQueue
      if (most > 0) await this.#remove(kind, { queue, before: now, most }, removed)
    }
  }

  async #remove(
    kind: 'finished' | 'dead',
    { queue, before, most = Number.MAX_SAFE_INTEGER }: { queue: QueueRow; before: number; most?: number },
    removed: Removed,
  ): Promise<void> {
    let left = most
    await this.#portions(async tx => {
      const ids = await selectOver(tx, kind, { queue, before, limit: Math.min(jobsAtOnce, left) })
      if (ids.length === 0) return false
      const messages = await deleteMessagesOf(tx, ids, messagesAtOnce)
      removed.messages += messages
      // Jobs with long streams take several portions.
      if (messages === messagesAtOnce) return true
      await deleteJobs(tx, ids)
      this.#parts.outboxes.of(tx).count(queue, { [kind]: -ids.length })
      removed.jobs += ids.length
      left -= ids.length
      return left > 0
    })
  }

  async #portions(portion: (tx: Tx) => Promise<boolean>): Promise<void> {
    for (let more = true; more; await sleep(pauseMs)) {
      this.#stop.signal.throwIfAborted()
      more = await this.#parts.db.transaction(portion)
    }
  }
}
