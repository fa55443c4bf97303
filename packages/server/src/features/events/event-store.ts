import type { EventName, RunEvent } from '@slipway/protocol/events'
import { parseJson } from '@slipway/kit/json'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { EventDraft, EventSource, LoggedEvent } from './events.ts'

/** Events of one run that were written together and have consecutive numbers. */
type Stretch = readonly [EventDraft, ...EventDraft[]]

/** An event as its row has it. */
interface StoredEvent {
  readonly event: EventName
  readonly ts: number
  readonly data: Readonly<Record<string, unknown>>
}

const drawStatement = new Statement<{ readonly last: number }>(
  () => 'update event_counter set last = last + $1 where id = 1 returning last',
)

/** Draws the next numbers for that many events; the first of them. Other writers wait from here to the commit. */
async function drawIds(tx: Tx, count: number): Promise<number> {
  const [drawn] = await drawStatement.run(tx, count)
  return (drawn?.last ?? 0) - count + 1
}

/** Inserts the events and returns them with their server-wide numbers, which rise in the order of each run. */
export async function insertEvents(tx: Tx, drafts: readonly EventDraft[]): Promise<LoggedEvent[]> {
  let next = await drawIds(tx, drafts.length)
  const events: LoggedEvent[] = []
  const rows = stretchesOf(drafts).map(stretch => {
    const [{ organisation, runId }] = stretch
    for (const draft of stretch)
      events.push({ organisation, event: toEvent(draft, { id: next++, runId, seq: draft.seq }) })
    const stored = stretch.map(({ event, ts, data }): StoredEvent => ({ event, ts, data }))
    return { id: next - 1, organisation, run_id: runId, seq: stretch.at(-1)?.seq ?? 0, events: JSON.stringify(stored) }
  })
  await tx.insertAll('event', rows)
  return events
}

function stretchesOf(drafts: readonly EventDraft[]): Stretch[] {
  const stretches: Stretch[] = []
  for (const ofRun of Map.groupBy(drafts, ({ runId }) => runId).values()) {
    let current: [EventDraft, ...EventDraft[]] | null = null
    for (const draft of ofRun) {
      const follows = current !== null && draft.runId !== null && current.at(-1)?.seq === draft.seq - 1
      if (current !== null && follows) current.push(draft)
      else stretches.push((current = [draft]))
    }
  }
  return stretches
}

function toEvent(
  { event, ts, data }: StoredEvent,
  at: { readonly id: number; readonly runId: string | null; readonly seq: number },
): RunEvent {
  return { ...data, event, id: at.id, seq: at.seq, run_id: at.runId, ts } as RunEvent
}

/** A run's events by its own numbers, or all events by the server's. */
export interface EventRange extends EventSource {
  readonly after: number
  /** Only events of these names. */
  readonly names?: readonly EventName[]
  readonly limit: number | null
}

export async function readEvents(reader: Reader, range: EventRange): Promise<RunEvent[]> {
  const { organisation, runId, after, names, limit } = range
  const rows = await reader
    .selectFrom('event')
    .selectAll()
    .where('organisation', '=', organisation)
    .$if(runId !== null, query => query.where('run_id', '=', runId).where('seq', '>', after).orderBy('seq'))
    .$if(runId === null, query => query.where('id', '>', after).orderBy('id'))
    // Each row has one event at least.
    .$if(limit !== null, query => query.limit(limit ?? 0))
    .execute()
  const events = rows.flatMap(row => {
    const stored = parseJson(row.events) as StoredEvent[]
    const before = stored.length - 1
    return stored.map((event, index) =>
      toEvent(event, {
        id: row.id - before + index,
        runId: row.run_id,
        seq: row.run_id === null ? row.seq : row.seq - before + index,
      }),
    )
  })
  const wanted = events.filter(
    event => (runId === null ? event.id : event.seq) > after && (names?.includes(event.event) ?? true),
  )
  return limit === null ? wanted : wanted.slice(0, limit)
}

/** The newest number, whether or not its event is still kept. */
export async function lastEventId(reader: Reader): Promise<number> {
  const { last } = await reader.selectFrom('event_counter').select('last').where('id', '=', 1).executeTakeFirstOrThrow()
  return last
}

export async function lastSeqOfRun(reader: Reader, { organisation, runId }: EventSource): Promise<number> {
  const row = await reader
    .selectFrom('event')
    .select('seq')
    .where('organisation', '=', organisation)
    .where('run_id', '=', runId)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.seq ?? 0
}
