import { temporaryDataFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { chain, examples } from './storm-plans.ts'
import { killsOr, storm } from './storm.ts'

test('[RUN-1] [RUN-6] [RUN-7] [RUN-31] [RUN-42] killed again and again on SQLite, a server keeps what it said', async () => {
  await using folder = await temporaryDataFolder()
  const report = await storm({
    title: 'Storm over the examples on SQLite',
    plans: [...examples(), chain()],
    kills: killsOr(15),
    dataDir: folder.path,
    postgres: null,
  })
  expect(report.problems).toEqual([])
  expect(report.kills).toBeGreaterThanOrEqual(killsOr(15))
  expect(report.runs).toBeGreaterThan(0)
})
