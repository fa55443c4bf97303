import type { RunEvent } from '@slipway/protocol/events'
import { parseJson } from '@slipway/kit/json'
import type { Reader, Tx } from '#db/database'
import type { EventDraft } from './events.ts'

// SQLite takes 32,766 bound values in a statement, five a row.
const rowsPerInsert = 1000

/** Inserts the events and returns them with their server-wide numbers, in the order given. */
export async function insertEvents(tx: Tx, drafts: readonly EventDraft[]): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for (let start = 0; start < drafts.length; start += rowsPerInsert) {
    const part = drafts.slice(start, start + rowsPerInsert)
    const rows = await tx.sql
      .insertInto('event')
      .values(
        part.map(({ runId, seq, event, ts, data }) => ({ run_id: runId, seq, event, ts, data: JSON.stringify(data) })),
      )
      .returning('id')
      .execute()
    // The order of `returning` is not promised; the numbers of one statement rise in the order of its rows.
    const ids = rows.map(row => row.id).sort((a, b) => a - b)
    part.forEach((draft, index) => events.push(toEvent(draft, ids[index] ?? 0)))
  }
  return events
}

function toEvent(draft: EventDraft, id: number): RunEvent {
  return { ...draft.data, event: draft.event, id, seq: draft.seq, run_id: draft.runId, ts: draft.ts } as RunEvent
}

export interface EventRange {
  /** A run's events by its own numbers, or all events by the server's. */
  readonly runId: string | null
  readonly after: number
  readonly limit: number
}

export async function readEvents(reader: Reader, range: EventRange): Promise<RunEvent[]> {
  const rows = await reader
    .selectFrom('event')
    .select(['id', 'run_id', 'seq', 'event', 'ts', 'data'])
    .$if(range.runId !== null, query =>
      query.where('run_id', '=', range.runId).where('seq', '>', range.after).orderBy('seq'),
    )
    .$if(range.runId === null, query => query.where('id', '>', range.after).orderBy('id'))
    .limit(range.limit)
    .execute()
  return rows.map(
    row =>
      ({
        ...(parseJson(row.data) as object),
        event: row.event,
        id: row.id,
        seq: row.seq,
        run_id: row.run_id,
        ts: row.ts,
      }) as RunEvent,
  )
}

export async function lastEventId(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('event')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  return row?.id ?? 0
}

export async function lastSeqOfRun(reader: Reader, runId: string): Promise<number> {
  const row = await reader
    .selectFrom('event')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .where('run_id', '=', runId)
    .executeTakeFirst()
  return row?.seq ?? 0
}
