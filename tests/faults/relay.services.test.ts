import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import { createClient } from '@slipway/sdk/client'
import { openDatabase } from '@slipway/server/db/database'
import { DatabaseSpine } from '@slipway/server/features/spine/database-spine'
import { silentLogger } from '@slipway/server/observe/log'
import { expect, inject, onTestFinished, test } from 'vitest'
import { launchChildServer, type LaunchedServer } from '../testbed/child-server.ts'
import { keptPort } from '../testbed/free-port.ts'
import { startNats, whyNoNats } from '../testbed/nats.ts'
import { openRandom } from './random.ts'

const why = whyNoNats()
const program = fileURLToPath(new URL('relay-child.ts', import.meta.url))
const organisation = 'default'
const token = 'token-of-the-operator'
const jobs = 10_000
const victims = ['operator', 'server', 'broker'] as const

/** A process that comes back as a new one whenever it is killed. */
class Worker {
  readonly #arguments: readonly string[]
  #child: ChildProcess

  constructor(url: string, id: string) {
    this.#arguments = [program, url, token, id]
    this.#child = this.#start()
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('An operator has ended by itself.')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async restart(): Promise<void> {
    await this.kill()
    this.#child = this.#start()
  }

  #start(): ChildProcess {
    return spawn(process.execPath, this.#arguments, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
}

async function publishAll(file: string): Promise<void> {
  await using db = await openDatabase(file)
  await using spine = new DatabaseSpine({
    db,
    log: silentLogger(),
    now: () => performance.timeOrigin + performance.now(),
    policy: { jobDays: 0, jobsPerQueue: 0, deadDays: 0, messageDays: 0, messages: 0 },
    leaseMs: 1_000,
    cancelGraceMs: 1_000,
  })
  const published = Array.from({ length: jobs }, (_, index) =>
    spine.jobs.publish(organisation, {
      topic: 'storm.jobs',
      schema: 'arqonbus.storm.job.v1',
      payload: Buffer.from(JSON.stringify({ index })),
      idempotencyKey: `job ${index}`,
      maxAttempts: 100,
      backoff: { firstMs: 0, ceilingMs: 0 },
    }),
  )
  await Promise.all(published)
}

/** What is there at the end: each job done, each with one result, which is its own. */
async function check(file: string): Promise<void> {
  await using db = await openDatabase(file)
  const rows = await db.read.selectFrom('job').select(['id', 'state', 'fence', 'idempotency_key as key']).execute()
  expect(rows.map(({ key }) => key).sort()).toEqual(Array.from({ length: jobs }, (_, index) => `job ${index}`).sort())
  expect(rows.filter(({ state }) => state !== 'done')).toEqual([])
  // Those that were killed were at work.
  expect(rows.filter(({ fence }) => fence > 1).length).toBeGreaterThan(0)
  const results = await db.read
    .selectFrom('bus_message')
    .select(['job_id', 'payload'])
    .where('type', '=', 'job_result')
    .execute()
  const applied = results.map(({ job_id: id, payload }) => {
    const { index } = parseJson(Buffer.from(payload).toString()) as { readonly index: number }
    return `${id ?? ''} job ${index}`
  })
  expect(applied.sort()).toEqual(rows.map(({ id, key }) => `${id} ${key ?? ''}`).sort())
}

test.skipIf(why !== null)(
  `[SPINE-47] operators, the server and the broker are killed, and each of 10,000 jobs has one result${why === null ? '' : ` (${why})`}`,
  async () => {
    const random = openRandom('operators behind a broker')
    const folder = await mkdtemp(join(tmpdir(), 'slipway-relay-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'slipway.db')
    await publishAll(file)
    const broker = await startNats()
    onTestFinished(() => broker[Symbol.asyncDispose]())
    const port = await keptPort()
    const launch = (): LaunchedServer =>
      launchChildServer(folder, {
        program: inject('serverProgram'),
        env: {
          SLIPWAY_PORT: String(port),
          SLIPWAY_NATS_URL: broker.url,
          SLIPWAY_API_TOKEN: token,
          SLIPWAY_SPINE_LEASE_SECONDS: '2',
          SLIPWAY_OPERATOR_FAULTS: '0',
          SLIPWAY_SPINE_RETENTION_JOBS: '0',
          SLIPWAY_LOG_LEVEL: 'error',
        },
      })
    let server = launch()
    onTestFinished(() => server[Symbol.asyncDispose]())
    await server.ready
    const workers = ['storm-1', 'storm-2'].map(id => new Worker(broker.url, id))
    const restarts: Record<(typeof victims)[number], () => Promise<void>> = {
      operator: () => random.pick(workers).restart(),
      server: async () => {
        await server.kill()
        server = launch()
      },
      broker: async () => {
        await broker.kill()
        // A power cut takes with it what was not on the disk yet, at the worst all of it.
        await broker.start({ empty: random.chance(0.3) })
      },
    }
    const client = createClient({ url: `http://127.0.0.1:${port}`, token })
    // It is just coming back now and then.
    const open = async (): Promise<number> =>
      client.queues().then(
        ([queue]) => queue?.open ?? jobs,
        () => jobs,
      )
    // In the midst of the work, however fast the machine is.
    const patient = { timeout: 120_000, interval: 25 }
    const order = [...victims, ...victims, ...victims].map(victim => ({ victim, at: random.next() }))
    for (const [killed, { victim }] of order.sort((a, b) => a.at - b.at).entries()) {
      const left = jobs - Math.round((jobs * (killed + random.next())) / (order.length + 1))
      await expect.poll(open, patient).toBeLessThanOrEqual(left)
      await sleep(random.between(0, 100))
      await restarts[victim]()
    }
    await expect.poll(open, patient).toBe(0)
    await Promise.all(workers.map(worker => worker.kill()))
    await server.stop()
    await check(file)
  },
)
