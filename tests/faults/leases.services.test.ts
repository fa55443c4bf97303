import { openDatabase, type Database } from '@slipway/server/db/database'
import { postgresUrl } from '@slipway/server/db/testing'
import { claimRuns, renewLease } from '@slipway/server/features/runs/lease-store'
import { findRun, insertRun, updateRun } from '@slipway/server/features/runs/run-store'
import { newRun } from '@slipway/server/features/runs/testing'
import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'

const why = inject('postgres')?.why ?? null
const terms = { owner: 'other', leaseMs: 60_000, dialect: 'postgres' }
const patient = { timeout: 20_000, interval: 10 }

/** A run that a server drives whose lease has just ended. */
async function insertDriven(db: Database): Promise<void> {
  const run = newRun('a', { status: 'running', started_at: 1, owner: 'slow', lease: 1, lease_until: 1 })
  const content = { run_id: 'a', inputs: '{}', origin: null, node_statuses: '{}', result: null }
  await db.transaction(tx => insertRun(tx, run, content))
}

/** Writes the end of the run, and waits before it commits. */
function ending(db: Database): { readonly written: Promise<void>; readonly commit: () => Promise<void> } {
  const written = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const done = db.transaction(async tx => {
    await updateRun(tx, 'a', { status: 'completed', completed_at: 2, owner: null, lease_until: null })
    written.resolve()
    await released.promise
  })
  return {
    written: written.promise,
    commit: () => {
      released.resolve()
      return done
    },
  }
}

async function countWaiting(db: Database): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`.execute(db.read)
  return rows[0]?.count ?? 0
}

describe.skipIf(why !== null)(
  `runs that end while somebody else takes them up${why === null ? '' : ` (${why})`}`,
  () => {
    test('[RUN-26] a run that ends while another server claims it is over and is not driven again', async () => {
      const url = await postgresUrl()
      await using slow = await openDatabase(url)
      await using other = await openDatabase(url)
      await insertDriven(slow)
      const end = ending(slow)
      await end.written
      const claimed = other.transaction(tx => claimRuns(tx, { ...terms, limit: 10 }))
      await expect.poll(() => countWaiting(slow), patient).toBe(1)
      await end.commit()
      expect((await claimed).runs).toEqual([])
      expect(await findRun(other.read, 'a')).toMatchObject({ status: 'completed', owner: null, lease_until: null })
    })

    test('[RUN-25] [RUN-26] a run whose end was written, though nobody heard of it, is not taken up again', async () => {
      await using db = await openDatabase(await postgresUrl())
      await insertDriven(db)
      const held = { id: 'a', lease: 1 }
      expect(await db.transaction(tx => renewLease(tx, held, terms))).toMatchObject({ id: 'a', lease: 2 })
      const end = ending(db)
      await end.commit()
      expect(await db.transaction(tx => renewLease(tx, { ...held, lease: 2 }, terms))).toBeUndefined()
      expect(await findRun(db.read, 'a')).toMatchObject({ status: 'completed', owner: null, lease_until: null })
    })
  },
)
