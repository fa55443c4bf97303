import type { RunState } from '@slipway/protocol/runs'
import { postgresUrl } from '@slipway/server/db/testing'
import { describe, expect, inject, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan } from '../testbed/small-plans.ts'
import { temporaryDataFolder } from '@slipway/server/app/testing'

const postgres = inject('postgres')

async function at(bed: Bed, runId: string, status: RunState): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status, { timeout: 50_000 }).toBe(status)
}

async function exported(bed: Bed, runId: string): Promise<Uint8Array> {
  return new Uint8Array(await new Response(await bed.client.exportRun(runId)).arrayBuffer())
}

describe.skipIf(!postgres?.url)(`on Postgres${postgres?.url ? '' : ` (${postgres?.why ?? 'not here'})`}`, () => {
  const { models } = scriptedModel(
    (prompt, call) => `${'so long that it is kept once. '.repeat(20)}${call} ${prompt.length}`,
  )

  test('[RUN-80] [RUN-83] a run moves from SQLite to Postgres and back', async () => {
    await using small = await openBed({ replace: { models } })
    await using large = await openBed({ replace: { models }, settings: { databaseUrl: await postgresUrl() } })
    await small.client.deploy(chainPlan('chain', 3))
    await small.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'moves' })
    await at(small, 'moves', 'completed')
    await small.client.override('moves', 'c1', { value: 'another', rerunDependents: true })
    await at(small, 'moves', 'completed')
    await large.client.importRun(await exported(small, 'moves'))
    expect(await large.client.result('moves')).toEqual(await small.client.result('moves'))
    expect((await large.client.checkpoints('moves')).items).toEqual((await small.client.checkpoints('moves')).items)
    await large.client.fork('moves', { step: 2, run_id: 'fork' })
    await at(large, 'fork', 'completed')
    await small.client.importRun(await exported(large, 'fork'))
    expect(await small.client.result('fork')).toEqual(await large.client.result('fork'))
  })

  test('[RUN-91] [RUN-95] two servers delete each run once, and nothing is left', async () => {
    await using folder = await temporaryDataFolder()
    const settings = { databaseUrl: await postgresUrl() }
    await using first = await openBed({ replace: { models }, dataDir: folder.path, settings })
    await using second = await openBed({ replace: { models }, dataDir: folder.path, settings })
    await first.client.deploy(chainPlan('chain', 2))
    const runs = Array.from({ length: 6 }, (_, index) => `run${index}`)
    for (const runId of runs) await first.client.startRun('chain', { inputs: { c0: 'x' }, run_id: runId })
    for (const runId of runs) await at(second, runId, 'completed')
    await first.client.deletePlan('chain')
    const replies = await Promise.all([first, second].map(bed => bed.client.pruneRuns({ olderThanDays: 0 })))
    expect(replies.flatMap(reply => reply.runs.map(run => String(run.run_id))).sort()).toEqual(runs)
    for (const bed of [first, second]) await bed.server.context.archives.retention.settled()
    await Promise.all([first, second].map(bed => bed.server.context.archives.retention.pass()))
    const { read } = first.server.context.db
    for (const table of ['run', 'run_remains', 'run_value', 'run_step', 'run_call'] as const)
      expect(await read.selectFrom(table).selectAll().execute()).toEqual([])
    expect(await read.selectFrom('event').selectAll().where('run_id', 'is not', null).execute()).toEqual([])
  })
})
