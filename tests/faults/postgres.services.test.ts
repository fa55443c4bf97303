import { sleep } from '@slipway/kit/abort'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { openDatabase } from '@slipway/server/db/database'
import { migrateDatabase } from '@slipway/server/db/migrate-database'
import { databaseNow } from '@slipway/server/features/runs/lease-store'
import { describe, expect, inject, test } from 'vitest'
import { postgresUrl } from '@slipway/server/db/testing'
import { startPostgres } from '../testbed/postgres.ts'
import { openWire } from '../testbed/slipway.ts'
import { echoPlan } from '../testbed/small-plans.ts'
import { askedBy, deployChain, expectWhole, startChain, type StartedChain } from './chains.ts'
import { Fleet } from './fleet.ts'
import { violations } from './invariants.ts'
import { openModelWorld, type ModelWorld } from './model-world.ts'
import { openRandom } from './random.ts'

const why = inject('postgres')?.why ?? null
const random = openRandom('Faults around Postgres')
const patient = { timeout: 60_000, interval: 20 }

async function openFleet(
  postgres: string | readonly string[],
  { dataDir, world, env = {} }: { dataDir: string; world: ModelWorld; env?: Readonly<Record<string, string>> },
): Promise<Fleet> {
  const urls = typeof postgres === 'string' ? [postgres, postgres] : postgres
  return Fleet.open({
    dataDir,
    servers: 2,
    agentsFile: world.agentsFile,
    random,
    env: { SLIPWAY_LEASE_SECONDS: '1', ...env },
    envOf: at => ({ SLIPWAY_DATABASE_URL: urls[at] ?? '' }),
  })
}

function openWorld(): Promise<ModelWorld> {
  return openModelWorld({ slots: 40, random, delayMs: [20, 60] })
}

async function expectSound(postgres: string): Promise<void> {
  await using db = await openDatabase(postgres)
  expect(await violations(db)).toEqual([])
}

async function stopAll(fleet: Fleet): Promise<void> {
  for (const { server } of fleet.berths) expect(await server.stop()).toBe(0)
}

async function startChains(fleet: Fleet, world: ModelWorld, signal: AbortSignal): Promise<StartedChain[]> {
  await deployChain(fleet.at(0).client)
  const chains: StartedChain[] = []
  for (let at = 0; at < 6; at++) {
    const { client } = fleet.at(at % 2)
    chains.push(await startChain({ client, world, signal, watchedAt: fleet.at((at + 1) % 2).url }, `start ${at}`))
  }
  return chains
}

