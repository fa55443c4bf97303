import pg from 'pg'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { postgresUrl } from '@slipway/server/db/testing'
import { describe, expect, inject, test } from 'vitest'
import { chain, examples } from './storm-plans.ts'
import { killsOr, storm } from './storm.ts'

const why = inject('postgres')?.why ?? null

describe.skipIf(why !== null)(`the examples${why === null ? '' : ` (${why})`}`, () => {
  test('[RUN-1] [RUN-6] [RUN-7] [RUN-31] [RUN-42] killed again and again on Postgres, servers keep what they said', async () => {
    await using folder = await temporaryDataFolder()
    const url = await postgresUrl({ empty: true })
    const report = await storm({
      title: 'Storm over the examples on Postgres',
      plans: [...examples(), chain()],
      kills: killsOr(15),
      dataDir: folder.path,
      postgres: url,
    })
    expect(report.problems).toEqual([])
    expect(report.kills).toBeGreaterThanOrEqual(killsOr(15))
    expect(report.runs).toBeGreaterThan(0)
    expect(await deadlocks(url)).toBe(0)
  })
})

/** How often Postgres had to end a transaction because it and another one waited for each other. */
async function deadlocks(url: string): Promise<number> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    const { rows } = await client.query<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    )
    return Number(rows[0]?.deadlocks)
  } finally {
    await client.end()
  }
}
