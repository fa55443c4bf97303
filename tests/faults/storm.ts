import { join } from 'node:path'
import { sleep } from '@slipway/kit/abort'
import { openDatabase } from '@slipway/server/db/database'
import { migrateDatabase } from '@slipway/server/db/migrate-database'
import { lastEventId } from '@slipway/server/features/events/event-store'
import { Clients, otherChain } from './clients.ts'
import { Fleet } from './fleet.ts'
import { fileViolations, violations } from './invariants.ts'
import { Ledger } from './ledger.ts'
import { postgresMarks, sqliteMarks, type Mark, type MarkReader } from './marks.ts'
import { openModelWorld, type ModelWorld } from './model-world.ts'
import { outcomeOf } from './outcome.ts'
import { openRandom, type Random } from './random.ts'
import type { StormPlan } from './storm-plans.ts'
import { brokenPromises } from './verdict.ts'
import { unseen, watchAll } from './watcher.ts'

export interface StormOptions {
  readonly title: string
  readonly plans: readonly StormPlan[]
  /** Processes that are killed. */
  readonly kills: number
  readonly dataDir: string
  /** A Postgres, which two servers share; without it one server works on a SQLite file. */
  readonly postgres: string | null
}

export interface StormReport {
  readonly kills: number
  /** Runs that were acknowledged. */
  readonly runs: number
  /** What did not hold, a sentence each. */
  readonly problems: readonly string[]
}

const slots = 400
// Long enough for a machine with nothing else to do; a run that hangs is found by it.
const settleMs = 180_000
const longestLifeMs = 5_000

/** Kills servers again and again while they are used, and then looks whether everything that was promised is so. */
export async function storm(options: StormOptions): Promise<StormReport> {
  const { title, plans, dataDir, postgres } = options
  const random = openRandom(title)
  await using world = await openModelWorld({ slots, random, delayMs: [2, 60] })
  if (postgres !== null) await migrateDatabase(postgres)
  await using fleet = await Fleet.open({
    dataDir,
    servers: postgres === null ? 1 : 2,
    agentsFile: world.agentsFile,
    env: {
      SLIPWAY_LEASE_SECONDS: '1',
      SLIPWAY_MAX_CONCURRENT_RUNS: '8',
      SLIPWAY_CHECKPOINT_FREQUENCY: '2',
      ...(postgres !== null && { SLIPWAY_DATABASE_URL: postgres }),
    },
    random,
  })
  const place = postgres ?? join(dataDir, 'slipway.db')
  const expected = await undisturbed({ fleet, world, plans })
  const ledger = new Ledger()
  const leave = new AbortController()
  const clients = new Clients({ fleet, world, ledger, random, plans, runs: 12, leave: leave.signal })
  const everything = fleet.berths.map(({ client }) => watchAll(client, leave.signal))
  const isOver = new AbortController()
  const work = clients.work(isOver.signal)
  let marks: Mark[]
  {
    await using reader = postgres === null ? sqliteMarks(place) : await postgresMarks(postgres)
    marks = await killAround({ fleet, world, ledger, random, reader, kills: options.kills })
  }
  isOver.abort()
  await fleet.ready()
  await work
  try {
    await clients.settle(AbortSignal.timeout(settleMs))
  } catch {
    const left = ledger.unfinished().map(({ id, plan }) => `${id} (${plan.id})`)
    ledger.problems.push(`runs do not end: ${left.join(', ')}`)
  }
  const last = await lastEvent(place)
  for (const watcher of everything) ledger.problems.push(...(await unseen(watcher, last)))
  const problems = await brokenPromises({
    client: fleet.at(0).client,
    ledger,
    expected,
    marks,
    asked: world.asked,
    everything,
  })
  leave.abort()
  for (const { server } of fleet.berths) {
    const code = await server.stop()
    if (code !== 0) problems.push(`a server that was asked to stop ended with ${code}`)
  }
  {
    await using db = await openDatabase(place)
    problems.push(...(await violations(db)))
  }
  if (postgres === null) problems.push(...(await fileViolations(place)))
  console.log(`${title}: ${JSON.stringify(Object.fromEntries([...ledger.counts].sort()))}`)
  if (problems.length > 0) console.log(problems.slice(0, 20).join('\n'), fleet.complaints().slice(-5_000))
  return {
    kills: options.kills,
    runs: ledger.runs.filter(({ isAcknowledged }) => isAcknowledged).length,
    problems: problems.map(problem => `${problem} (seed ${random.seed})`),
  }
}

async function lastEvent(place: string): Promise<number> {
  await using db = await openDatabase(place)
  return await lastEventId(db.read)
}

/** How often to kill: as said, or as SLIPWAY_FAULT_KILLS says, for a quick look or for a long night. */
export function killsOr(usual: number): number {
  return Number(process.env['SLIPWAY_FAULT_KILLS'] ?? usual)
}

/** What each plan comes to when nothing happens to the servers, by plan; and under `other` an overridden chain. */
async function undisturbed(options: {
  readonly fleet: Fleet
  readonly world: ModelWorld
  readonly plans: readonly StormPlan[]
}): Promise<ReadonlyMap<string, string>> {
  const { fleet, world, plans } = options
  const { client } = fleet.at(0)
  const expected = new Map<string, string>()
  for (const plan of plans) await client.deploy(plan.package)
  const all = [...plans.map(plan => [plan.id, plan] as const), ['other', otherChain] as const]
  for (const [name, plan] of all) {
    if (!plans.some(({ id }) => id === plan.id)) continue
    const agent = world.agentOf(world.takeSlot(plan.answer))
    const { run_id: id } = await client.startRun(plan.id, { inputs: plan.inputs, agent })
    let place = 0
    for (;;) {
      const { status } = await client.run(id)
      if (status === 'completed' || status === 'failed') break
      for (const question of await client.inputs({ runId: id }))
        await client.answer(question.input_id, plan.say(question, place++) as string)
      await sleep(20)
    }
    expected.set(name, await outcomeOf(client, id))
  }
  return expected
}

interface Killing {
  readonly fleet: Fleet
  readonly world: ModelWorld
  readonly ledger: Ledger
  readonly random: Random
  readonly reader: MarkReader
  readonly kills: number
}

/** Ends lives at any moment: while a server starts, at once, or after it has done a few things, however long that takes. */
async function killAround({ fleet, world, ledger, random, reader, kills }: Killing): Promise<Mark[]> {
  const marks: Mark[] = []
  for (let killed = 0; killed < kills;) {
    const victims = fleet.berths.flatMap((_, at) => (random.chance(0.6) ? [at] : []))
    if (victims.length === 0) continue
    const [first = 0] = victims
    if (random.chance(0.85)) {
      await fleet.at(first).server.ready
      const done = (): number => world.asked.length + ledger.progress()
      const enough = done() + random.between(0, 30)
      for (const start = performance.now(); done() < enough && performance.now() - start < longestLifeMs;)
        await sleep(5)
      await sleep(random.between(0, 30))
    } else await sleep(random.between(0, 400))
    const pids: number[] = []
    for (const at of victims) pids.push(await fleet.kill(at))
    killed += victims.length
    // What had been sent before is still on its way to the model.
    await sleep(15)
    marks.push(await reader.read(pids))
    world.mark()
    for (const at of victims) fleet.launch(at)
  }
  return marks
}
