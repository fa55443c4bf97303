import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { openDatabase } from '@slipway/server/db/database'
import { expect, test } from 'vitest'
import { openBed } from '../testbed/bed.ts'
import { chain, digestAnswer } from './storm-plans.ts'
import { violations } from './invariants.ts'
import { openModelWorld } from './model-world.ts'
import { openRandom } from './random.ts'

const patient = { timeout: 40_000, interval: 20 }

test('[RUN-48] [RUN-35] [RUN-34] [RUN-8] [RUN-19] a model that takes prompts and never answers keeps no run for ever', async () => {
  await using folder = await temporaryDataFolder()
  const random = openRandom('Wedged model')
  await using world = await openModelWorld({ slots: 10, random, delayMs: [1, 5], timeoutMs: 4_000 })
  await mkdir(join(folder.path, 'config'), { recursive: true })
  await writeFile(join(folder.path, 'config', 'agents.yaml'), world.agentsFile)
  {
    await using bed = await openBed({ dataDir: folder.path, settings: { stalledAfterSeconds: 1 } })
    const { client } = bed
    await client.deploy(chain().package)
    const start = async (limits: object): Promise<string> => {
      const agent = world.agentOf(world.takeSlot(() => null))
      return (await client.startRun('chain', { inputs: { c0: 'x' }, agent, ...limits })).run_id
    }
    const [stopped, paused, timedOut, late, left] = await Promise.all([
      start({}),
      start({}),
      start({ step_timeout_seconds: 1.5 }),
      start({ timeout_seconds: 1.5 }),
      start({}),
    ])
    await expect.poll(() => world.asked.length, patient).toBe(5)
    // Others are not kept waiting by it.
    const agent = world.agentOf(world.takeSlot(digestAnswer))
    const { run_id: other } = await client.startRun('chain', { inputs: { c0: 'x' }, agent })
    expect(await bed.finished(other)).toMatchObject({ status: 'completed' })

    await client.pause(paused)
    const told = async (): Promise<boolean> =>
      (
        await bed.server.context.events.read({ organisation: 'default', runId: stopped }, { after: 0, limit: 1000 })
      ).some(({ event }) => event === 'execution:stalled')
    await expect.poll(told, patient).toBe(true)
    await client.stop(stopped)
    expect((await bed.finished(stopped)).error).toMatchObject({ reason: 'cancelled' })
    expect((await bed.finished(late)).error).toMatchObject({ reason: 'timeout' })
    expect((await bed.finished(timedOut)).error).toMatchObject({ reason: 'step_failed' })
    const [call] = (await client.trace(timedOut, { type: 'model.generate' })).items
    expect(call?.error?.name).toBe('step.timeout')
    // Without any limit of its own, the agent's ends the call.
    expect((await bed.finished(left)).error).toMatchObject({ reason: 'step_failed' })
    const status = async (): Promise<string> => (await client.run(paused)).status
    await expect.poll(status, patient).not.toBe('pausing')
    if ((await status()) === 'paused') await client.resume(paused)
    expect(await bed.finished(paused)).toMatchObject({ status: 'failed' })
  }
  await using db = await openDatabase(join(folder.path, 'slipway.db'))
  expect(await violations(db)).toEqual([])
})
