import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { openDatabase } from '@slipway/server/db/database'
import { expect, test } from 'vitest'
import { personPlan } from '../testbed/small-plans.ts'
import { askedBy, deployChain, expectWhole, startChain } from './chains.ts'
import { Fleet } from './fleet.ts'
import { violations } from './invariants.ts'
import { openModelWorld } from './model-world.ts'
import { openRandom } from './random.ts'
import { watchRun } from './watcher.ts'

const jumpingClock = fileURLToPath(new URL('../testbed/jumping-clock.ts', import.meta.url))
const patient = { timeout: 40_000, interval: 20 }
const hour = 3_600_000

// Windows has no such signals.
test.skipIf(process.platform === 'win32').each([
  ['forward', 3 * hour],
  ['back', -3 * hour],
])(
  '[RUN-34] [RUN-6] [RUN-7] [RUN-12] a clock that jumps %s ends no run, loses none and repeats nothing',
  async (_way, jump) => {
    await using folder = await temporaryDataFolder()
    const random = openRandom('Jumping clock')
    await using world = await openModelWorld({ slots: 20, random, delayMs: [20, 60] })
    // The server starts with a clock that is wrong, which is put right while it runs, and again in its next life.
    await using fleet = await Fleet.open({
      dataDir: folder.path,
      servers: 1,
      agentsFile: world.agentsFile,
      random,
      env: { CLOCK_SHIFT_MS: String(-jump), CLOCK_JUMP_MS: String(jump) },
      nodeArguments: ['--import', jumpingClock],
    })
    const leave = new AbortController()
    const { client } = fleet.at(0)
    await deployChain(client)
    await client.deploy(personPlan('ask'))
    const chains = []
    for (let at = 0; at < 4; at++)
      chains.push(await startChain({ client, world, signal: leave.signal }, `start ${at}`, { timeout_seconds: 1800 }))
    const { run_id: asking } = await client.startRun('ask', { inputs: { question: 'Go on?' }, timeout_seconds: 1800 })
    const watcher = watchRun(client, asking, { by: 'stream', signal: leave.signal })
    const [first] = chains
    if (first === undefined) throw new Error('Nothing was started.')
    await expect.poll(() => askedBy(world, first), patient).toBeGreaterThan(2)
    fleet.at(0).server.signal('SIGUSR2')
    await expect.poll(() => askedBy(world, first), patient).toBeGreaterThan(5)
    await fleet.kill(0)
    fleet.launch(0)
    for (const chain of chains) await expectWhole(client, chain)
    await expect.poll(async () => (await client.inputs()).length, patient).toBe(1)
    fleet.at(0).server.signal('SIGUSR2')
    const [question] = await client.inputs()
    await client.answer(question?.input_id ?? '', 'yes')
    await watcher.done
    expect(await client.run(asking)).toMatchObject({ status: 'completed' })
    leave.abort()
    expect(await fleet.at(0).server.stop()).toBe(0)
    await using db = await openDatabase(join(folder.path, 'slipway.db'))
    expect(await violations(db)).toEqual([])
  },
)
