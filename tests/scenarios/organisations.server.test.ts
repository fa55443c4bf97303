import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { api } from '@slipway/protocol/api'
import { sockets } from '@slipway/protocol/events'
import type { Route } from '@slipway/protocol/route'
import { scopeNames, type Access, type Scope } from '@slipway/protocol/scopes'
import { createClient, type Client } from '@slipway/sdk/client'
import { followAll } from '@slipway/sdk/event-stream'
import { connectOperator } from '@slipway/sdk/operator'
import type { Database } from '@slipway/server/db/database'
import { temporaryDataFolder, testServer } from '@slipway/server/app/testing'
import type { RunningServer } from '@slipway/server/app/start-server'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { filledPath, owned, sampleRequest, type SampleRequest, type Things } from '../testbed/sample-requests.ts'
import { echoPlan, personPlan } from '../testbed/small-plans.ts'

const operatorToken = 'the-token-of-the-operator'
/** Stands in everything of the first organisation that a caller could learn. */
const mark = 'acme'
const settings = { apiToken: operatorToken, pythonSandbox: 'wasm', rateLimitPerMinute: 100_000 } as const

/** A policy's module: memory of one page, and a `policy_check` that gives 0. */
const allowsAll = [
  '0061736d01000000',
  '01070160027f7f017f',
  '03020100',
  '050401010101',
  '0719' + '02' + '066d656d6f72790200' + '0c706f6c6963795f636865636b0000',
  '0a0601040041000b',
].join('')

const routes: readonly (readonly [string, Route])[] = Object.entries(api)
const paths = routes.flatMap(([name, route]) =>
  [route.path, ...(route.aliases ?? [])].map(path => [name, path, route] as const),
)
const socketList = Object.entries(sockets)

/** A server with an organisation that has one of everything, and another that has nothing. */
interface World extends AsyncDisposable {
  readonly server: RunningServer
  readonly owner: Client
  readonly rival: Client
  readonly things: Things
  /** A token of the owner's organisation with exactly these scopes. */
  readonly tokenWith: (scopes: readonly Scope[]) => Promise<string>
  /** Hash of everything that the first organisation has. */
  readonly fingerprint: () => Promise<string>
}

