import { text } from 'node:stream/consumers'
import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import { openDatabase, type Database } from '@slipway/server/db/database'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { whyNoHosts, type Host } from '../testbed/hosts.ts'
import { whyNoNats } from '../testbed/nats.ts'
import { whyNoPostgres } from '../testbed/postgres.ts'
import { Deployment, type NatsOnHost, type ServerOnHost, type SpeakerOnHost } from './hosts-deployment.ts'
import { longWorkMs, type Acknowledged, type HandOut, type WorkResult } from './hosts-said.ts'
import { violations } from './invariants.ts'
import { openRandom } from './random.ts'

const why = whyNoHosts() ?? whyNoPostgres() ?? whyNoNats()
const patient = { timeout: 30_000, interval: 50 }
/** Longer than everything that is waited for. */
const cutMs = [3_000, 3_600] as const

interface Link {
  readonly name: string
  readonly ends: readonly [Host, Host]
  /** What has to be so before it is cut, so that the cut is in the middle of something. */
  readonly isBusy: () => boolean
  /** Whether whoever has a connection there knows that it is gone. */
  readonly isNoticed: () => Promise<boolean>
  readonly isHealed: () => Promise<boolean>
}

describe.skipIf(why !== null)(`hosts with links between them${why === null ? '' : ` (${why})`}`, () => {
  test('[DB-13] Postgres lets go of a lock whose server is cut off, and the server finds its way back', async () => {
    await using deployment = await Deployment.open()
    const { hosts, database, postgres } = deployment
    await using db = await openDatabase(postgres.url)
    const holder = await deployment.addHolder('holder')
    const holds = (): number => holder.all('link').filter(({ isUp }) => isUp).length
    await expect.poll(holds, patient).toBe(1)
    await hosts.cut(holder.host, database)
    // Were it not so, the statement would be given up after thirty seconds.
    await db.exclusive('a name', () => Promise.resolve())
    await expect.poll(() => connectionsOf(db, holder.host), patient).toBe(0)
    holder.rest()
    await sleep(3_000)
    await hosts.heal(holder.host, database)
    await expect.poll(holds, patient).toBe(2)
    expect(await holder.ended()).toBe(0)
  })
})

describe.skipIf(why !== null)(
  `servers, operators and a client on hosts of their own${why === null ? '' : ` (${why})`}`,
  () => {
    test('[SPINE-48] [RUN-6] [RUN-7] [RUN-26] [RUN-28] [DB-13] [OPERATOR-31] [SDK-40] [SDK-42] whichever link is cut and heals, nothing is lost and nothing done twice', async () => {
      const random = openRandom('Links between hosts')
      await using deployment = await Deployment.open()
      await using db = await openDatabase(deployment.postgres.url)
      const broker = await deployment.addBroker('broker')
      const alpha = await deployment.addServer('alpha', { SLIPWAY_NATS_URL: broker.url })
      const beta = await deployment.addServer('beta', { SLIPWAY_NATS_URL: broker.url })
      for (const server of deployment.servers) await server.process.ready
      const left = await deployment.addOperator('left', alpha.url)
      const right = await deployment.addOperator('right', beta.url)
      const afar = await deployment.addOperator('afar', broker.url)
      // It reaches the broker alone.
      for (const { host } of deployment.servers) await deployment.hosts.cut(afar.host, host)
      const client = await deployment.addClient('client')
      const operators = [left, right, afar]
      await expect.poll(() => client.all('over').length, patient).toBeGreaterThan(0)
      await expect.poll(() => client.all('result').length, patient).toBeGreaterThan(20)
      const undisturbed = client.all('over')[0]?.outcome

      const links = [
        ...deployment.servers.map(server => databaseLink(deployment, db, server)),
        ...deployment.servers.map(server => brokerLink(broker, server)),
        operatorLink(db, left, alpha),
        operatorLink(db, right, beta),
        operatorLink(db, afar, broker),
        ...deployment.servers.map(server => clientLink(client, server)),
      ]
      while (links.length > 0) {
        const [link] = links.splice(random.between(0, links.length - 1), 1)
        if (link) await cutAndHeal(deployment, link, random.between(...cutMs))
      }

      client.rest()
      await expect.poll(() => client.all('rests').length, patient).toBe(1)
      await expect.poll(() => openJobs(db), patient).toBe(0)
      const jobs = client.all('job')
      const runs = client.all('run')
      console.log(`${jobs.length} jobs, ${runs.length} runs`)
      expect(await brokenJobs(db, { jobs, operators })).toEqual([])
      for (const { url } of deployment.servers)
        await expect.poll(() => wrongResults(db, client, url), patient).toEqual([])
      expect(
        client
          .all('over')
          .map(({ run }) => run)
          .sort(),
      ).toEqual(runs.map(({ id }) => id).sort())
      for (const { numbers, outcome } of client.all('over')) {
        expect(outcome).toBe(undisturbed)
        expect(numbers).toEqual(numbers.map((_, index) => index + 1))
      }
      for (const speaker of operators) {
        speaker.rest()
        expect(await speaker.ended()).toBe(0)
      }
      for (const server of deployment.servers) expect(await server.process.stop()).toBe(0)
      expect(await violations(db)).toEqual([])
    })
  },
)

async function cutAndHeal({ hosts }: Deployment, link: Link, ms: number): Promise<void> {
  await expect.poll(link.isBusy, patient).toBe(true)
  await hosts.cut(...link.ends)
  await sleep(ms)
  await expect.poll(link.isNoticed, { ...patient, message: `${link.name}: the cut is noticed` }).toBe(true)
  await hosts.heal(...link.ends)
  await expect.poll(link.isHealed, { ...patient, message: `${link.name} is used again` }).toBe(true)
}

