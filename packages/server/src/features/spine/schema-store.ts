import type { Reader, Tx } from '#db/database'

export async function findSchema(reader: Reader, organisation: string, id: string): Promise<string | null> {
  const row = await reader
    .selectFrom('bus_schema')
    .select('schema')
    .where('organisation', '=', organisation)
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.schema ?? null
}

export async function countSchemas(tx: Tx, organisation: string): Promise<number> {
  const row = await tx.sql
    .selectFrom('bus_schema')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('organisation', '=', organisation)
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

export async function insertSchema(
  tx: Tx,
  row: { readonly organisation: string; readonly id: string; readonly schema: string; readonly created_at: number },
): Promise<void> {
  await tx.sql
    .insertInto('bus_schema')
    .values(row)
    .onConflict(conflict => conflict.doNothing())
    .execute()
}

export async function listSchemas(reader: Reader, organisation: string): Promise<string[]> {
  const rows = await reader
    .selectFrom('bus_schema')
    .select('id')
    .where('organisation', '=', organisation)
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}