async function openWorld(): Promise<World> {
  const folder = await temporaryDataFolder()
  const server = await testServer({ ...settings, dataDir: folder.path })
  const { url } = server
  const operator = createClient({ url, token: operatorToken })
  const clientOf = async (organisation: string): Promise<Client> => {
    const { token } = await operator.createToken({ name: `${organisation} admin`, organisation, scopes: ['admin'] })
    return createClient({ url, token })
  }
  const owner = await clientOf(mark)
  const things = { ...(await fill(owner)), ...(await fillQueues(owner, server)) }
  return {
    server,
    owner,
    rival: await clientOf('rival'),
    things,
    tokenWith: async scopes => (await owner.createToken({ name: 'some', scopes: [...scopes] })).token,
    fingerprint: () => fingerprintOf(server.context.db, folder.path),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

type QueueKind = 'job' | 'dead letter' | 'schedule' | 'schema' | 'operator' | 'circuit' | 'policy'

async function fill(owner: Client): Promise<Omit<Things, QueueKind>> {
  await owner.deploy(echoPlan('acme-plan', { version: '1' }))
  await owner.deploy(echoPlan('acme-plan', { version: '2' }))
  await owner.deploy(personPlan('acme-asking'))
  const inputs = { 'spoken word': `data:text/plain,${mark}` }
  await owner.startRun('acme-plan', { run_id: 'acme-run', inputs })
  for (const name of ['acme-question-1', 'acme-question-2'])
    await owner.startRun('acme-asking', { run_id: name, inputs: { question: mark } })
  await vi.waitFor(
    async () => {
      expect((await owner.run('acme-run')).status).toBe('completed')
      expect(await owner.inputs()).toHaveLength(2)
    },
    { timeout: 30_000, interval: 100 },
  )
  const token = await owner.createToken({ name: 'acme-token' })
  return {
    plan: 'acme-plan',
    run: 'acme-run',
    question: (await owner.inputs())[0]?.input_id ?? '',
    token: token.id,
    organisation: mark,
    version: '1',
    step: '1',
    concept: '{echo}',
    'plan file': 'manifest.json',
    'run file': 'inputs/spoken-word.txt',
  }
}

async function fillQueues(owner: Client, { context: { spine } }: RunningServer): Promise<Pick<Things, QueueKind>> {
  const payload = { word: mark }
  const { jobId: dead } = await owner.jobs.submit('dying', { payload })
  const terms = { topics: ['dying.jobs'], operator: mark, organisation: mark, max: 1, waitMs: 10_000 }
  for (const { id, fence } of await spine.jobs.lease(terms))
    await spine.jobs.nack({ jobId: id, fence, organisation: mark }, { reason: mark, isRetryable: false })
  const { jobId: job } = await owner.jobs.submit('things', { payload, delaySeconds: 3_600 })
  await owner.schedules.put('acme-yearly', { cron: '@yearly', job: { type: 'things', payload } })
  const schema = 'arqonbus.acme.thing.v1'
  await owner.schemas.register(schema, { title: mark })
  const operator = connectOperator(owner.url, owner.token, { id: 'acme-operator', type: 'generic' })
  operator.subscribe('things.jobs', () => null)
  await vi.waitFor(async () => expect(await owner.call(api.listOperators)).toHaveLength(1), { timeout: 10_000 })
  await operator.close()
  const edges = [{ from: 'acme.facts', to: 'acme.news' }]
  await owner.call(api.putCircuit, { params: { name: 'acme-circuit' }, body: { circuit: 'acme-circuit', edges } })
  const module = Buffer.from(allowsAll, 'hex').toString('base64')
  await owner.call(api.putPolicy, { params: { name: 'acme-policy' }, body: { topics: 'acme.>', module } })
  const bus = { operator: 'acme-operator', circuit: 'acme-circuit', policy: 'acme-policy' }
  return { job, 'dead letter': dead, schedule: 'acme-yearly', schema, ...bus }
}

/** Of the same forms, and nowhere. */
function absent(things: Things): Things {
  return {
    ...things,
    plan: 'none-plan',
    run: 'none-run',
    question: `in_${'0'.repeat(20)}`,
    token: '0'.repeat(16),
    organisation: 'none',
    job: '01a1fe7a-0000-7000-8000-000000000000',
    'dead letter': '01a1fe7a-0000-7000-8000-000000000001',
    schedule: 'none-yearly',
    schema: 'arqonbus.none.thing.v1',
    operator: 'none-operator',
    circuit: 'none-circuit',
    policy: 'none-policy',
  }
}

async function fingerprintOf(db: Database, folder: string): Promise<string> {
  const hash = createHash('sha256')
  const { rows: tables } = await sql<{ name: string }>`
    select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`.execute(db.read)
  const { rows: ids } = await sql<{ id: string }>`select id from job where organisation = ${mark}`.execute(db.read)
  const jobs = new Set<unknown>(ids.map(({ id }) => id))
  for (const { name } of tables) {
    // Numbers of the whole server, and when a token was used.
    if (name === 'event_counter' || name === 'migration' || name === 'organisation') continue
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(db.read)
    const isOwn = ({ organisation, job_id: jobId }: Record<string, unknown>): boolean =>
      organisation === undefined ? jobId === undefined || jobs.has(jobId) : organisation === mark
    const own = rows.filter(isOwn)
    hash.update(name).update(JSON.stringify(own.map(({ last_used_at: _used, ...row }) => row)))
  }
  const files = readdirSync(join(folder, 'runs'), { recursive: true, encoding: 'utf8' }).sort()
  for (const file of files) {
    const path = join(folder, 'runs', file)
    hash.update(file).update(statSync(path).isFile() ? readFileSync(path) : '')
  }
  return hash.digest('hex')
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly code: string | null
}

async function ask(url: string, token: string | null, request: SampleRequest): Promise<Answer> {
  const { method, path, body } = request
  const response = await fetch(url + path, {
    method,
    ...(body === undefined ? {} : { body }),
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
    },
  })
  const text = await response.text()
  const json = (text.startsWith('{') ? parseJson(text) : {}) as { error?: { code?: string } }
  return { status: response.status, text, code: json.error?.code ?? null }
}

/** Without what differs between any two replies. */
function comparable({ status, text }: Answer, things: Things): string {
  const withoutIds = text.replace(/"(correlationId|uptime_seconds|jobId)":[^,}]*/g, '')
  return `${status} ${[...owned].reduce((known, kind) => known.replaceAll(things[kind], `<${kind}>`), withoutIds)}`
}

