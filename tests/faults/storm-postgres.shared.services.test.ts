import { temporaryDataFolder } from '@slipway/server/app/testing'
import { postgresUrl } from '@slipway/server/db/testing'
import { describe, expect, inject, test } from 'vitest'
import { hasRecordedPlans, recordedPlans } from './recorded-plans.ts'
import { chain } from './storm-plans.ts'
import { killsOr, storm } from './storm.ts'

const why = hasRecordedPlans ? (inject('postgres')?.why ?? null) : 'nothing is recorded here'

describe.skipIf(why !== null)(`real plans${why === null ? '' : ` (${why})`}`, () => {
  test('[RUN-1] [RUN-6] [RUN-7] [RUN-31] [RUN-42] run to their ends on two servers on Postgres that are killed again and again', async () => {
    await using folder = await temporaryDataFolder()
    const report = await storm({
      title: 'Storm over real plans on Postgres',
      plans: [...recordedPlans(), chain()],
      kills: killsOr(100),
      dataDir: folder.path,
      postgres: await postgresUrl({ empty: true }),
    })
    expect(report.problems).toEqual([])
    expect(report.kills).toBeGreaterThanOrEqual(killsOr(100))
    expect(report.runs).toBeGreaterThan(0)
  })
})
