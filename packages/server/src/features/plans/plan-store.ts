import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { PlanVersionTable } from '#db/tables/plans'

export type VersionRow = Omit<Selectable<PlanVersionTable>, 'position'>
/** What lists show. */
export type ListedRow = Omit<VersionRow, 'details'>

const listed = ['plan_id', 'version', 'digest', 'name', 'description', 'deployed_at', 'size_bytes', 'summary'] as const

/** The active version of each plan behind `after`, by id. */
export function selectActive(
  reader: Reader,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
): Promise<ListedRow[]> {
  return reader
    .selectFrom('plan')
    .innerJoin('plan_version', join =>
      join.onRef('plan_version.plan_id', '=', 'plan.id').onRef('plan_version.version', '=', 'plan.active_version'),
    )
    .select(listed.map(column => `plan_version.${column}` as const))
    .$if(after !== undefined, query => query.where('plan.id', '>', after ?? ''))
    .orderBy('plan.id')
    .limit(limit)
    .execute()
}

export async function countPlans(reader: Reader): Promise<number> {
  const row = await reader
    .selectFrom('plan')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirst()
  return row?.count ?? 0
}

export async function activeVersion(reader: Reader, planId: string): Promise<string | null> {
  const row = await reader.selectFrom('plan').select('active_version').where('id', '=', planId).executeTakeFirst()
  return row?.active_version ?? null
}

export function findVersion(
  reader: Reader,
  { planId, version }: { readonly planId: string; readonly version: string },
): Promise<VersionRow | undefined> {
  return reader
    .selectFrom('plan_version')
    .select([...listed, 'details'])
    .where('plan_id', '=', planId)
    .where('version', '=', version)
    .executeTakeFirst()
}

/** As `findVersion`; nobody changes or removes the version until the transaction ends. */
export function lockVersion(
  tx: Tx,
  { planId, version }: { readonly planId: string; readonly version: string },
): Promise<Pick<VersionRow, 'digest'> | undefined> {
  return (
    tx.sql
      .selectFrom('plan_version')
      .select('digest')
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
  planId: string,
): Promise<Pick<VersionRow, 'version' | 'digest' | 'deployed_at' | 'size_bytes'>[]> {
  return reader
    .selectFrom('plan_version')
    .select(['version', 'digest', 'deployed_at', 'size_bytes'])
    .where('plan_id', '=', planId)
    .orderBy('deployed_at', 'desc')
    .orderBy('position', 'desc')
    .execute()
}

/** Adds the version, or puts it in the place of the one with the same name, and makes it the active one. */
export async function putVersion(tx: Tx, row: VersionRow): Promise<void> {
  const { plan_id: id, version } = row
  await tx.sql
    .insertInto('plan')
    .values({ id, active_version: version })
    .onConflict(conflict => conflict.column('id').doUpdateSet({ active_version: version }))
    .execute()
  const { plan_id: _id, version: _version, ...content } = row
  await tx.sql
    .insertInto('plan_version')
    .values(row)
    .onConflict(conflict => conflict.columns(['plan_id', 'version']).doUpdateSet(content))
    .execute()
}

export async function setActive(
  tx: Tx,
  { planId, version }: { readonly planId: string; readonly version: string },
): Promise<void> {
  await tx.sql.updateTable('plan').set({ active_version: version }).where('id', '=', planId).execute()
}

/** Removes the plan and its versions; gives the digests that they had. */
export async function deletePlan(tx: Tx, planId: string): Promise<string[]> {
  const versions = await tx.sql.deleteFrom('plan_version').where('plan_id', '=', planId).returning('digest').execute()
  await tx.sql.deleteFrom('plan').where('id', '=', planId).execute()
  return [...new Set(versions.map(row => row.digest))]
}

/** Which of these digests some version has. */
export async function registeredDigests(reader: Reader, digests: readonly string[]): Promise<Set<string>> {
  const rows = await reader
    .selectFrom('plan_version')
    .select('digest')
    .distinct()
    .$if(digests.length <= 100, query => query.where('digest', 'in', [...digests]))
    .execute()
  return new Set(rows.map(row => row.digest))
}
