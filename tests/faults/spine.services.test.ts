import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseJson } from '@slipway/kit/json'
import { sleep } from '@slipway/kit/abort'
import { openDatabase } from '@slipway/server/db/database'
import { postgresUrl } from '@slipway/server/db/testing'
import { expect, inject, test } from 'vitest'
import { openRandom } from './random.ts'

const program = fileURLToPath(new URL('spine-child.ts', import.meta.url))
const jobs = 10_000
const kills = 6
const why = inject('postgres')?.why ?? null

/** A child that works on a share of the jobs, and comes back as a new one whenever it is killed. */
class Server {
  readonly #arguments: readonly string[]
  readonly #acknowledged: Set<string>
  #child: ChildProcess

  constructor(place: string, share: { readonly from: number; readonly to: number }, acknowledged: Set<string>) {
    this.#arguments = [program, place, String(share.from), String(share.to)]
    this.#acknowledged = acknowledged
    this.#child = this.#start()
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('A server has ended by itself.')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async restart(): Promise<void> {
    await this.kill()
    this.#child = this.#start()
  }

  /** Whether there was nothing left to do when it last looked. */
  isOver = false

  #hear(line: string): void {
    if (line === 'over') this.isOver = true
    else this.#acknowledged.add(line)
  }

  #start(): ChildProcess {
    this.isOver = false
    const child = spawn(process.execPath, this.#arguments, { stdio: ['ignore', 'pipe', 'inherit'] })
    createInterface({ input: child.stdout }).on('line', line => this.#hear(line))
    return child
  }
}

/** Lets the servers work through all jobs while they are killed, and looks at what is there then. */
async function storm(place: string, serverCount: number): Promise<void> {
  const random = openRandom(`the Spine under ${serverCount} servers`)
  const acknowledged = new Set<string>()
  const share = jobs / serverCount
  const servers = Array.from({ length: serverCount }, (_, index) => {
    const from = Math.round(index * share)
    return new Server(place, { from, to: Math.round((index + 1) * share) }, acknowledged)
  })
  for (let killed = 0; killed < kills; killed++) {
    await sleep(random.between(700, 1_600))
    await random.pick(servers).restart()
  }
  await expect.poll(() => acknowledged.size, { timeout: 60_000, interval: 100 }).toBe(jobs)
  // No process but its server may have a SQLite file open.
  await expect.poll(() => servers.every(({ isOver }) => isOver), { timeout: 60_000, interval: 100 }).toBe(true)
  for (const server of servers) await server.kill()
  await using db = await openDatabase(place)
  const rows = await db.read.selectFrom('job').select(['id', 'state', 'idempotency_key as key']).execute()
  expect(rows.map(({ key }) => key).sort()).toEqual(Array.from({ length: jobs }, (_, index) => `job ${index}`).sort())
  expect(rows.filter(({ state }) => state !== 'done')).toEqual([])
  const results = await db.read.selectFrom('bus_message').select(['job_id', 'payload']).execute()
  const applied = results.map(({ job_id: id, payload }) => {
    const { index } = parseJson(Buffer.from(payload).toString()) as { readonly index: number }
    return `${id ?? ''} job ${index}`
  })
  expect(applied.sort()).toEqual(rows.map(({ id, key }) => `${id} ${key ?? ''}`).sort())
  const counts = await db.read.selectFrom('job_queue').select(['open', 'finished', 'dead']).execute()
  expect(counts).toEqual([
    { open: 0, finished: jobs, dead: 0 },
    { open: 0, finished: jobs, dead: 0 },
  ])
}

test('[SPINE-39] a server on SQLite that is killed again and again applies each of 10,000 results once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-spine-'))
  try {
    await storm(join(folder, 'slipway.db'), 1)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test.skipIf(why !== null)(
  `[SPINE-39] two servers on Postgres of which either is killed apply each of 10,000 results once${why === null ? '' : ` (${why})`}`,
  async () => storm(await postgresUrl(), 2),
)
