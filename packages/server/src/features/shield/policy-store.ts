import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { PolicyTable } from '#db/tables/policies'

export type PolicyRow = Selectable<PolicyTable>

/** By name. */
export function selectPolicies(reader: Reader, organisation: string): Promise<PolicyRow[]> {
  return reader.selectFrom('policy').selectAll().where('organisation', '=', organisation).orderBy('name').execute()
}

export function findPolicy(reader: Reader, organisation: string, name: string): Promise<PolicyRow | undefined> {
  return reader
    .selectFrom('policy')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .executeTakeFirst()
}

export async function countPolicies(tx: Tx, organisation: string): Promise<number> {
  const row = await tx.sql
    .selectFrom('policy')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('organisation', '=', organisation)
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

/** Inserts the policy, or takes the place of the one of its name with the next version. */
export async function putPolicy(tx: Tx, row: Omit<PolicyRow, 'version'>): Promise<void> {
  const { organisation: _organisation, name: _name, ...changed } = row
  await tx.sql
    .insertInto('policy')
    .values({ ...row, version: 1 })
    .onConflict(conflict =>
      conflict.columns(['organisation', 'name']).doUpdateSet(eb => ({
        ...changed,
        version: eb('policy.version', '+', 1),
      })),
    )
    .execute()
}

/** False where there is none. */
export async function setActive(
  tx: Tx,
  {
    organisation,
    name,
    ...changed
  }: Pick<PolicyRow, 'organisation' | 'name' | 'is_active' | 'changed_by' | 'changed_at'>,
): Promise<boolean> {
  const result = await tx.sql
    .updateTable('policy')
    .set(changed)
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function deletePolicy(tx: Tx, organisation: string, name: string): Promise<boolean> {
  const result = await tx.sql
    .deleteFrom('policy')
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .executeTakeFirst()
  return result.numDeletedRows > 0n
}
