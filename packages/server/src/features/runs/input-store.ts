import { sql } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { InputTable } from '#db/tables/runs'
import { databaseNow } from './lease-store.ts'
import { unfinished } from './run-store.ts'

export type InputRow = InputTable

export async function insertInput(tx: Tx, input: InputRow): Promise<void> {
  await tx.sql.insertInto('run_input').values(input).execute()
}

/** For the server itself; whoever asks from outside gets `findInputOf`. */
export function findInput(reader: Reader, id: string): Promise<InputRow | undefined> {
  return reader.selectFrom('run_input').selectAll().where('id', '=', id).executeTakeFirst()
}

export function findInputOf(
  reader: Reader,
  { organisation, id }: { readonly organisation: string; readonly id: string },
): Promise<InputRow | undefined> {
  return reader
    .selectFrom('run_input')
    .innerJoin('run', 'run.id', 'run_input.run_id')
    .selectAll('run_input')
    .where('run_input.id', '=', id)
    .where('run.organisation', '=', organisation)
    .executeTakeFirst()
}

export function findInputByKey(reader: Reader, runId: string, key: string): Promise<InputRow | undefined> {
  return reader
    .selectFrom('run_input')
    .selectAll()
    .where('run_id', '=', runId)
    .where('key', '=', key)
    .executeTakeFirst()
}

/** Questions of a run that were answered or closed. */
export function selectAnswered(reader: Reader, runId: string): Promise<{ key: string }[]> {
  return reader
    .selectFrom('run_input')
    .select('key')
    .where('run_id', '=', runId)
    .where('answer', 'is not', null)
    .execute()
}

export interface InputFilter {
  readonly organisation: string
  readonly runId?: string | undefined
  /** Where the page before this one ended. */
  readonly after?: { readonly askedAt: number; readonly id: string } | undefined
  readonly limit: number
}

/** Questions without an answer whose run is not over, oldest first. */
export function selectOpenInputs(
  reader: Reader,
  { organisation, runId, after, limit }: InputFilter,
): Promise<InputRow[]> {
  return (
    reader
      .selectFrom('run_input')
      .innerJoin('run', 'run.id', 'run_input.run_id')
      .selectAll('run_input')
      // Not a bare column, or SQLite goes through all runs of the organisation, most of which are over.
      .where(sql<boolean>`run.organisation || '' = ${organisation}`)
      .where('run_input.answer', 'is', null)
      .where('run.status', 'in', unfinished)
      .$if(runId !== undefined, query => query.where('run_input.run_id', '=', runId ?? ''))
      .$if(after !== undefined, query =>
        query.where(eb =>
          eb.or([
            eb('run_input.asked_at', '>', after?.askedAt ?? 0),
            eb.and([eb('run_input.asked_at', '=', after?.askedAt ?? 0), eb('run_input.id', '>', after?.id ?? '')]),
          ]),
        ),
      )
      .orderBy('run_input.asked_at')
      .orderBy('run_input.id')
      .limit(limit)
      .execute()
  )
}

/** False when the question has an answer already, or was closed. */
export async function answerInput(
  tx: Tx,
  id: string,
  { answer, closed }: { readonly answer: string; readonly closed: 'cancelled' | 'expired' | null },
): Promise<boolean> {
  const result = await tx.sql
    .updateTable('run_input')
    .set({ answer, closed })
    .where('id', '=', id)
    .where('answer', 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** Open questions of runs that are not over, whose time is, by the database's clock. */
export function selectExpired(reader: Reader, dialect: string): Promise<{ id: string; run_id: string }[]> {
  return reader
    .selectFrom('run_input')
    .innerJoin('run', 'run.id', 'run_input.run_id')
    .select(['run_input.id', 'run_input.run_id'])
    .where('answer', 'is', null)
    .where('expires_at', '<=', databaseNow(dialect))
    .where('run.status', 'in', unfinished)
    .limit(500)
    .execute()
}
