import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { JobScheduleTable } from '#db/tables/spine'

export type ScheduleRow = Selectable<JobScheduleTable>

export async function writeSchedule(tx: Tx, row: ScheduleRow): Promise<void> {
  const { organisation: _organisation, name: _name, created_at: _created, last_job_id: _last, ...rest } = row
  await tx.sql
    .insertInto('job_schedule')
    .values(row)
    .onConflict(conflict => conflict.columns(['organisation', 'name']).doUpdateSet(rest))
    .execute()
}

export async function countSchedules(tx: Tx, organisation: string): Promise<number> {
  const row = await tx.sql
    .selectFrom('job_schedule')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('organisation', '=', organisation)
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

export function listSchedules(reader: Reader, organisation: string): Promise<ScheduleRow[]> {
  return reader
    .selectFrom('job_schedule')
    .selectAll()
    .where('organisation', '=', organisation)
    .orderBy('name')
    .execute()
}

export async function deleteSchedule(tx: Tx, organisation: string, name: string): Promise<boolean> {
  const { numDeletedRows } = await tx.sql
    .deleteFrom('job_schedule')
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

const dueStatement = new Statement<ScheduleRow>(
  ({ takeFree }) => `
    select organisation, name, cron, time_zone, misfire, job, payload, created_at, next_at, last_job_id
    from job_schedule where next_at <= $1 order by next_at limit $2 ${takeFree('job_schedule')}`,
)

/** Schedules whose time has come, locked; those that another server is just firing are left out. */
export function selectDueSchedules(tx: Tx, now: number, limit: number): Promise<ScheduleRow[]> {
  return dueStatement.run(tx, now, limit)
}

const firedStatement = new Statement(
  () => `
    update job_schedule set next_at = $3, last_job_id = coalesce($4, last_job_id)
    where organisation = $1 and name = $2`,
)

export async function writeFiring(
  tx: Tx,
  { organisation, name }: Pick<ScheduleRow, 'organisation' | 'name'>,
  { nextAt, jobId }: { readonly nextAt: number; readonly jobId: string | null },
): Promise<void> {
  await firedStatement.run(tx, organisation, name, nextAt, jobId)
}

/** When the next schedule fires, or null. */
export async function selectNextFiring(reader: Reader): Promise<number | null> {
  const row = await reader.selectFrom('job_schedule').select('next_at').orderBy('next_at').limit(1).executeTakeFirst()
  return row?.next_at ?? null
}
