import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { AuditTable } from '#db/tables/access'

export type AuditRow = Selectable<AuditTable>

export async function insertEntry(tx: Tx, entry: Omit<AuditRow, 'position'>): Promise<void> {
  await tx.sql.insertInto('audit').values(entry).execute()
}

/** Removes all but the newest ones of an organisation. */
export async function trimEntries(tx: Tx, organisation: string, keep: number): Promise<void> {
  const oldest = await tx.sql
    .selectFrom('audit')
    .select('position')
    .where('organisation', '=', organisation)
    .orderBy('position', 'desc')
    .offset(keep)
    .limit(1)
    .executeTakeFirst()
  if (!oldest) return
  await tx.sql
    .deleteFrom('audit')
    .where('organisation', '=', organisation)
    .where('position', '<=', oldest.position)
    .execute()
}

export interface AuditFilter {
  readonly kind?: string | undefined
  readonly name?: string | undefined
  /** Older than this one. */
  readonly before?: number | undefined
  readonly limit: number
}

/** Newest first. */
export function selectEntries(
  reader: Reader,
  organisation: string,
  { kind, name, before, limit }: AuditFilter,
): Promise<AuditRow[]> {
  return reader
    .selectFrom('audit')
    .selectAll()
    .where('organisation', '=', organisation)
    .$if(kind !== undefined, query => query.where('kind', '=', kind ?? ''))
    .$if(name !== undefined, query => query.where('name', '=', name ?? ''))
    .$if(before !== undefined, query => query.where('position', '<', before ?? 0))
    .orderBy('position', 'desc')
    .limit(limit)
    .execute()
}
