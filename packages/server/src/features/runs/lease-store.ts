import { sql, type RawBuilder } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { RunRow } from './run-store.ts'

/** Milliseconds since 1970 by the clock that all servers of one database share. */
export function databaseNow(dialect: string): RawBuilder<number> {
  return dialect === 'sqlite'
    ? sql<number>`cast(unixepoch('subsec') * 1000 as integer)`
    : sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`
}

export interface LeaseTerms {
  readonly owner: string
  readonly leaseMs: number
  readonly dialect: string
}

export interface Claimed {
  readonly runs: readonly RunRow[]
  /** Whether there was room for these and no more, so that others may wait. */
  readonly isFull: boolean
}

// Word for word the conditions of the indexes that find them.
const ending = sql<boolean>`status in ('stopping', 'pausing')`
const waiting = sql<boolean>`status in ('pending', 'running')`

// Any number: it is the only advisory lock that runs take.
const claimLock = 72_155_001

export interface ClaimTerms extends LeaseTerms {
  readonly limit: number
  /** Servers that are not there any more, whose leases are over. */
  readonly gone?: readonly string[]
}

/**
 * Gives runs that nobody drives to this server: first those that are only to be ended or paused, then, as long as fewer
 * than `limit` are driven by all servers together, those that wait, in their order.
 */
export async function claimRuns(tx: Tx, { limit, gone = [], ...terms }: ClaimTerms): Promise<Claimed> {
  if (terms.dialect === 'postgres') await sql`select pg_advisory_xact_lock(${claimLock})`.execute(tx.sql)
  if (gone.length > 0) await releaseLeases(tx, gone)
  const free = limit - (await countLeases(tx.sql, terms.dialect))
  const toEnd = await selectClaimable(tx.sql, terms.dialect, { which: ending, limit: 100 })
  const toDrive = free > 0 ? await selectClaimable(tx.sql, terms.dialect, { which: waiting, limit: free }) : []
  const ids = [...toEnd, ...toDrive].map(({ id }) => id)
  const runs = ids.length === 0 ? [] : await lease(tx, ids, { ...terms, while: isFree(terms.dialect) })
  return { runs, isFull: toDrive.length >= free }
}

// A run may have come to its end, or to rest, or to another server, since it was looked for.
function lease(
  tx: Tx,
  ids: readonly string[],
  { owner, leaseMs, dialect, while: condition }: LeaseTerms & { readonly while: RawBuilder<boolean> },
): Promise<RunRow[]> {
  return tx.sql
    .updateTable('run')
    .set(({ eb }) => ({
      owner,
      lease: eb('lease', '+', 1),
      lease_until: sql<number>`${databaseNow(dialect)} + ${leaseMs}`,
    }))
    .where('id', 'in', ids)
    .where(sql<boolean>`(${ending} or ${waiting})`)
    .where(condition)
    .returningAll()
    .execute()
}

async function countLeases(reader: Reader, dialect: string): Promise<number> {
  const row = await reader
    .selectFrom('run')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('lease_until', '>', databaseNow(dialect))
    .executeTakeFirst()
  return Number(row?.count ?? 0)
}

function selectClaimable(
  reader: Reader,
  dialect: string,
  { which, limit }: { readonly which: RawBuilder<boolean>; readonly limit: number },
): Promise<{ id: string }[]> {
  return reader
    .selectFrom('run')
    .select('id')
    .where(which)
    .where(isFree(dialect))
    .orderBy('position')
    .limit(limit)
    .execute()
}

function isFree(dialect: string): RawBuilder<boolean> {
  return sql<boolean>`(lease_until is null or lease_until <= ${databaseNow(dialect)})`
}

/** Takes up a run again that this server still holds. Undefined when another server has it by now, or it came to rest. */
export async function renewLease(
  tx: Tx,
  run: { readonly id: string; readonly lease: number },
  terms: LeaseTerms,
): Promise<RunRow | undefined> {
  const [row] = await lease(tx, [run.id], { ...terms, while: sql<boolean>`lease = ${run.lease}` })
  return row
}

/** Moves the end of these leases; gives those of the runs that are still this server's, with their status. */
export function extendLeases(
  tx: Tx,
  runIds: readonly string[],
  { owner, leaseMs, dialect }: LeaseTerms,
): Promise<{ id: string; lease: number }[]> {
  return tx.sql
    .updateTable('run')
    .set({ lease_until: sql<number>`${databaseNow(dialect)} + ${leaseMs}` })
    .where('id', 'in', runIds)
    .where('owner', '=', owner)
    .returning(['id', 'lease'])
    .execute()
}

/** Gives up every lease of these servers, for others to take over at once. */
export async function releaseLeases(tx: Tx, owners: readonly string[]): Promise<void> {
  await tx.sql
    .updateTable('run')
    .set({ owner: null, lease_until: null })
    .where('lease_until', 'is not', null)
    .where('owner', 'in', owners)
    .execute()
}

/** The servers that have leases, but for `except`. */
export async function selectOwners(reader: Reader, except: string): Promise<string[]> {
  const rows = await reader
    .selectFrom('run')
    .select('owner')
    .distinct()
    .where('lease_until', 'is not', null)
    .where('owner', '!=', except)
    .execute()
  return rows.flatMap(({ owner }) => owner ?? [])
}

/** Runs that should have been over by now. */
export function selectOverdue(reader: Reader, dialect: string): Promise<{ id: string; organisation: string }[]> {
  return reader
    .selectFrom('run')
    .select(['id', 'organisation'])
    .where('completed_at', 'is', null)
    .where('deadline_at', '<=', databaseNow(dialect))
    .where('status', '!=', 'stopping')
    .limit(500)
    .execute()
}
