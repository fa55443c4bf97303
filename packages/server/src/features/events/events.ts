import type { EventName, RunEvent } from '@slipway/protocol/events'
import type { Reader, Tx } from '#db/database'
import { insertEvents, lastEventId, lastSeqOfRun, readEvents } from './event-store.ts'
import { Subscription } from './subscription.ts'

/** An event before it has its server-wide number. */
export interface EventDraft {
  readonly runId: string | null
  /** The run's own number, given by whoever drives it; 0 for events of no run. */
  readonly seq: number
  readonly event: EventName
  /** Milliseconds since 1970. */
  readonly ts: number
  readonly data: Readonly<Record<string, unknown>>
}

export interface FollowOptions {
  readonly runId: string | null
  /** The last number the reader has seen; for all events, `null` means from now on. */
  readonly after: number | null
  readonly signal: AbortSignal
}

// Behind by more than this, a live reader is cut; it comes back with `after` and reads from the log.
const liveCapacity = 5000
const pageSize = 500

/** The append-only log of what happened, and the live readers behind it. */
export class EventLog {
  readonly #reader: Reader
  readonly #subscriptions = new Set<Subscription>()

  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** Writes the events as part of the caller's transaction; live readers see them once it is on disk. */
  async append(tx: Tx, drafts: readonly EventDraft[]): Promise<void> {
    if (drafts.length === 0) return
    const events = await insertEvents(tx, drafts)
    tx.afterCommit(() => this.#publish(events))
  }

  lastSeqOfRun(runId: string): Promise<number> {
    return lastSeqOfRun(this.#reader, runId)
  }

  /** The newest server-wide number. */
  lastId(): Promise<number> {
    return lastEventId(this.#reader)
  }

  read(runId: string, after: number, limit: number): Promise<RunEvent[]> {
    return readEvents(this.#reader, { runId, after, limit })
  }

  /**
   * All events behind `after`, first from the log and then live, each once and without a gap. Throws `SlowReader`
   * when the reader falls too far behind.
   */
  async *follow(options: FollowOptions): AsyncGenerator<RunEvent> {
    // Listen first and read second, so that no event falls between the two; repeats are dropped by number.
    using live = new Subscription(options.runId, { capacity: liveCapacity, signal: options.signal })
    this.#subscriptions.add(live)
    try {
      let seen = options.after ?? (options.runId === null ? await this.lastId() : 0)
      for (;;) {
        const page = await readEvents(this.#reader, { runId: options.runId, after: seen, limit: pageSize })
        for (const event of page) {
          options.signal.throwIfAborted()
          seen = numberOf(event, options.runId)
          yield event
        }
        if (page.length < pageSize) break
      }
      for await (const event of live) {
        if (numberOf(event, options.runId) <= seen) continue
        seen = numberOf(event, options.runId)
        yield event
      }
    } finally {
      this.#subscriptions.delete(live)
    }
  }

  #publish(events: readonly RunEvent[]): void {
    for (const subscription of this.#subscriptions) for (const event of events) subscription.offer(event)
  }
}

function numberOf(event: RunEvent, runId: string | null): number {
  return runId === null ? event.id : event.seq
}
