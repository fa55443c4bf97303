import type { RunEvent } from '@slipway/protocol/events'
import { parseJson } from '@slipway/kit/json'
import type { Reader, Tx } from '#db/database'
import type { EventDraft } from './events.ts'

/** Draws the next numbers for that many events; the first of them. Other writers wait from here to the commit. */
async function drawIds(tx: Tx, count: number): Promise<number> {
  const { last } = await tx.sql
    .updateTable('event_counter')
    .set(({ eb }) => ({ last: eb('last', '+', count) }))
    .where('id', '=', 1)
    .returning('last')
    .executeTakeFirstOrThrow()
  return last - count + 1
}

/** Inserts the events and returns them with their server-wide numbers, in the order given. */
export async function insertEvents(tx: Tx, drafts: readonly EventDraft[]): Promise<RunEvent[]> {
  const first = await drawIds(tx, drafts.length)
  await tx.insertAll(
    'event',
    drafts.map(({ runId, seq, event, ts, data }, index) => ({
      id: first + index,
      run_id: runId,
      seq,
      event,
      ts,
      data: JSON.stringify(data),
    })),
  )
  return drafts.map((draft, index) => toEvent(draft, first + index))
}

function toEvent(draft: EventDraft, id: number): RunEvent {
  return { ...draft.data, event: draft.event, id, seq: draft.seq, run_id: draft.runId, ts: draft.ts } as RunEvent
}

export interface EventRange {
  /** A run's events by its own numbers, or all events by the server's. */
  readonly runId: string | null
  readonly after: number
  /** Only events of these names. */
  readonly names?: readonly string[]
  readonly limit: number | null
}

export async function readEvents(reader: Reader, range: EventRange): Promise<RunEvent[]> {
  const rows = await reader
    .selectFrom('event')
    .select(['id', 'run_id', 'seq', 'event', 'ts', 'data'])
    .$if(range.runId !== null, query =>
      query.where('run_id', '=', range.runId).where('seq', '>', range.after).orderBy('seq'),
    )
    .$if(range.runId === null, query => query.where('id', '>', range.after).orderBy('id'))
    .$if(range.names !== undefined, query => query.where('event', 'in', range.names ?? []))
    .$if(range.limit !== null, query => query.limit(range.limit ?? 0))
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

/** The newest number, whether or not its event is still kept. */
export async function lastEventId(reader: Reader): Promise<number> {
  const { last } = await reader.selectFrom('event_counter').select('last').where('id', '=', 1).executeTakeFirstOrThrow()
  return last
}

export async function lastSeqOfRun(reader: Reader, runId: string): Promise<number> {
  const row = await reader
    .selectFrom('event')
    .select(({ fn }) => fn.max('seq').as('seq'))
    .where('run_id', '=', runId)
    .executeTakeFirst()
  return row?.seq ?? 0
}
