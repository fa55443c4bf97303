import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { PlanVersionTable } from '#db/tables/plans'

export type VersionRow = Omit<Selectable<PlanVersionTable>, 'position'>
/** What lists show. */
export type ListedRow = Omit<VersionRow, 'details'>

interface PlanRef {
  readonly organisation: string
  readonly planId: string
}

export interface VersionRef extends PlanRef {
  readonly version: string
}

const listed = [
  'organisation',
  'plan_id',
  'version',
  'digest',
  'name',
  'description',
  'deployed_at',
  'size_bytes',
  'summary',
] as const

/** The active version of each of the organisation's plans behind `after`, by id. */
export function selectActive(
  reader: Reader,
  {
    organisation,
    after,
    limit,
  }: { readonly organisation: string; readonly after: string | undefined; readonly limit: number },
): Promise<ListedRow[]> {
  return reader
    .selectFrom('plan')
    .innerJoin('plan_version', join =>
      join
        .onRef('plan_version.organisation', '=', 'plan.organisation')
        .onRef('plan_version.plan_id', '=', 'plan.id')
        .onRef('plan_version.version', '=', 'plan.active_version'),
    )
    .select(listed.map(column => `plan_version.${column}` as const))
    .where('plan.organisation', '=', organisation)
    .$if(after !== undefined, query => query.where('plan.id', '>', after ?? ''))
    .orderBy('plan.id')
    .limit(limit)
    .execute()
}

/** The organisation's plans, or with null those of all. */
export async function countPlans(reader: Reader, organisation: string | null): Promise<number> {
  const row = await reader
    .selectFrom('plan')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .$if(organisation !== null, query => query.where('organisation', '=', organisation ?? ''))
    .executeTakeFirst()
  return row?.count ?? 0
}

export async function activeVersion(reader: Reader, { organisation, planId }: PlanRef): Promise<string | null> {
  const row = await reader
    .selectFrom('plan')
    .select('active_version')
    .where('organisation', '=', organisation)
    .where('id', '=', planId)
    .executeTakeFirst()
  return row?.active_version ?? null
}

export function findVersion(
  reader: Reader,
  { organisation, planId, version }: VersionRef,
): Promise<VersionRow | undefined> {
  return reader
    .selectFrom('plan_version')
    .select([...listed, 'details'])
    .where('organisation', '=', organisation)
    .where('plan_id', '=', planId)
    .where('version', '=', version)
    .executeTakeFirst()
}

/** As `findVersion`; nobody changes or removes the version until the transaction ends. */
export function lockVersion(
  tx: Tx,
  { organisation, planId, version }: VersionRef,
): Promise<Pick<VersionRow, 'digest'> | undefined> {
  return (
    tx.sql
      .selectFrom('plan_version')
      .select('digest')
      .where('organisation', '=', organisation)
      .where('plan_id', '=', planId)
      .where('version', '=', version)
      // SQLite has one writer at a time.
      .$if(tx.dialect === 'postgres', query => query.forShare())
      .executeTakeFirst()
  )
}

/** Newest first. */
export function selectVersions(
  reader: Reader,
  { organisation, planId }: PlanRef,
): Promise<Pick<VersionRow, 'version' | 'digest' | 'deployed_at' | 'size_bytes'>[]> {
  return reader
    .selectFrom('plan_version')
    .select(['version', 'digest', 'deployed_at', 'size_bytes'])
    .where('organisation', '=', organisation)
    .where('plan_id', '=', planId)
    .orderBy('deployed_at', 'desc')
    .orderBy('position', 'desc')
    .execute()
}

/** Adds the version, or puts it in the place of the one with the same name, and makes it the active one. */
export async function putVersion(tx: Tx, row: VersionRow): Promise<void> {
  const { organisation, plan_id: id, version } = row
  await tx.sql
    .insertInto('plan')
    .values({ organisation, id, active_version: version })
    .onConflict(conflict => conflict.columns(['organisation', 'id']).doUpdateSet({ active_version: version }))
    .execute()
  const { organisation: _organisation, plan_id: _id, version: _version, ...content } = row
  await tx.sql
    .insertInto('plan_version')
    .values(row)
    .onConflict(conflict => conflict.columns(['organisation', 'plan_id', 'version']).doUpdateSet(content))
    .execute()
}

export async function setActive(tx: Tx, { organisation, planId, version }: VersionRef): Promise<void> {
  await tx.sql
    .updateTable('plan')
    .set({ active_version: version })
    .where('organisation', '=', organisation)
    .where('id', '=', planId)
    .execute()
}

/** Removes the plan and its versions; gives the digests that they had. */
export async function deletePlan(tx: Tx, { organisation, planId }: PlanRef): Promise<string[]> {
  const versions = await tx.sql
    .deleteFrom('plan_version')
    .where('organisation', '=', organisation)
    .where('plan_id', '=', planId)
    .returning('digest')
    .execute()
  await tx.sql.deleteFrom('plan').where('organisation', '=', organisation).where('id', '=', planId).execute()
  return [...new Set(versions.map(row => row.digest))]
}

/** Which of these digests some version has, of whatever organisation. */
export async function registeredDigests(reader: Reader, digests: readonly string[]): Promise<Set<string>> {
  const rows = await reader
    .selectFrom('plan_version')
    .select('digest')
    .distinct()
    .$if(digests.length <= 100, query => query.where('digest', 'in', [...digests]))
    .execute()
  return new Set(rows.map(row => row.digest))
}
