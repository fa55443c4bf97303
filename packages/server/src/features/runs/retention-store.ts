import { sql, type RawBuilder, type Selectable } from 'kysely'
import { AppError } from '@slipway/protocol/errors'
import type { Reader, Tx } from '#db/database'
import type { RunRemainsTable, RunTable } from '#db/tables/runs'
import { databaseNow } from './lease-store.ts'
import type { OwnRun } from './run-store.ts'

export type RemainsRow = RunRemainsTable

/** A run that is over, as far as retention minds. */
export type OverRun = Pick<Selectable<RunTable>, 'id' | 'plan_id' | 'plan_digest' | 'family'> & {
  readonly completed_at: number
}

const overStates = ['completed', 'failed']
const columns = ['id', 'plan_id', 'plan_digest', 'family', 'completed_at'] as const

/** A plan as runs name it; it may be deployed no more. */
export interface PlanOfRuns {
  readonly organisation: string
  readonly planId: string
}

/** Plans that have runs that are over, by organisation and id, whether they are deployed or not. */
export async function selectPlansWithRuns(
  reader: Reader,
  { only, after, limit }: { readonly only: string | null; readonly after: PlanOfRuns; readonly limit: number },
): Promise<PlanOfRuns[]> {
  const rows = await reader
    .selectFrom('run')
    .select(['organisation', 'plan_id'])
    .where('completed_at', 'is not', null)
    .$if(only !== null, query => query.where('organisation', '=', only))
    .where(eb =>
      eb.or([
        eb('organisation', '>', after.organisation),
        eb.and([eb('organisation', '=', after.organisation), eb('plan_id', '>', after.planId)]),
      ]),
    )
    .groupBy(['organisation', 'plan_id'])
    .orderBy('organisation')
    .orderBy('plan_id')
    .limit(limit)
    .execute()
  return rows.map(({ organisation, plan_id: planId }) => ({ organisation, planId }))
}

/** The run of a plan that ended `place` runs before the newest one that is over; 0 is the newest. */
export function findOverRun(
  reader: Reader,
  { organisation, planId }: PlanOfRuns,
  place: number,
): Promise<OverRun | undefined> {
  return reader
    .selectFrom('run')
    .select(columns)
    .where('organisation', '=', organisation)
    .where('plan_id', '=', planId)
    .where('completed_at', 'is not', null)
    .orderBy('completed_at', 'desc')
    .orderBy('id', 'desc')
    .offset(place)
    .limit(1)
    .$narrowType<{ completed_at: number }>()
    .executeTakeFirst()
}

export interface Expiry {
  readonly plan: PlanOfRuns
  /** The newest run that may go; all may where it is null. */
  readonly upTo: OverRun | null
  /** Runs that ended, and were imported, at this time or before go. */
  readonly before: number
  readonly limit: number
}

/** Runs that are over and may go, those that ended first before the others. */
export function selectExpired(reader: Reader, { plan, upTo, before, limit }: Expiry): Promise<OverRun[]> {
  return reader
    .selectFrom('run')
    .select(columns)
    .where('organisation', '=', plan.organisation)
    .where('plan_id', '=', plan.planId)
    .where('status', 'in', overStates)
    .where('completed_at', '<=', before)
    .where(eb => eb.or([eb('imported_at', 'is', null), eb('imported_at', '<=', before)]))
    .$if(upTo !== null, query =>
      query.where(eb =>
        eb.or([
          eb('completed_at', '<', upTo?.completed_at ?? 0),
          eb.and([eb('completed_at', '=', upTo?.completed_at ?? 0), eb('id', '<=', upTo?.id ?? '')]),
        ]),
      ),
    )
    .orderBy('completed_at')
    .orderBy('id')
    .limit(limit)
    .$narrowType<{ completed_at: number }>()
    .execute()
}

/**
 * Takes a run away unless it goes on by now; false then. What belongs to it stays as remains, which nobody sees, until
 * it is deleted bit by bit.
 */
export async function deleteRunRow(
  tx: Tx,
  { id, completed_at: completedAt }: Pick<OverRun, 'id' | 'completed_at'>,
  deletedAt: number,
): Promise<RemainsRow | null> {
  const gone = await tx.sql
    .deleteFrom('run')
    .where('id', '=', id)
    .where('status', 'in', overStates)
    .where('completed_at', '=', completedAt)
    .returning(['family', 'plan_digest'])
    .executeTakeFirst()
  if (!gone) return null
  const remains = { run_id: id, ...gone, deleted_at: deletedAt }
  await tx.sql.insertInto('run_remains').values(remains).execute()
  for (const table of ['run_content', 'run_snapshot', 'run_input', 'run_command'] as const)
    await tx.sql.deleteFrom(table).where('run_id', '=', id).execute()
  return remains
}

/**
 * Throws `run.conflict` while parts of a deleted run are left that a new run of this id would take for its own, or forks
 * of it that are another organisation's: values are shared in a family.
 */
export async function assertNoRemains(tx: Tx, { organisation, runId }: OwnRun): Promise<void> {
  const row = await tx.sql
    .selectFrom('run_remains')
    .select('run_id')
    .where(eb => eb.or([eb('run_id', '=', runId), eb('family', '=', runId)]))
    .limit(1)
    .executeTakeFirst()
  if (row) throw beingDeleted(runId)
  const foreign = await tx.sql
    .selectFrom('run')
    .select('id')
    .where('family', '=', runId)
    .where('organisation', '!=', organisation)
    .limit(1)
    .executeTakeFirst()
  if (foreign) throw new AppError('run.conflict', `The id ${runId} is taken. Choose another one.`)
}

