import { subjectOf } from '@slipway/protocol/bus/subjects'
import type { Database, Tx } from '#db/database'
import { LiveMessages, type LiveBounds } from './live-messages.ts'
import {
  insertMessages,
  lastSeq,
  readPieces,
  readResult,
  readTopics,
  type Message,
  type MessageDraft,
  type StoredMessage,
} from './message-store.ts'
import type { Outboxes, Tidings } from './outbox.ts'

/** What a reader gets: messages, and as the last of all that it was cut, with the number behind which it may go on. */
export type Delivery =
  | { readonly type: 'message'; readonly message: Message }
  | { readonly type: 'cut'; readonly reason: 'slow_reader'; readonly after: number }

export interface FollowTopics {
  readonly organisation: string
  readonly topics: readonly string[]
  /** The number of the last message that the reader has; null for from now on. */
  readonly after: number | null
  readonly signal: AbortSignal
}

export interface FollowJob {
  readonly organisation: string
  readonly jobId: string
  /** The number of the last piece that the reader has; 0 for all that are kept. */
  readonly after: number
  readonly signal: AbortSignal
}

export interface MessageLogDeps {
  readonly db: Database
  readonly outboxes: Outboxes
  readonly bounds: LiveBounds
  /** Whether a job is over; null when there is none. */
  readonly isOver: (organisation: string, jobId: string) => Promise<boolean | null>
}

const pageSize = 200

/** Everything published that is no job, in the order of commits, and the live readers behind it. */
export class MessageLog {
  readonly #deps: MessageLogDeps
  readonly #readers = new Map<string, Set<LiveMessages>>()
  readonly #drafts = new WeakMap<Tx, MessageDraft[]>()
  /** The newest number that was offered to readers here, and how often some before such a one were not. */
  #last = 0
  #gaps = 0

  constructor(deps: MessageLogDeps) {
    this.#deps = deps
  }

  /** Writes the messages at the end of the caller's transaction; live readers get them once it is on disk. */
  append(tx: Tx, drafts: readonly MessageDraft[]): void {
    if (drafts.length === 0) return
    const outbox = this.#deps.outboxes.of(tx)
    for (const { organisation, topic, jobId } of drafts) {
      outbox.subjects.add(subjectOf(organisation, topic))
      if (jobId !== null) outbox.subjects.add(jobKey(jobId))
    }
    const known = this.#drafts.get(tx)
    if (known) {
      known.push(...drafts)
      return
    }
    const all = [...drafts]
    this.#drafts.set(tx, all)
    tx.beforeCommit('messages', async () => {
      const stored = await insertMessages(tx, all)
      tx.afterCommit(() => this.#publish(stored))
    })
  }

  /** The number of the newest message of all. */
  last(): Promise<number> {
    return lastSeq(this.#deps.db.read)
  }

  /** Messages of an organisation's topics behind a number, first from the log and then live, each once and in order. */
  async *followTopics({ organisation, topics, after, signal }: FollowTopics): AsyncGenerator<Delivery, void> {
    const keys = topics.map(topic => subjectOf(organisation, topic))
    using live = this.#listen(keys, signal)
    const { db } = this.#deps
    let seen = after ?? (await this.last())
    for (let batch = await live.next(); batch !== null; batch = await live.next()) {
      if (batch === 'cut') {
        yield { type: 'cut', reason: 'slow_reader', after: seen }
        return
      }
      if (batch !== 'look') {
        for (const message of batch) {
          if (message.seq <= seen) continue
          seen = message.seq
          yield { type: 'message', message }
        }
        continue
      }
      for (let page: Message[] | null = null; page === null || page.length === pageSize;) {
        page = await readTopics(db.read, topics, { organisation, after: seen, limit: pageSize })
        for (const message of page) {
          if (signal.aborted) return
          seen = message.seq
          yield { type: 'message', message }
        }
      }
    }
  }

  /**
   * The pieces of a job's stream behind a number, first from the log and then live, and at the end the job's result. Ends
   * at once where there is no such job.
   */
  async *followJob({ organisation, jobId, after, signal }: FollowJob): AsyncGenerator<Delivery, void> {
    using live = this.#listen([jobKey(jobId)], signal)
    let seen = after
    for (let batch = await live.next(); batch !== null; batch = await live.next()) {
      if (batch === 'cut') {
        yield { type: 'cut', reason: 'slow_reader', after: seen }
        return
      }
      const messages = batch === 'look' ? this.#logged({ organisation, jobId, after: seen, signal }) : batch
      for await (const message of messages) {
        if (message === null) return
        const isResult = message.type === 'job_result'
        if (!isResult && (message.n ?? 0) <= seen) continue
        seen = message.n ?? seen
        yield { type: 'message', message }
        if (isResult) return
      }
    }
  }

  result(organisation: string, jobId: string): Promise<Message | null> {
    return readResult(this.#deps.db.read, organisation, jobId)
  }

  heard(tidings: Tidings | 'everything'): void {
    const keys = tidings === 'everything' ? this.#readers.keys() : tidings.subjects
    for (const key of keys) for (const reader of this.#readers.get(key) ?? []) reader.look()
  }

  /** The pieces in the log, and the result where the job is over; null at the end when there is no more to come. */
  async *#logged({ organisation, jobId, after, signal }: FollowJob): AsyncGenerator<Message | null, void> {
    const { db, isOver } = this.#deps
    // Asked first: what is over then has all its pieces in the log.
    const over = await isOver(organisation, jobId)
    if (over === null) {
      yield null
      return
    }
    let seen = after
    for (let page: Message[] | null = null; page === null || page.length === pageSize;) {
      page = await readPieces(db.read, jobId, { organisation, after: seen, limit: pageSize })
      for (const piece of page) {
        if (signal.aborted) return
        seen = piece.n ?? seen
        yield piece
      }
    }
    if (over) yield await readResult(db.read, organisation, jobId)
  }

  #listen(keys: readonly string[], signal: AbortSignal): LiveMessages {
    const live = new LiveMessages(this.#deps.bounds, signal)
    for (const key of keys) {
      const readers = this.#readers.get(key) ?? new Set()
      this.#readers.set(key, readers.add(live))
    }
    const dispose = live[Symbol.dispose].bind(live)
    live[Symbol.dispose] = () => {
      dispose()
      for (const key of keys) this.#forget(key, live)
    }
    return live
  }

  #forget(key: string, live: LiveMessages): void {
    const readers = this.#readers.get(key)
    readers?.delete(live)
    if (readers?.size === 0) this.#readers.delete(key)
  }

  /**
   * Numbers have no gaps: what lies between two was committed by another server, or is told out of turn. Its own notice
   * may still be on its way, so that readers look into the log for it before they go on.
   */
  #publish(stored: readonly StoredMessage[]): void {
    if (stored[0]?.message.seq !== this.#last + 1) this.#gaps += 1
    this.#last = Math.max(this.#last, stored.at(-1)?.message.seq ?? 0)
    if (this.#readers.size === 0) return
    for (const { organisation, message } of stored) {
      const keys = [subjectOf(organisation, message.topic)]
      if (message.job_id !== undefined) keys.push(jobKey(message.job_id))
      for (const key of keys) for (const reader of this.#readers.get(key) ?? []) reader.offer(message, this.#gaps)
    }
  }
}

function jobKey(jobId: string): string {
  return `job.${jobId}`
}
