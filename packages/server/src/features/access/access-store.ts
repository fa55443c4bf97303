import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { TokenTable } from '#db/tables/access'

export type TokenRow = Selectable<TokenTable>

/** True when it is new. */
export async function insertOrganisation(tx: Tx, id: string, createdAt: number): Promise<boolean> {
  const result = await tx.sql
    .insertInto('organisation')
    .values({ id, created_at: createdAt })
    .onConflict(conflict => conflict.column('id').doNothing())
    .executeTakeFirst()
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n
}

export async function insertToken(tx: Tx, token: Omit<TokenRow, 'position'>): Promise<void> {
  await tx.sql.insertInto('token').values(token).execute()
}

/** By the id that a caller's token gives; whose it is, is what the caller wants to know. */
export function findToken(reader: Reader, id: string): Promise<TokenRow | undefined> {
  return reader.selectFrom('token').selectAll().where('id', '=', id).executeTakeFirst()
}

export function selectTokensById(reader: Reader, ids: readonly string[]): Promise<TokenRow[]> {
  return reader.selectFrom('token').selectAll().where('id', 'in', ids).execute()
}

export async function hasTokens(reader: Reader): Promise<boolean> {
  return (await reader.selectFrom('token').select('id').limit(1).executeTakeFirst()) !== undefined
}

export interface TokenFilter {
  /** Null for those of all. */
  readonly organisation: string | null
  /** Tokens made before the one at this position. */
  readonly before: number | undefined
  readonly limit: number
}

/** Newest first. */
export function selectTokens(reader: Reader, { organisation, before, limit }: TokenFilter): Promise<TokenRow[]> {
  return reader
    .selectFrom('token')
    .selectAll()
    .$if(organisation !== null, query => query.where('organisation', '=', organisation))
    .$if(before !== undefined, query => query.where('position', '<', before ?? 0))
    .orderBy('position', 'desc')
    .limit(limit)
    .execute()
}

/** The token as it is then, also when it was revoked before; undefined where the organisation has none of this id. */
export async function revokeToken(
  tx: Tx,
  id: string,
  { organisation, at }: { readonly organisation: string | null; readonly at: number },
): Promise<TokenRow | undefined> {
  await tx.sql
    .updateTable('token')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .$if(organisation !== null, query => query.where('organisation', '=', organisation ?? ''))
    .execute()
  return tx.sql
    .selectFrom('token')
    .selectAll()
    .where('id', '=', id)
    .$if(organisation !== null, query => query.where('organisation', '=', organisation ?? ''))
    .executeTakeFirst()
}

/** Notes that the token is in use, unless that was noted less than `everyMs` ago. */
export async function touchToken(
  tx: Tx,
  id: string,
  { at, everyMs }: { readonly at: number; readonly everyMs: number },
): Promise<void> {
  await tx.sql
    .updateTable('token')
    .set({ last_used_at: at })
    .where('id', '=', id)
    .where(eb => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<=', at - everyMs)]))
    .execute()
}
