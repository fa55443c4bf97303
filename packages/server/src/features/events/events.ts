import { randomUUID } from 'node:crypto'
import type { EventName, RunEvent } from '@slipway/protocol/events'
import type { Database, Tx } from '#db/database'
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

/** Where a reader is. */
interface Position {
  readonly runId: string | null
  readonly signal: AbortSignal
  /** The last number it was given. */
  seen: number
}

// What waits in memory for one live reader; behind by more, it reads from the log.
const usualLiveCapacity = 5000
const pageSize = 500
const channel = 'slipway_events'
// A notice has less than 8,000 bytes, and the id of a run at most 80; one that would be longer speaks of all runs.
const runsPerNotice = 90
const everyRun = '*'

/**
 * The append-only log of what happened, and the live readers behind it. Readers get events of this server from memory.
 * Of those that other servers wrote they are told alone, and read them from the log.
 */
export class EventLog {
  readonly #db: Database
  readonly #liveCapacity: number
  readonly #subscriptions = new Set<Subscription>()
  /** Tells what this server told from what others did. */
  readonly #name = randomUUID()

  constructor(db: Database, liveCapacity = usualLiveCapacity) {
    this.#db = db
    this.#liveCapacity = liveCapacity
    db.listen(channel, payload => this.#heard(payload))
  }

  /** Writes the events at the end of the caller's transaction; live readers see them once it is on disk. */
  append(tx: Tx, drafts: readonly EventDraft[]): Promise<void> {
    if (drafts.length > 0) {
      tx.beforeCommit('events', async () => {
        const [events] = await Promise.all([
          insertEvents(tx, drafts),
          this.#db.notify(tx, channel, this.#notice(drafts)),
        ])
        tx.afterCommit(() => this.#publish(events))
      })
    }
    return Promise.resolve()
  }

  lastSeqOfRun(runId: string): Promise<number> {
    return lastSeqOfRun(this.#db.read, runId)
  }

  /** The newest server-wide number. */
  lastId(): Promise<number> {
    return lastEventId(this.#db.read)
  }

  read(runId: string, after: number, limit: number): Promise<RunEvent[]> {
    return readEvents(this.#db.read, { runId, after, limit })
  }

  /** All events of these names behind `after`. */
  async named(runId: string, names: readonly EventName[], after: number): Promise<RunEvent[]> {
    return readEvents(this.#db.read, { runId, after, names, limit: null })
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
      const { runId, signal } = options
      const position: Position = { runId, signal, seen: options.after ?? (runId === null ? await this.lastId() : 0) }
      let batch: Awaited<ReturnType<Subscription['next']>> = 'gap'
      for (; batch !== null; batch = await live.next()) {
        if (batch === 'gap') yield* this.#logged(position)
        else yield* this.#offered(position, batch)
      }
    } finally {
      this.#subscriptions.delete(live)
    }
  }

  /** Live events. Numbers have no gaps: what is between two was committed elsewhere, and is in the log. */
  async *#offered(position: Position, events: readonly RunEvent[]): AsyncGenerator<RunEvent> {
    for (const event of events) {
      const number = numberOf(event, position.runId)
      if (number > position.seen + 1) yield* this.#logged(position)
      if (number <= position.seen) continue
      position.seen = number
      yield event
    }
  }

  async *#logged(position: Position): AsyncGenerator<RunEvent> {
    const { runId, signal } = position
    for (;;) {
      const page = await readEvents(this.#db.read, { runId, after: position.seen, limit: pageSize })
      for (const event of page) {
        if (signal.aborted) return
        position.seen = numberOf(event, runId)
        yield event
      }
      if (page.length < pageSize) return
    }
  }

  #publish(events: readonly RunEvent[]): void {
    for (const subscription of this.#subscriptions) for (const event of events) subscription.offer(event)
  }

  #notice(drafts: readonly EventDraft[]): string {
    const runs = new Set(drafts.map(({ runId }) => runId ?? ''))
    return `${this.#name} ${runs.size > runsPerNotice ? everyRun : [...runs].join(',')}`
  }

  #heard(notice: string | null): void {
    const [server, runs = everyRun] = notice?.split(' ') ?? []
    if (server === this.#name) return
    const told = runs === everyRun ? null : new Set(runs.split(','))
    for (const subscription of this.#subscriptions) {
      const { runId } = subscription
      if (runId === null || told === null || told.has(runId)) subscription.lose()
    }
  }
}

function numberOf(event: RunEvent, runId: string | null): number {
  return runId === null ? event.id : event.seq
}