function databaseLink({ database }: Deployment, db: Database, { host }: ServerOnHost): Link {
  return {
    name: `${host.name} to the database`,
    ends: [host, database],
    isBusy: () => true,
    isNoticed: async () => (await connectionsOf(db, host)) === 0,
    isHealed: async () => (await connectionsOf(db, host)) > 1,
  }
}

function brokerLink({ host: broker }: NatsOnHost, { host, process }: ServerOnHost): Link {
  const losses = (): number => process.output().split('broker not connected').length
  let before = 0
  return {
    name: `${host.name} to the broker`,
    ends: [host, broker],
    isBusy: () => {
      before = losses()
      return true
    },
    isNoticed: async () => losses() > before && (await peersOf(broker)).every(peer => peer !== host.address),
    isHealed: async () => (await peersOf(broker)).includes(host.address),
  }
}

/** The addresses from which somebody is connected to the host. */
async function peersOf(host: Host): Promise<string[]> {
  const listing = host.start('ss', ['-Htn', 'state', 'established'])
  const lines = (await text(listing.stdout ?? process.stdin)).split('\n')
  return lines.map(line => /([\d.]+):\d+\s*$/.exec(line)?.[1] ?? '')
}

function operatorLink(db: Database, operator: SpeakerOnHost, { host }: { readonly host: Host }): Link {
  return {
    name: `${operator.name} to ${host.name}`,
    ends: [operator.host, host],
    // A job that goes on longer than its lease can.
    isBusy: () => operator.all('begun').some(work => work.ms === longWorkMs && !hasApplied(operator, work)),
    isNoticed: async () => !operator.isUp('server') && !(await isConnected(db, operator.name)),
    isHealed: async () => operator.isUp('server') && (await isConnected(db, operator.name)),
  }
}

function clientLink(client: SpeakerOnHost, { host, url }: ServerOnHost): Link {
  return {
    name: `${client.name} to ${host.name}`,
    ends: [client.host, host],
    isBusy: () => true,
    isNoticed: () => Promise.resolve(!client.isUp(url)),
    isHealed: () => Promise.resolve(client.isUp(url)),
  }
}

function hasApplied(operator: SpeakerOnHost, { job, attempt }: Pick<HandOut, 'job' | 'attempt'>): boolean {
  return operator.all('applied').some(applied => applied.job === job && applied.attempt === attempt)
}

// One that was cut before its first statement holds nothing, and does not know our times yet.
async function connectionsOf(db: Database, { address }: Host): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where client_addr = ${address}::inet and query <> ''`.execute(db.read)
  return rows[0]?.count ?? 0
}

async function isConnected(db: Database, id: string): Promise<boolean> {
  const row = await db.read.selectFrom('operator').select('session').where('id', '=', id).executeTakeFirst()
  return row !== undefined && row.session !== null
}

async function openJobs(db: Database): Promise<number> {
  const rows = await db.read.selectFrom('job_queue').select('open').execute()
  return Math.max(0, ...rows.map(({ open }) => Number(open)))
}

/** Of a follower: the numbers of results that it was not given, given twice or in another order. */
async function wrongResults(db: Database, client: SpeakerOnHost, url: string): Promise<string[]> {
  const rows = await db.read.selectFrom('bus_message').select('seq').where('topic', '=', 'work.results').execute()
  const given = client.all('result').flatMap(({ at, seq }) => (at === url ? [seq] : []))
  const missing = rows.filter(({ seq }) => !given.includes(Number(seq))).map(({ seq }) => `${seq} is missing`)
  const early = given.filter((seq, index) => seq <= (given[index - 1] ?? 0)).map(seq => `${seq} is out of order`)
  return [...missing, ...early, ...(missing.length > 0 ? [`the last is ${given.at(-1)}`] : [])]
}

/** Every acknowledged job is there once and done, with the one result of its last hand-out. */
async function brokenJobs(
  db: Database,
  { jobs, operators }: { readonly jobs: readonly Acknowledged[]; readonly operators: readonly SpeakerOnHost[] },
): Promise<string[]> {
  const found: string[] = []
  const rows = await db.read.selectFrom('job').select(['id', 'state', 'attempts', 'idempotency_key as key']).execute()
  const messages = await db.read
    .selectFrom('bus_message')
    .select(['job_id', 'payload'])
    .where('type', '=', 'job_result')
    .execute()
  const results = Map.groupBy(messages, ({ job_id: id }) => id)
  const byId = new Map(rows.map(row => [row.id, row]))
  if (rows.length !== jobs.length) found.push(`${jobs.length} jobs were acknowledged, and there are ${rows.length}`)
  for (const { id, n } of jobs) {
    const row = byId.get(id)
    const ofJob = (results.get(id) ?? []).map(({ payload }) => parseJson(Buffer.from(payload).toString()) as WorkResult)
    const expected = [{ n, square: n * n, attempt: row?.attempts }]
    if (row?.key !== `job ${n}` || row.state !== 'done') found.push(`job ${n} is ${row?.state}`)
    if (JSON.stringify(ofJob) !== JSON.stringify(expected))
      found.push(`job ${n} has ${JSON.stringify(ofJob)} instead of ${JSON.stringify(expected)}`)
  }
  const begun = operators.flatMap(operator => operator.all('begun')).map(({ job, attempt }) => `${job} ${attempt}`)
  if (new Set(begun).size !== begun.length) found.push('a hand-out was worked on twice')
  // Otherwise no cut has come at a bad moment, and nothing was proved.
  const applied = operators.flatMap(operator => operator.all('applied'))
  const late = applied.filter(({ job, attempt }) => attempt !== byId.get(job)?.attempts)
  if (late.length === 0) found.push('no result came late')
  return found
}