describe.skipIf(why !== null)(`servers on a Postgres that fails${why === null ? '' : ` (${why})`}`, () => {
  test('[RUN-25] [RUN-7] killed and started again under them, runs go on as if nothing had happened', async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openWorld()
    await using postgres = await startPostgres()
    await migrateDatabase(postgres.url)
    await using fleet = await openFleet(postgres.url, { dataDir: folder.path, world })
    const leave = new AbortController()
    const chains = await startChains(fleet, world, leave.signal)
    for (let round = 0; round < 3; round++) {
      const asked = world.asked.length
      await expect.poll(() => world.asked.length, patient).toBeGreaterThan(asked + 3)
      await postgres.kill()
      await sleep(random.between(0, 1500))
      await postgres.restart()
    }
    for (const chain of chains) await expectWhole(fleet.at(0).client, chain)
    leave.abort()
    await stopAll(fleet)
    await expectSound(postgres.url)
  })

  test.each(['block', 'stall'] as const)(
    '[RUN-26] [RUN-28] a server whose wire to Postgres is down (%s) loses its runs and writes nothing of them',
    async fault => {
      await using folder = await temporaryDataFolder()
      await using world = await openWorld()
      const postgres = await postgresUrl()
      await using wire = await openWire(postgres)
      const wired = new URL(postgres)
      wired.port = new URL(wire.url).port
      await using fleet = await openFleet([wired.href, postgres], { dataDir: folder.path, world })
      const [cutOff, other] = [fleet.at(0), fleet.at(1)]
      const leave = new AbortController()
      await deployChain(other.client)
      const chain = await startChain(
        { client: cutOff.client, world, signal: leave.signal, watchedAt: other.url },
        'over the wire',
      )
      await expect.poll(() => askedBy(world, chain), patient).toBeGreaterThan(3)
      wire[fault]()
      const events = await expectWhole(other.client, chain)
      expect(events.filter(({ event }) => event === 'run:recovered')).toHaveLength(1)
      wire.mend()
      await expect.poll(() => cutOff.client.run(chain.id), patient).toMatchObject({ status: 'completed' })
      leave.abort()
      await stopAll(fleet)
      await expectSound(postgres)
    },
  )

  test('[RUN-26] [RUN-28] a server that stood still longer than its lease finds its runs done by another', async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openWorld()
    const postgres = await postgresUrl()
    await using db = await openDatabase(postgres)
    await using fleet = await openFleet(postgres, { dataDir: folder.path, world })
    const [frozen, other] = [fleet.at(0), fleet.at(1)]
    const leave = new AbortController()
    await deployChain(other.client)
    const chain = await startChain(
      { client: frozen.client, world, signal: leave.signal, watchedAt: other.url },
      'stood still',
    )
    await expect.poll(() => askedBy(world, chain), patient).toBeGreaterThan(3)
    frozen.server.signal('SIGSTOP')
    const held = await db.read.selectFrom('run').select('lease_until').executeTakeFirstOrThrow()
    const events = await expectWhole(other.client, chain)
    const recovered = events.filter(({ event }) => event === 'run:recovered')
    expect(recovered).toHaveLength(1)
    expect(recovered[0]?.ts).toBeGreaterThan(Number(held.lease_until))
    frozen.server.signal('SIGCONT')
    await expect.poll(() => frozen.server.output(), patient).toContain('run taken over by another server')
    expect(await frozen.client.run(chain.id)).toMatchObject({ status: 'completed' })
    leave.abort()
    await stopAll(fleet)
    await expectSound(postgres)
  })

  test('[RUN-26] [RUN-6] when the clock of the database jumps, leases end under servers that live, and nothing is done twice', async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openWorld()
    const postgres = await postgresUrl()
    await using db = await openDatabase(postgres)
    await using fleet = await openFleet(postgres, { dataDir: folder.path, world })
    const leave = new AbortController()
    const chains = await startChains(fleet, world, leave.signal)
    for (let round = 1; round <= 3; round++) {
      await expect.poll(() => world.asked.length, patient).toBeGreaterThan(12 * round)
      // As far as leases go, this is the same as a clock that is an hour further.
      await db.read
        .updateTable('run')
        .set(({ eb }) => ({ lease_until: eb('lease_until', '-', 3_600_000) }))
        .where('lease_until', 'is not', null)
        .execute()
    }
    for (const chain of chains) await expectWhole(fleet.at(0).client, chain)
    const runs = await db.read.selectFrom('run').select('lease').execute()
    expect(Math.max(...runs.map(({ lease }) => Number(lease)))).toBeGreaterThan(1)
    leave.abort()
    await stopAll(fleet)
    await expectSound(postgres)
  })

  test('[RUN-28] the runs of a killed server are taken over long before its lease is over', async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openWorld()
    const postgres = await postgresUrl()
    await using db = await openDatabase(postgres)
    await using fleet = await openFleet(postgres, {
      dataDir: folder.path,
      world,
      env: { SLIPWAY_LEASE_SECONDS: '600' },
    })
    const [killed, other] = [fleet.at(0), fleet.at(1)]
    const leave = new AbortController()
    await deployChain(other.client)
    const chain = await startChain(
      { client: killed.client, world, signal: leave.signal, watchedAt: other.url },
      'killed',
    )
    await expect.poll(() => askedBy(world, chain), patient).toBeGreaterThan(3)
    await fleet.kill(0)
    const held = await db.read.selectFrom('run').select(['lease', 'lease_until']).executeTakeFirstOrThrow()
    await expectWhole(other.client, chain)
    const recovered = chain.watcher.seen.find(({ event }) => event === 'run:recovered')
    expect(recovered?.ts).toBeLessThan(Number(held.lease_until))
    const now = await db.read.selectFrom('run').select('lease').executeTakeFirstOrThrow()
    expect(Number(now.lease)).toBe(Number(held.lease) + 1)
    leave.abort()
    await other.server.stop()
    await expectSound(postgres)
  })

  // A machine so busy that a server does nothing for half a second proves nothing.
  test('[RUN-26] as long as servers live they keep their runs, however short the lease', { retry: 2 }, async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openModelWorld({ slots: 40, random, delayMs: [300, 500] })
    const postgres = await postgresUrl()
    await using db = await openDatabase(postgres)
    await using fleet = await openFleet(postgres, { dataDir: folder.path, world })
    const leave = new AbortController()
    const chains = await startChains(fleet, world, leave.signal)
    await fleet.at(0).client.deploy(echoPlan('echo'))
    // Each start makes a server look for runs that nobody drives.
    for (let at = 0; chains.some(({ watcher }) => !watcher.isDone()); at++) {
      await fleet.at(at % 2).client.startRun('echo', { inputs: { spoken_word: 'again' } })
    }
    for (const chain of chains) {
      const events = await expectWhole(fleet.at(0).client, chain)
      expect(events.map(({ event }) => event)).not.toContain('run:recovered')
    }
    const runs = await db.read.selectFrom('run').select('lease').where('plan_id', '=', 'chain').execute()
    expect(runs.map(({ lease }) => Number(lease))).toEqual(chains.map(() => 1))
    leave.abort()
    await stopAll(fleet)
    await expectSound(postgres)
  })

  test('[RUN-27] two servers together drive no more runs than they may', async () => {
    await using folder = await temporaryDataFolder()
    await using world = await openWorld()
    const postgres = await postgresUrl()
    await using db = await openDatabase(postgres)
    const env = { SLIPWAY_MAX_CONCURRENT_RUNS: '3', SLIPWAY_LEASE_SECONDS: '3' }
    await using fleet = await openFleet(postgres, { dataDir: folder.path, world, env })
    const leave = new AbortController()
    await deployChain(fleet.at(0).client)
    const chains = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        startChain({ client: fleet.at(at % 2).client, world, signal: leave.signal }, `one of many ${at}`),
      ),
    )
    const samples: number[] = []
    while (chains.some(({ watcher }) => !watcher.isDone())) {
      const { count } = await db.read
        .selectFrom('run')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('lease_until', '>', databaseNow('postgres'))
        .executeTakeFirstOrThrow()
      samples.push(Number(count))
      await sleep(15)
    }
    expect(Math.max(...samples)).toBe(3)
    // A step of a chain asks once and waits.
    expect(world.mostAtOnce).toBe(3)
    for (const chain of chains) await expectWhole(fleet.at(0).client, chain)
    leave.abort()
    await stopAll(fleet)
    await expectSound(postgres)
  })
})