function isEmpty(text: string): boolean {
  const body = parseJson(text)
  const lists = Array.isArray(body) ? [body] : Object.values(body as object).filter(Array.isArray)
  return lists.length > 0 && lists.every(list => list.length === 0)
}

function isScope(access: Access): access is Scope {
  return access !== 'any' && access !== 'public'
}

function without(scope: Scope): readonly Scope[] {
  return scopeNames.filter(name => name !== scope && name !== 'admin')
}

function connect(url: string, path: string, token: string | null): WebSocket {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` }
  return new WebSocket(url.replace('http', 'ws') + path, { headers })
}

async function refusal(client: WebSocket): Promise<number | undefined> {
  client.on('error', () => undefined)
  const [, response] = (await once(client, 'unexpected-response')) as [unknown, { statusCode?: number }]
  client.terminate()
  return response.statusCode
}

let world: World
beforeAll(async () => {
  world = await openWorld()
}, 60_000)
afterAll(() => world[Symbol.asyncDispose]())

const tokenOf = ({ token = '' }: Client): string => token

describe('every route', () => {
  test('[ACCESS-13] names what it needs', () => {
    for (const [, { scope }] of [...routes, ...socketList]) expect([...scopeNames, 'any', 'public']).toContain(scope)
  })

  test.each(paths)('[ACCESS-3] %s, %s: nobody', async (name, path, route) => {
    const { server, things } = world
    const request = sampleRequest(name, route, things, path)
    const expected = route.scope === 'public' ? 200 : 401
    expect((await ask(server.url, null, request)).status).toBe(expected)
    expect((await ask(server.url, `slw_${'0'.repeat(16)}_${'A'.repeat(43)}`, request)).status).toBe(expected)
  })

  test.each(paths.filter(([, , route]) => isScope(route.scope)))(
    '[ACCESS-4] %s, %s: without the scope',
    async (name, path, route) => {
      const { server, things, tokenWith } = world
      const scope = route.scope as Scope
      const [token, request] = [await tokenWith(without(scope)), sampleRequest(name, route, things, path)]
      const answer = await ask(server.url, token, request)
      expect(answer).toMatchObject({ status: 403, code: 'auth.forbidden' })
      expect(answer.text).toContain(`"scope":"${scope}"`)
      if (route.method !== 'GET' || route.replyMedia === 'event-stream') return
      expect((await ask(server.url, token, { ...request, method: 'HEAD' })).status).toBe(403)
    },
  )

  test.each(paths)('[ACCESS-10] %s, %s: another organisation', async (name, path, route) => {
    const { server, things, rival, fingerprint } = world
    const before = await fingerprint()
    const request = sampleRequest(name, route, things, path)
    const answer = await ask(server.url, tokenOf(rival), request)
    const otherwise = await ask(server.url, tokenOf(rival), sampleRequest(name, route, absent(things), path))
    expect(comparable(answer, things)).toBe(comparable(otherwise, absent(things)))
    if (request.names.has('organisation')) expect(answer.code).toBe('auth.forbidden')
    else if (request.names.size > 0 && answer.status !== 404) {
      expect(answer.status).toBe(200)
      expect(isEmpty(answer.text)).toBe(true)
    } else if (request.names.size === 0) {
      expect(answer.status).toBeLessThan(500)
      expect(answer.text).not.toContain(mark)
    }
    expect(await fingerprint()).toBe(before)
  })
})

describe('every socket', () => {
  const pathOf = (path: string, things: Things): string =>
    filledPath(path, (kind, what) => {
      if (kind === undefined) throw new Error(`Nothing says what ${what} names.`)
      return things[kind]
    })

  test.each(socketList)('[ACCESS-3] [ACCESS-4] %s: nobody, and without the scope', async (_name, { path, scope }) => {
    const { server, things, tokenWith } = world
    const place = pathOf(path, things)
    expect(await refusal(connect(server.url, place, null))).toBe(401)
    expect(await refusal(connect(server.url, place, 'anything'))).toBe(401)
    if (isScope(scope)) expect(await refusal(connect(server.url, place, await tokenWith(without(scope))))).toBe(403)
  })

  // The bus says nothing that it was not asked for, in frames of its own.
  const telling = socketList.filter(([name]) => name !== 'bus')
  test.each(telling)('[ACCESS-10] [ACCESS-12] %s: another organisation', async (_name, { path }) => {
    const { server, things, owner, rival } = world
    const client = connect(server.url, `${pathOf(path, things)}?after=0`, tokenOf(rival))
    const frames: string[] = []
    client.on('message', data => frames.push((data as Buffer).toString()))
    const closed = once(client, 'close')
    await once(client, 'open')
    if (path.includes(':')) {
      expect(((await closed) as [number])[0]).toBe(4404)
      expect(frames).toEqual([expect.stringMatching(/unknown_run|job\.unknown/)])
      expect(frames.join('')).not.toContain(mark)
      return
    }
    await owner.deploy(echoPlan('acme-later', { version: String(Date.now()) }))
    await rival.deploy(echoPlan('rival-plan', { version: String(Date.now()) }))
    await expect.poll(() => frames.filter(frame => frame.includes('rival-plan')).length).toBeGreaterThan(0)
    expect(frames.join('\n')).not.toContain(mark)
    client.terminate()
    await closed
  })
})

describe('the organisation itself', () => {
  // What ends things comes last, so that everything is there when it is asked for.
  const rank = ({ method, path }: Route): number =>
    path.endsWith('/prune') ? 2000 : method === 'DELETE' ? 1000 - path.length : method === 'GET' ? 0 : 1
  const ordered = paths.filter(([, , { scope }]) => scope !== 'public').sort((a, b) => rank(a[2]) - rank(b[2]))

  test('[ACCESS-10] is answered by every route, with the same requests', async () => {
    await using own = await openWorld()
    for (const [name, path, route] of ordered) {
      const question = (await own.owner.inputs())[0]?.input_id ?? own.things.question
      const request = sampleRequest(name, route, { ...own.things, question }, path)
      const answer = await ask(own.server.url, tokenOf(own.owner), request)
      expect([200, 201, 202, 400, 409], `${name}: ${answer.status} ${answer.text}`).toContain(answer.status)
    }
  }, 60_000)
})

describe('two organisations', () => {
  test('[ACCESS-11] may have plans and keys of the same names', async () => {
    const { owner, rival } = world
    const zip = echoPlan('same', { version: '1' })
    expect(await owner.deploy(zip)).toMatchObject({ status: 'deployed' })
    expect(await rival.deploy(zip)).toMatchObject({ status: 'deployed' })
    expect(await rival.deploy(echoPlan('same', { version: '2' }))).toMatchObject({ status: 'deployed' })
    expect(await owner.plan('same')).toMatchObject({ version: '1' })
    const start = (client: Client) =>
      client.startRun('same', { inputs: { 'spoken word': 'hello' }, idempotency_key: 'key' })
    const [first, second, again] = [await start(owner), await start(rival), await start(owner)]
    expect(second.run_id).not.toBe(first.run_id)
    expect(again.run_id).toBe(first.run_id)
    await expect.poll(async () => (await rival.run(second.run_id)).status, { timeout: 20_000 }).toBe('completed')
    expect((await rival.runs({ plan_id: 'same' })).items.map(run => run.run_id)).toEqual([second.run_id])
    await expect.poll(async () => (await owner.run(first.run_id)).status, { timeout: 20_000 }).toBe('completed')
    await rival.deletePlan('same')
    expect(await owner.plan('same')).toMatchObject({ version: '1' })
    expect((await start(owner)).run_id).toBe(first.run_id)
  })

  test('[ACCESS-10] nothing of the other is named beside what is the own', async () => {
    const { owner, rival } = world
    await rival.deploy(echoPlan('rival-own', { version: '1' }))
    const { run_id: own } = await rival.startRun('rival-own', { inputs: { 'spoken word': 'hello' } })
    await expect.poll(async () => (await rival.run(own)).status, { timeout: 20_000 }).toBe('completed')
    for (const [a, b] of [
      [own, 'acme-run'],
      ['acme-run', own],
    ] as const)
      await expect(rival.diff(a, b)).rejects.toMatchObject({ code: 'run.unknown' })
    await expect(rival.fork(own, { plan_id: 'acme-plan' })).rejects.toMatchObject({ code: 'plan.unknown' })
    await expect(rival.startRun('acme-plan', {})).rejects.toMatchObject({ code: 'plan.unknown' })
    expect((await rival.runs({})).items.map(run => run.run_id)).not.toContain('acme-run')
    expect((await rival.tokens()).items.map(token => token.organisation)).toEqual(['rival'])
    expect((await owner.health()).plans).toBe((await owner.plans({ limit: 500 })).items.length)
  })

  test('[ACCESS-12] a subscriber gets the own events, however many others write between them', async () => {
    const { server, rival } = world
    const stop = new AbortController()
    const seen: string[] = []
    const following = (async () => {
      const options = { signal: stop.signal, onConnection: () => seen.push('connected') }
      for await (const event of followAll(rival, options)) seen.push(`${event.event} ${String(event['plan_id'])}`)
    })().catch(() => undefined)
    await expect.poll(() => seen).toEqual(['connected'])
    const { db, events } = server.context
    const write = (organisation: string, plan: string): Promise<void> =>
      db.transaction(tx =>
        events.append(tx, [
          { organisation, runId: null, seq: 0, event: 'plan:deleted', ts: 1, data: { plan_id: plan } },
        ]),
      )
    for (let n = 0; n < 20; n++) {
      await write(mark, `acme-${n}`)
      if (n % 5 === 0) await write('rival', `rival-${n}`)
    }
    const expected = [0, 5, 10, 15].map(n => `plan:deleted rival-${n}`)
    await expect.poll(() => seen.slice(1)).toEqual(expected)
    stop.abort()
    await following
  })

  test('[ACCESS-14] what a caller asks of a run is kept under its token', async () => {
    const { owner } = world
    const { subject } = await owner.me()
    expect(subject).toMatch(/^token:[0-9a-f]{16}$/)
    const { run_id: id } = await owner.startRun('acme-plan', {
      inputs: { 'spoken word': 'hello' },
      breakpoints: ['1'],
    })
    await expect.poll(async () => (await owner.run(id)).status, { timeout: 20_000 }).toBe('paused')
    await owner.stop(id)
    const commands = await owner.commands(id)
    expect(commands.map(({ type, by }) => [type, by])).toEqual([
      ['set_breakpoint', subject],
      ['cancel', subject],
    ])
  })
})

describe('the end of a token', () => {
  test('[ACCESS-6] closes what is open with it', async () => {
    const { server, owner } = world
    const { id, token } = await owner.createToken({ name: 'short', scopes: ['read:jobs'] })
    const open = ['/ws/events', '/ws/runs/acme-question-1'].map(path => connect(server.url, path, token))
    const frames = new Map(open.map(client => [client, [] as string[]]))
    for (const [client, received] of frames) client.on('message', data => received.push((data as Buffer).toString()))
    const closed = Promise.all(open.map(client => once(client, 'close') as Promise<[number]>))
    await Promise.all(open.map(client => once(client, 'message')))
    const stream = await fetch(`${server.url}/api/runs/acme-question-1/stream`, {
      headers: { authorization: `Bearer ${token}` },
    })
    await owner.revokeToken(id)
    expect((await closed).map(([code]) => code)).toEqual([4401, 4401])
    const last = JSON.stringify({ event: 'closing', reason: 'unauthorized' })
    for (const received of frames.values()) expect(received.at(-1)).toBe(last)
    expect((await stream.text()).trimEnd().split('\n').at(-1)).toBe(`data: ${last}`)
    expect((await ask(server.url, token, listRuns())).status).toBe(401)
  })

  test('[ACCESS-8] the first one closes a server that was open', async () => {
    await using server = await testServer({ pythonSandbox: 'wasm' })
    const local = createClient({ url: server.url })
    expect(await local.me()).toEqual({ organisation: 'default', subject: 'local', scopes: ['admin'], operator: true })
    const socket = connect(server.url, '/ws/events', null)
    const closed = once(socket, 'close') as Promise<[number]>
    await once(socket, 'message')
    const { token, closes_server: closes } = await local.createToken({ name: 'first', scopes: ['admin'] })
    expect(closes).toBe(true)
    expect((await closed)[0]).toBe(4401)
    expect((await ask(server.url, null, listRuns())).status).toBe(401)
    expect((await ask(server.url, token, listRuns())).status).toBe(200)
  })
})

function listRuns(): SampleRequest {
  return { method: 'GET', path: '/api/runs', body: undefined, names: new Set() }
}
