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

// What waits in memory for one live reader; behind by more, it reads from the log.
const usualLiveCapacity = 5000
const pageSize = 500

/** The append-only log of what happened, and the live readers behind it. */
export class EventLog {
  readonly #reader: Reader
  readonly #liveCapacity: number
  readonly #subscriptions = new Set<Subscription>()

  constructor(reader: Reader, liveCapacity = usualLiveCapacity) {
    this.#reader = reader
    this.#liveCapacity = liveCapacity
  }

  /** Writes the events at the end of the caller's transaction; live readers see them once it is on disk. */
  append(tx: Tx, drafts: readonly EventDraft[]): Promise<void> {
    if (drafts.length > 0) {
      tx.beforeCommit(async () => {
        const events = await insertEvents(tx, drafts)
        tx.afterCommit(() => this.#publish(events))
      })
    }
    return Promise.resolve()
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
   * All events behind `after`, first from the log and then live, each once and without a gap. A reader that falls behind
   * reads on from the log; nobody waits for it.
   */
  async *follow(options: FollowOptions): AsyncGenerator<RunEvent> {
    // Listen first and read second, so that no event falls between the two; repeats are dropped by number.
    using live = new Subscription(options.runId, { capacity: this.#liveCapacity, signal: options.signal })
    this.#subscriptions.add(live)
    try {
      let seen = options.after ?? (options.runId === null ? await this.lastId() : 0)
      let batch: Awaited<ReturnType<Subscription['next']>> = 'gap'
      while (batch !== null) {
        const events = batch === 'gap' ? this.#logged(options, seen) : batch
        for await (const event of events) {
          if (numberOf(event, options.runId) <= seen) continue
          seen = numberOf(event, options.runId)
          yield event
        }
        batch = await live.next()
      }
    } finally {
      this.#subscriptions.delete(live)
    }
  }

  async *#logged({ runId, signal }: FollowOptions, after: number): AsyncGenerator<RunEvent> {
    let seen = after
    for (;;) {
      const page = await readEvents(this.#reader, { runId, after: seen, limit: pageSize })
      for (const event of page) {
        if (signal.aborted) return
        seen = numberOf(event, runId)
        yield event
      }
      if (page.length < pageSize) return
    }
  }

  #publish(events: readonly RunEvent[]): void {
    for (const subscription of this.#subscriptions) for (const event of events) subscription.offer(event)
  }
}

function numberOf(event: RunEvent, runId: string | null): number {
  return runId === null ? event.id : event.seq
}