function beingDeleted(runId: string): AppError {
  return new AppError('run.conflict', `A run ${runId} is just being deleted. Choose another id, or try again later.`)
}

/** Keeps a run from being deleted until the transaction ends; false when there is none any more. */
export async function keepFromDeletion(tx: Tx, runId: string, dialect: string): Promise<boolean> {
  const row = await tx.sql
    .selectFrom('run')
    .select('id')
    .where('id', '=', runId)
    .$if(dialect === 'postgres', query => query.forKeyShare())
    .executeTakeFirst()
  return row !== undefined
}

/** Remains that nobody has worked on since then: whoever did has gone. */
export function selectRemains(
  reader: Reader,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<RemainsRow[]> {
  return reader
    .selectFrom('run_remains')
    .selectAll()
    .where('deleted_at', '<=', before)
    .orderBy('deleted_at')
    .orderBy('run_id')
    .limit(limit)
    .execute()
}

/** Goes on working on remains; null when another server has taken them over, or they are gone. */
export async function renewRemains(tx: Tx, remains: RemainsRow, now: number): Promise<RemainsRow | null> {
  // Always another number, so that of two servers only one succeeds.
  const renewed = { ...remains, deleted_at: Math.max(now, remains.deleted_at + 1) }
  const { numUpdatedRows } = await tx.sql
    .updateTable('run_remains')
    .set({ deleted_at: renewed.deleted_at })
    .where('run_id', '=', remains.run_id)
    .where('deleted_at', '=', remains.deleted_at)
    .executeTakeFirst()
  return numUpdatedRows > 0n ? renewed : null
}

export async function deleteRemains(tx: Tx, { run_id, deleted_at }: RemainsRow): Promise<void> {
  await tx.sql.deleteFrom('run_remains').where('run_id', '=', run_id).where('deleted_at', '=', deleted_at).execute()
}

const rowsAtOnce = 1000
const valuesAtOnce = 200

/** Deletes a portion of what a deleted run has left in the journal and the log; false once nothing is left. */
export async function deletePortion(tx: Tx, runId: string): Promise<boolean> {
  for (const table of ['run_call', 'run_step'] as const) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(table)} where run_id = ${runId} and n in
        (select n from ${sql.table(table)} where run_id = ${runId} order by n limit ${rowsAtOnce})`.execute(tx.sql)
    if (numAffectedRows >= BigInt(rowsAtOnce)) return true
  }
  const { numAffectedRows = 0n } = await sql`
    delete from event where id in
      (select id from event where run_id = ${runId} order by seq limit ${rowsAtOnce})`.execute(tx.sql)
  return numAffectedRows >= BigInt(rowsAtOnce)
}

/** Deletes a portion of the values of a family that has no run any more; false once nothing of that kind is left. */
export async function deleteValuesPortion(tx: Tx, family: string): Promise<boolean> {
  const { numAffectedRows = 0n } = await sql`
    delete from run_value
    where family = ${family} and not exists (select 1 from run where run.family = ${family}) and hash in
      (select hash from run_value where family = ${family} order by hash limit ${valuesAtOnce})`.execute(tx.sql)
  return numAffectedRows > 0n
}

/** Runs that ended before this and whose folders may still hold a copy of their package. */
export async function selectUncompacted(
  reader: Reader,
  { before, limit, dialect }: { readonly before: number; readonly limit: number; readonly dialect: string },
): Promise<{ readonly id: string; readonly plan_digest: string }[]> {
  return reader
    .selectFrom('run')
    .select(['id', 'plan_digest'])
    .where('status', 'in', overStates)
    .where('completed_at', '<', before)
    .where(eb => eb.or([eb('compacted_at', 'is', null), eb('compacted_at', '<', eb.ref('completed_at'))]))
    .where(isFree(dialect))
    .limit(limit)
    .execute()
}

/** Notes that the folders of these runs have nothing in common with their packages. */
export async function markCompacted(tx: Tx, runIds: readonly string[], at: number): Promise<void> {
  if (runIds.length === 0) return
  await tx.sql.updateTable('run').set({ compacted_at: at }).where('id', 'in', runIds).execute()
}

/** Keeps a run that is over to itself for a while, so that nobody drives it meanwhile; false when somebody does. */
export async function holdRun(
  tx: Tx,
  runId: string,
  { owner, forMs, dialect }: { readonly owner: string; readonly forMs: number; readonly dialect: string },
): Promise<boolean> {
  const { numUpdatedRows } = await tx.sql
    .updateTable('run')
    .set(({ eb }) => ({
      owner,
      lease: eb('lease', '+', 1),
      lease_until: sql<number>`${databaseNow(dialect)} + ${forMs}`,
    }))
    .where('id', '=', runId)
    .where('status', 'in', overStates)
    .where(isFree(dialect))
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Lets go of a run that `holdRun` kept. */
export async function letGo(
  tx: Tx,
  runId: string,
  { owner, compactedAt }: { readonly owner: string; readonly compactedAt: number | null },
): Promise<void> {
  await tx.sql
    .updateTable('run')
    .set({ owner: null, lease_until: null, ...(compactedAt === null ? {} : { compacted_at: compactedAt }) })
    .where('id', '=', runId)
    .where('owner', '=', owner)
    .execute()
}

function isFree(dialect: string): RawBuilder<boolean> {
  return sql<boolean>`(lease_until is null or lease_until <= ${databaseNow(dialect)})`
}
