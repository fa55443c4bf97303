import { sql, type Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { RunContentTable, RunTable } from '#db/tables/runs'
import { databaseNow } from './lease-store.ts'

export type RunRow = Selectable<RunTable>
export type RunContentRow = RunContentTable
export type NewRun = Omit<RunTable, 'position'>

/** What a decision or a person changes of a run's row. */
export type RunChange = Partial<
  Pick<
    RunTable,
    | 'status'
    | 'seq'
    | 'started_at'
    | 'completed_at'
    | 'deadline_at'
    | 'progress'
    | 'error'
    | 'held'
    | 'breakpoints'
    | 'owner'
    | 'lease_until'
  >
>
export type ContentChange = Partial<Pick<RunContentTable, 'node_statuses' | 'result'>>

export const unfinished = ['pending', 'running', 'waiting', 'pausing', 'paused', 'stopping']

export async function insertRun(tx: Tx, run: NewRun, content: RunContentRow): Promise<void> {
  const { deadline_at: deadlineAt, created_at: createdAt } = run
  // By the clock by which the run will be ended, which need not go like this server's.
  const deadline = deadlineAt && sql<number>`${databaseNow(tx.dialect)} + ${deadlineAt - createdAt}`
  await tx.sql
    .insertInto('run')
    .values({ ...run, deadline_at: deadline })
    .execute()
  await tx.sql.insertInto('run_content').values(content).execute()
}

export async function updateRun(tx: Tx, runId: string, change: RunChange): Promise<void> {
  await tx.sql.updateTable('run').set(change).where('id', '=', runId).execute()
}

export async function updateContent(tx: Tx, runId: string, change: ContentChange): Promise<void> {
  await tx.sql.updateTable('run_content').set(change).where('run_id', '=', runId).execute()
}

/** As `updateRun`, but only while the run has one of these states. False when it has another by now. */
export async function updateRunIf(
  tx: Tx,
  { runId, from }: { readonly runId: string; readonly from: readonly string[] },
  change: RunChange,
): Promise<boolean> {
  const result = await tx.sql
    .updateTable('run')
    .set(change)
    .where('id', '=', runId)
    .where('status', 'in', from)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

/** For the server itself; whoever asks from outside gets `findRunOf`. */
export function findRun(reader: Reader, runId: string): Promise<RunRow | undefined> {
  return reader.selectFrom('run').selectAll().where('id', '=', runId).executeTakeFirst()
}

/** A run of one organisation, as it may be asked for. */
export interface OwnRun {
  readonly organisation: string
  readonly runId: string
}

export function findRunOf(reader: Reader, { organisation, runId }: OwnRun): Promise<RunRow | undefined> {
  return reader
    .selectFrom('run')
    .selectAll()
    .where('id', '=', runId)
    .where('organisation', '=', organisation)
    .executeTakeFirst()
}

/** The row, kept from all others until the transaction ends. */
export function lockRunOf(tx: Tx, { organisation, runId }: OwnRun, dialect: string): Promise<RunRow | undefined> {
  return tx.sql
    .selectFrom('run')
    .selectAll()
    .where('id', '=', runId)
    .where('organisation', '=', organisation)
    .$if(dialect === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
}

/** As `lockRunOf`, for the server itself. */
export function lockRun(tx: Tx, runId: string, dialect: string): Promise<RunRow | undefined> {
  return tx.sql
    .selectFrom('run')
    .selectAll()
    .where('id', '=', runId)
    .$if(dialect === 'postgres', query => query.forUpdate())
    .executeTakeFirst()
}

export function findRunByKey(
  reader: Reader,
  { organisation, key }: { readonly organisation: string; readonly key: string },
): Promise<RunRow | undefined> {
  return reader
    .selectFrom('run')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('idempotency_key', '=', key)
    .executeTakeFirst()
}

export async function findContent(reader: Reader, runId: string): Promise<RunContentRow> {
  return reader.selectFrom('run_content').selectAll().where('run_id', '=', runId).executeTakeFirstOrThrow()
}

export interface RunFilter {
  readonly organisation: string
  readonly planId?: string | undefined
  readonly statuses?: readonly string[] | undefined
  /** Runs accepted before this position. */
  readonly before?: number | undefined
  readonly limit: number
}

/** Newest first. */
export function selectRuns(reader: Reader, filter: RunFilter): Promise<RunRow[]> {
  return reader
    .selectFrom('run')
    .selectAll()
    .where('organisation', '=', filter.organisation)
    .$if(filter.planId !== undefined, query => query.where('plan_id', '=', filter.planId ?? ''))
    .$if(filter.statuses !== undefined, query => query.where('status', 'in', filter.statuses ?? []))
    .$if(filter.before !== undefined, query => query.where('position', '<', filter.before ?? 0))
    .orderBy('position', 'desc')
    .limit(filter.limit)
    .execute()
}

/** Places in the queue, from 1, of those of these runs that wait in it. */
export async function selectPlaces(reader: Reader, runIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (runIds.length === 0) return new Map()
  const rows = await reader
    .selectFrom('run')
    .select(eb => [
      'run.id',
      eb
        .selectFrom('run as before')
        .select(inner => inner.fn.countAll<number>().as('place'))
        .where('before.status', '=', 'pending')
        .where('before.lease_until', 'is', null)
        .whereRef('before.position', '<=', eb.ref('run.position'))
        .as('place'),
    ])
    .where('run.id', 'in', runIds)
    .where('run.status', '=', 'pending')
    .where('run.lease_until', 'is', null)
    .execute()
  return new Map(rows.map(({ id, place }) => [id, Number(place)]))
}

export function selectActiveOfPlan(
  reader: Reader,
  { organisation, planId }: { readonly organisation: string; readonly planId: string },
): Promise<{ id: string }[]> {
  return reader
    .selectFrom('run')
    .select('id')
    .where('organisation', '=', organisation)
    .where('plan_id', '=', planId)
    .where('status', 'in', unfinished)
    .execute()
}

/** Whether any run that is kept, of whatever organisation, was started with this package. */
export async function isDigestInUse(reader: Reader, digest: string): Promise<boolean> {
  const row = await reader.selectFrom('run').select('id').where('plan_digest', '=', digest).limit(1).executeTakeFirst()
  return row !== undefined
}

/** The organisation's runs, or with null those of all. */
export async function countRuns(
  reader: Reader,
  organisation: string | null,
): Promise<{ readonly running: number; readonly pending: number }> {
  const rows = await reader
    .selectFrom('run')
    .select(['status', sql<number>`count(*)`.as('count')])
    .where('status', 'in', ['pending', 'running', 'pausing', 'stopping'])
    .$if(organisation !== null, query => query.where('organisation', '=', organisation ?? ''))
    .groupBy('status')
    .execute()
  const of = (...statuses: string[]): number =>
    rows.filter(row => statuses.includes(row.status)).reduce((sum, row) => sum + Number(row.count), 0)
  return { running: of('running', 'pausing', 'stopping'), pending: of('pending') }
}
