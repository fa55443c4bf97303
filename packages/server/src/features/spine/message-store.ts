import { parseJson } from '@slipway/kit/json'
import type { Envelope, EnvelopeType, Trace } from '@slipway/protocol/bus/envelope'
import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { BusMessageTable } from '#db/tables/spine'

/** A message before it has its number. */
export interface MessageDraft {
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly type: EnvelopeType
  readonly schema: string
  readonly payload: Uint8Array
  /** Milliseconds since 1970. */
  readonly ts: number
  readonly jobId: string | null
  /** Of the pieces of a stream. */
  readonly n: number | null
  readonly status: Envelope['status'] | null
  readonly trace: Trace | null
}

/** A committed message, as readers get it. */
export type Message = Envelope & { readonly seq: number }

export interface StoredMessage {
  readonly organisation: string
  readonly message: Message
}

const drawStatement = new Statement<{ readonly last: number }>(
  () => 'update bus_counter set last = last + $1 where id = 1 returning last',
)

/** Inserts the messages in their order with the next numbers. Other writers wait from here to the commit. */
export async function insertMessages(tx: Tx, drafts: readonly MessageDraft[]): Promise<StoredMessage[]> {
  const [drawn] = await drawStatement.run(tx, drafts.length)
  const first = (drawn?.last ?? 0) - drafts.length + 1
  const rows = drafts.map((draft, index) => rowOf(draft, first + index))
  await tx.insertAll('bus_message', rows)
  return rows.map(row => ({ organisation: row.organisation, message: messageOf(row) }))
}

function rowOf({ jobId, trace, ...draft }: MessageDraft, seq: number): Selectable<BusMessageTable> {
  return {
    ...draft,
    seq,
    job_id: jobId,
    status: draft.status ?? null,
    trace: trace === null ? null : JSON.stringify(trace),
  }
}

function messageOf(row: Selectable<BusMessageTable>): Message {
  return {
    id: row.id,
    type: row.type as EnvelopeType,
    topic: row.topic,
    ts: new Date(row.ts).toISOString(),
    schema: row.schema,
    payload: row.payload,
    seq: row.seq,
    ...(row.trace === null ? {} : { trace: parseJson(row.trace) as Trace }),
    ...(row.job_id === null ? {} : { job_id: row.job_id }),
    ...(row.n === null ? {} : { n: row.n }),
    ...(row.status === null ? {} : { status: row.status as NonNullable<Envelope['status']> }),
  }
}

export async function lastSeq(reader: Reader): Promise<number> {
  const { last } = await reader.selectFrom('bus_counter').select('last').where('id', '=', 1).executeTakeFirstOrThrow()
  return last
}

export interface MessageRange {
  readonly organisation: string
  /** Behind this number. */
  readonly after: number
  readonly limit: number
}

/** Messages of these topics by their numbers. */
export async function readTopics(
  reader: Reader,
  topics: readonly string[],
  { organisation, after, limit }: MessageRange,
): Promise<Message[]> {
  const rows = await reader
    .selectFrom('bus_message')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('topic', 'in', topics)
    .where('seq', '>', after)
    .orderBy('seq')
    .limit(limit)
    .execute()
  return rows.map(messageOf)
}

/** Pieces of the stream of a job by their own numbers. */
export async function readPieces(
  reader: Reader,
  jobId: string,
  { organisation, after, limit }: MessageRange,
): Promise<Message[]> {
  const rows = await reader
    .selectFrom('bus_message')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('organisation', '=', organisation)
    .where('n', '>', after)
    .orderBy('n')
    .limit(limit)
    .execute()
  return rows.map(messageOf)
}

/** The newest result of a job, or null. */
export async function readResult(reader: Reader, organisation: string, jobId: string): Promise<Message | null> {
  const row = await reader
    .selectFrom('bus_message')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('n', 'is', null)
    .where('organisation', '=', organisation)
    .where('type', '=', 'job_result')
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row ? messageOf(row) : null
}

const oldPieces = new Statement(() => 'delete from bus_message where job_id = $1 and n <= $2')

export async function deleteOldPieces(tx: Tx, jobId: string, upTo: number): Promise<void> {
  await oldPieces.run(tx, jobId, upTo)
}
