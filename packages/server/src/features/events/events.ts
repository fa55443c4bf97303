import { randomUUID } from 'node:crypto'
import type { EventName, RunEvent } from '@slipway/protocol/events'
import type { Database, Tx } from '#db/database'
import { insertEvents, lastEventId, lastSeqOfRun, readEvents } from './event-store.ts'
import { Subscription } from './subscription.ts'

/** An event before it has its server-wide number. */
export interface EventDraft {
  /** Whose it is: the run's, or the plan's. */
  readonly organisation: string
  readonly runId: string | null
  /** The run's own number, given by whoever drives it; 0 for events of no run. */
  readonly seq: number
  readonly event: EventName
  /** Milliseconds since 1970. */
  readonly ts: number
  readonly data: Readonly<Record<string, unknown>>
}

/** An organisation's events: those of one of its runs, or all. */
export interface EventSource {
  readonly organisation: string
  readonly runId: string | null
}

/** An event on disk, and whose it is, which it does not say itself. */
export interface LoggedEvent {
  readonly organisation: string
  readonly event: RunEvent
}

export interface FollowOptions extends EventSource {
  /** The last number the reader has seen; for all events, `null` means from now on. */
  readonly after: number | null
  readonly signal: AbortSignal
}

/** Where a reader is. */
interface Position extends EventSource {
  readonly signal: AbortSignal
  /** Everything up to this number it was given, or is another organisation's. */
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

  lastSeqOfRun(run: EventSource): Promise<number> {
    return lastSeqOfRun(this.#db.read, run)
  }

  /** The newest server-wide number, whoever's event has it. */
  lastId(): Promise<number> {
    return lastEventId(this.#db.read)
  }

  read(source: EventSource, page: { readonly after: number; readonly limit: number }): Promise<RunEvent[]> {
    return readEvents(this.#db.read, { ...source, ...page })
  }

  /** All events of these names behind `after`. */
  async named(source: EventSource, names: readonly EventName[], after: number): Promise<RunEvent[]> {
    return readEvents(this.#db.read, { ...source, after, names, limit: null })
  }

  /**
   * All events of the source behind `after`, first from the log and then live, each once and without a gap. A reader that falls behind
   * reads on from the log; nobody waits for it.
   */
  async *follow(options: FollowOptions): AsyncGenerator<RunEvent> {
    // Listen first and read second, so that no event falls between the two; repeats are dropped by number.
    using live = new Subscription(options, { capacity: this.#liveCapacity, signal: options.signal })
    this.#subscriptions.add(live)
    try {
      const { organisation, runId, signal } = options
      const position: Position = {
        organisation,
        runId,
        signal,
        seen: options.after ?? (runId === null ? await this.lastId() : 0),
      }
      let batch: Awaited<ReturnType<Subscription['next']>> = 'gap'
      for (; batch !== null; batch = await live.next()) {
        if (batch === 'gap') yield* this.#logged(position)
        else yield* this.#offered(position, batch)
      }
    } finally {
      this.#subscriptions.delete(live)
    }
  }

  /** The events of a run up to its last one. A run can go on after it was over, so that not every end is the last. */
  async *followRun(
    { runId, ...options }: FollowOptions & { readonly runId: string; readonly after: number },
    isOver: () => Promise<boolean>,
  ): AsyncGenerator<RunEvent> {
    const { organisation } = options
    const isLast = async (seq: number): Promise<boolean> =>
      (await isOver()) && seq >= (await this.lastSeqOfRun({ organisation, runId }))
    if (await isLast(options.after)) return
    for await (const event of this.follow({ ...options, runId })) {
      yield event
      if ((event.event === 'run:completed' || event.event === 'run:failed') && (await isLast(event.seq))) return
    }
  }

  /**
   * Live events. Numbers have no gaps: what is between two was committed elsewhere, and is in the log. So events of
   * other organisations are counted too, and not given.
   */
  async *#offered(position: Position, events: readonly LoggedEvent[]): AsyncGenerator<RunEvent> {
    for (const { organisation, event } of events) {
      const number = numberOf(event, position.runId)
      if (number > position.seen + 1) yield* this.#logged(position)
      if (number <= position.seen) continue
      position.seen = number
      if (organisation === position.organisation) yield event
    }
  }

  async *#logged(position: Position): AsyncGenerator<RunEvent> {
    const { organisation, runId, signal } = position
    for (;;) {
      // Asked first: whatever has a number up to this one is on disk when the events are read.
      const newest = runId === null ? await this.lastId() : 0
      const page = await readEvents(this.#db.read, { organisation, runId, after: position.seen, limit: pageSize })
      for (const event of page) {
        if (signal.aborted) return
        position.seen = numberOf(event, runId)
        yield event
      }
      if (page.length >= pageSize) continue
      position.seen = Math.max(position.seen, newest)
      return
    }
  }

  #publish(events: readonly LoggedEvent[]): void {
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
      const { runId } = subscription.source
      if (runId === null || told === null || told.has(runId)) subscription.lose()
    }
  }
}

function numberOf(event: RunEvent, runId: string | null): number {
  return runId === null ? event.id : event.seq
}
