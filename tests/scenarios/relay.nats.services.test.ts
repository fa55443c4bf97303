import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream'
import { connect, headers, type NatsConnection } from '@nats-io/transport-node'
import { parseJson } from '@slipway/kit/json'
import { tokenHeader } from '@slipway/protocol/bus/broker'
import { readServerFrame, writeClientFrame, type ServerBody } from '@slipway/protocol/bus/frames'
import { connectionSubjects, helloSubject } from '@slipway/protocol/bus/subjects'
import type { Settings } from '@slipway/protocol/settings'
import { connectBus } from '@slipway/sdk/bus'
import type { BusState } from '@slipway/sdk/bus-link'
import { createClient } from '@slipway/sdk/client'
import { connectOperator, type Operator, type OperatorOptions } from '@slipway/sdk/operator'
import type { RunningServer } from '@slipway/server/app/start-server'
import { temporaryDataFolder, testServer } from '@slipway/server/app/testing'
import { postgresUrl } from '@slipway/server/db/testing'
import { streamName } from '@slipway/server/features/spine/adapters/nats-jobs'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { startChildServer } from '../testbed/child-server.ts'
import { startNats, whyNoNats, type NatsServer, type NatsServerOptions } from '../testbed/nats.ts'
import { openWire } from '../testbed/slipway.ts'

const why = whyNoNats()
const noPostgres = inject('postgres')?.why ?? null
const apiToken = 'operator-token-of-16'
const schema = 'arqonbus.sum.job.v1'
const organisation = 'default'
const patient = { timeout: 30_000, interval: 20 }

interface Bed {
  readonly broker: NatsServer
  readonly server: RunningServer
  readonly operator: (options?: Partial<OperatorOptions>, url?: string) => Operator
  readonly submit: (payload?: unknown) => Promise<string>
  readonly state: (jobId: string) => Promise<string>
}

async function openBroker(options: NatsServerOptions = {}): Promise<NatsServer> {
  const broker = await startNats(options)
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

async function open(settings: Partial<Settings> = {}, options: NatsServerOptions = {}): Promise<Bed> {
  const broker = await openBroker(options)
  const server = await testServer({ natsUrl: broker.url, apiToken, ...settings })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const { jobs } = server.context.spine
  return {
    broker,
    server,
    operator(more = {}, url = broker.url) {
      const operator = connectOperator(url, apiToken, { id: 'sum-1', type: 'sum', ...more })
      onTestFinished(() => operator.close())
      return operator
    },
    async submit(payload = {}) {
      const job = { topic: 'sum.jobs', schema, backoff: { firstMs: 1, ceilingMs: 1 }, payload: bytes(payload) }
      return (await jobs.publish(organisation, job)).jobId
    },
    state: async jobId => (await jobs.get(organisation, jobId)).state,
  }
}

/** A client of the broker without anything of ours around it. */
async function rawClient({ port }: NatsServer): Promise<NatsConnection> {
  const nc = await connect({ servers: `127.0.0.1:${port}` })
  onTestFinished(() => nc.close())
  return nc
}

async function manager(broker: NatsServer): Promise<JetStreamManager> {
  return jetstreamManager(await rawClient(broker))
}

function withToken(token: string | null): { readonly headers?: ReturnType<typeof headers> } {
  if (token === null) return {}
  const about = headers()
  about.set(tokenHeader, token)
  return { headers: about }
}

async function hello(nc: NatsConnection, token: string | null): Promise<ServerBody | undefined> {
  const reply = await nc.request(helloSubject, undefined, { timeout: 10_000, ...withToken(token) })
  return readServerFrame(reply.data).body
}

async function tokenOf(server: RunningServer, name: string): Promise<{ readonly token: string; readonly id: string }> {
  const admin = createClient({ url: server.url, token: apiToken })
  return admin.createToken({ name, organisation: name, scopes: ['operate:jobs', 'write:jobs', 'read:jobs'] })
}

function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

describe.skipIf(why !== null)(`clients behind a broker${why === null ? '' : ` (${why})`}`, () => {
  test('[SPINE-40] nobody gets in without a token that holds, and never where the server asks for none', async () => {
    const { broker } = await open()
    const nc = await rawClient(broker)
    for (const token of [null, '', 'wrong', 'slw_0000000000000000_wrong'])
      expect(await hello(nc, token)).toMatchObject({ case: 'error', value: { code: 'auth.required' } })
    expect(await hello(nc, apiToken)).toMatchObject({ case: 'opened', value: { organisation } })
    const open2 = await open({ apiToken: null })
    const other = await rawClient(open2.broker)
    for (const token of [null, apiToken])
      expect(await hello(other, token)).toMatchObject({ case: 'error', value: { code: 'auth.required' } })
  })

  test('[SPINE-40] a connection takes messages with its token and over its subject alone', async () => {
    const { broker, server } = await open()
    const [acme, rival] = [await tokenOf(server, 'acme'), await tokenOf(server, 'rival')]
    const nc = await rawClient(broker)
    const opened = await hello(nc, acme.token)
    if (opened?.case !== 'opened') throw new Error('It is not open.')
    expect(opened.value.organisation).toBe('acme')
    const own = connectionSubjects('acme', opened.value.connection)
    const theirs = connectionSubjects('rival', opened.value.connection)
    const frames: (ServerBody | undefined)[] = []
    nc.subscribe(own.toClient, { callback: (_, { data }) => void frames.push(readServerFrame(data).body) })
    const frame = writeClientFrame({ case: 'hello', value: { version: 1 } }, { correlation: 1 })
    for (const token of [null, rival.token, apiToken, `${acme.token}x`])
      nc.publish(own.toServer, frame, withToken(token))
    await expect(nc.request(theirs.toServer, frame, { timeout: 5_000, ...withToken(acme.token) })).rejects.toThrow(
      /no responders/i,
    )
    nc.publish(own.toServer, frame, withToken(acme.token))
    await expect.poll(() => frames.length, patient).toBe(1)
    expect(frames[0]).toMatchObject({ case: 'welcome', value: { organisation: 'acme' } })
  })

  test('[SPINE-40] an operator has the jobs of its organisation alone, and ends with its token', async () => {
    const { broker, server } = await open()
    const [acme, rival] = [await tokenOf(server, 'acme'), await tokenOf(server, 'rival')]
    const seen: string[] = []
    const connected = Promise.withResolvers<void>()
    const started = (name: string, token: string): Operator => {
      const onState = (): void => connected.resolve()
      const operator = connectOperator(broker.url, token, { id: 'sum-1', type: 'sum', onState })
      onTestFinished(() => operator.close())
      operator.subscribe('sum.jobs', () => void seen.push(name))
      return operator
    }
    const one = started('acme', acme.token)
    await connected.promise
    started('rival', rival.token)
    const job = { topic: 'sum.jobs', schema, payload: bytes({}) }
    const { jobId } = await server.context.spine.jobs.publish('rival', job)
    await expect.poll(async () => (await server.context.spine.jobs.get('rival', jobId)).state, patient).toBe('done')
    expect(seen).toEqual(['rival'])
    await createClient({ url: server.url, token: apiToken }).revokeToken(acme.id)
    await expect(one.ended).rejects.toMatchObject({ code: 'auth.required' })
  })

  test('[SPINE-40] leasing without registering is for operators of the server itself', async () => {
    const { broker, server } = await open()
    const { token } = await tokenOf(server, 'acme')
    const { OwnOperator } = await import('@slipway/sdk/own-operator')
    await using own = new OwnOperator(broker.url, token)
    const want = { operator: 'own', topics: ['sum.jobs'], max: 1 }
    await expect(own.lease(want)).rejects.toMatchObject({ code: 'auth.forbidden' })
    await using operator = new OwnOperator(server.url, apiToken)
    await server.context.spine.jobs.publish('acme', { topic: 'sum.jobs', schema, payload: bytes(1) })
    const [job] = await operator.lease({ ...want, waitMs: 10_000 })
    expect(job).toMatchObject({ organisation: 'acme', attempt: 1 })
    if (job) await operator.giveBack({ jobId: job.id, fence: Number(job.fence), organisation: 'acme' })
  })

  test('[SPINE-41] the broker keeps jobs until they are done, never more than the operator takes', async () => {
    const bed = await open()
    const go = Promise.withResolvers<void>()
    let begun = 0
    bed.operator({ maxParallelJobs: 2 }).subscribe('sum.jobs', async () => {
      begun += 1
      await go.promise
    })
    const ids = [await bed.submit(), await bed.submit(), await bed.submit()]
    await expect.poll(() => begun, patient).toBe(2)
    const { streams, consumers } = await manager(bed.broker)
    const stream = await streams.info(streamName(organisation))
    expect(stream).toMatchObject({ config: { retention: 'workqueue', discard: 'new' }, state: { messages: 2 } })
    const [consumer] = await consumers.list(streamName(organisation)).next()
    expect(consumer).toMatchObject({ num_ack_pending: 2, config: { ack_policy: 'explicit', max_ack_pending: 2 } })
    go.resolve()
    for (const id of ids) await expect.poll(() => bed.state(id), patient).toBe('done')
    await expect.poll(async () => (await streams.info(streamName(organisation))).state.messages, patient).toBe(0)
  })

  test('[SPINE-42] a job that comes again after its lease is not begun', async () => {
    const bed = await open({ spineLeaseSeconds: 1 })
    const wire = await openWire(bed.broker.url)
    onTestFinished(() => wire[Symbol.asyncDispose]())
    const begun: string[] = []
    const cutOff = bed.operator({ id: 'a' }, wire.url.replace('http', 'nats'))
    cutOff.subscribe('sum.jobs', async (_payload, { signal }) => {
      begun.push('cut off')
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    })
    const jobId = await bed.submit()
    await expect.poll(() => begun.length, patient).toBe(1)
    wire.block()
    await cutOff.close()
    bed.operator({ id: 'b' }).subscribe('sum.jobs', () => void begun.push('b'))
    await expect.poll(() => bed.state(jobId), patient).toBe('done')
    const { streams } = await manager(bed.broker)
    const kept = async (): Promise<number> => (await streams.info(streamName(organisation))).state.messages
    await expect.poll(kept, patient).toBe(1)
    bed.operator({ id: 'a' }).subscribe('sum.jobs', () => void begun.push('again'))
    await expect.poll(kept, patient).toBe(0)
    expect(begun).toEqual(['cut off', 'b'])
  })

  test('[SPINE-43] [APP-7] work goes on without the broker, and over it as soon as it is there', async () => {
    const bed = await open({}, { isStopped: true })
    const ready = await fetch(`${bed.server.url}/readyz`)
    expect(ready.status).toBe(200)
    expect(await ready.json()).toMatchObject({ status: 'ready', checks: { broker: { status: 'failing' } } })
    const near = bed.operator({ id: 'near' }, bed.server.url)
    near.subscribe('sum.jobs', () => 'near')
    const first = await bed.submit()
    await expect.poll(() => bed.state(first), patient).toBe('done')
    await near.close()
    const far = bed.operator({ id: 'far' })
    far.subscribe('sum.jobs', () => 'far')
    const second = await bed.submit()
    await bed.broker.start()
    await expect.poll(() => bed.state(second), patient).toBe('done')
    await bed.broker.kill()
    const third = await bed.submit()
    await bed.broker.start()
    await expect.poll(() => bed.state(third), patient).toBe('done')
    expect(await (await fetch(`${bed.server.url}/readyz`)).json()).toMatchObject({
      checks: { broker: { status: 'ok' } },
    })
  })

  test('[SPINE-43] a job that the broker does not take goes back, and the hand-out does not count', async () => {
    const bed = await open()
    bed.operator().subscribe('sum.jobs', (_payload, { attempt }) => attempt)
    const first = await bed.submit()
    await expect.poll(() => bed.state(first), patient).toBe('done')
    const { streams } = await manager(bed.broker)
    await streams.delete(streamName(organisation))
    const jobId = await bed.submit()
    await expect.poll(() => bed.state(jobId), patient).toBe('done')
    const { jobs } = bed.server.context.spine
    expect(await jobs.attempts(organisation, jobId)).toMatchObject([{ outcome: 'returned' }, { outcome: 'done' }])
    expect(await jobs.get(organisation, jobId)).toMatchObject({ attempts: 1 })
  })

  test('[SPINE-43] where the broker keeps no jobs, no operator is behind it, and others do them', async () => {
    // There is no cluster that could keep three of each.
    const bed = await open({ natsReplicas: 3 })
    bed.operator({ id: 'far' }).subscribe('sum.jobs', () => 'far')
    const { operators } = bed.server.context
    const admin = { organisation, subject: 'test', scopes: ['admin'], isOperator: false } as const
    await expect
      .poll(async () => (await operators.list(admin)).map(({ status }) => status), patient)
      .toEqual(['offline'])
    const jobId = await bed.submit()
    bed.operator({ id: 'near' }, bed.server.url).subscribe('sum.jobs', () => 'near')
    await expect.poll(() => bed.state(jobId), patient).toBe('done')
    expect(await bed.server.context.spine.jobs.get(organisation, jobId)).toMatchObject({
      operator: 'near',
      attempts: 1,
    })
  })

  test('[SPINE-40] the permissions that are recommended are enough, and keep organisations apart', async () => {
    const page = await readFile(new URL('../../docs/operate/nats.md', import.meta.url), 'utf8')
    const [, users = ''] = /```\n(authorization \{[^`]+)```/.exec(page) ?? []
    const settings = users.replace('$SERVER_PASSWORD', '"server"').replace('$ACME_PASSWORD', '"acme"')
    expect(settings).toContain('slipway.acme._jobs.*')
    const broker = await openBroker({ settings: `max_payload: 2MB\n${settings}` })
    const at = (user: string, pass: string): string => `nats://${user}:${pass}@127.0.0.1:${broker.port}`
    const server = await testServer({ natsUrl: at('slipway', 'server'), apiToken })
    onTestFinished(() => server[Symbol.asyncDispose]())
    const [acme, rival] = [await tokenOf(server, 'acme'), await tokenOf(server, 'rival')]
    const operator = connectOperator(at('acme', 'acme'), acme.token, { id: 'sum-1', type: 'sum' })
    onTestFinished(() => operator.close())
    operator.subscribe('sum.jobs', async (_payload, job) => {
      await job.stream('piece')
      return 'done'
    })
    const { jobs } = server.context.spine
    const { jobId } = await jobs.publish('acme', { topic: 'sum.jobs', schema, payload: bytes({}) })
    await expect.poll(async () => (await jobs.get('acme', jobId)).state, patient).toBe('done')
    await operator.close()
    // The broker's user of one organisation with the token of another.
    const wrong = connectOperator(at('acme', 'acme'), rival.token, { id: 'sum-1', type: 'sum' })
    onTestFinished(() => wrong.close())
    wrong.subscribe('sum.jobs', () => 'stolen')
    const theirs = await jobs.publish('rival', { topic: 'sum.jobs', schema, payload: bytes({}) })
    await expect(connectBus(at('acme', 'acme'), rival.token, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'server.unreachable',
    })
    expect((await jobs.get('rival', theirs.jobId)).state).toBe('ready')
    const nobody = connectOperator(at('acme', 'wrong'), acme.token, { id: 'sum-1', type: 'sum' })
    nobody.subscribe('sum.jobs', () => null)
    await expect(nobody.ended).rejects.toMatchObject({ code: 'auth.required' })
  })

  test('[SPINE-44] an old broker is refused, and the server goes on', async () => {
    const old = createServer(socket => {
      socket.on('error', () => undefined)
      socket.write('INFO {"server_id":"X","version":"2.8.4","max_payload":1048576,"jetstream":true,"headers":true}\r\n')
      socket.on('data', data => data.toString().includes('PING') && socket.write('PONG\r\n'))
    }).listen(0, '127.0.0.1')
    await once(old, 'listening')
    onTestFinished(() => void old.close())
    const { port } = old.address() as { readonly port: number }
    const server = await testServer({ natsUrl: `nats://127.0.0.1:${port}`, apiToken })
    onTestFinished(() => server[Symbol.asyncDispose]())
    await expect
      .poll(() => server.context.relay?.state, patient)
      .toMatchObject({
        isConnected: false,
        why: expect.stringMatching(/2\.8\.4.*2\.9/) as string,
      })
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  })

  test.skipIf(noPostgres !== null)(
    `[SPINE-45] an operator goes on over another server when its own is killed${noPostgres === null ? '' : ` (${noPostgres})`}`,
    async () => {
      const broker = await openBroker()
      await using folder = await temporaryDataFolder()
      const databaseUrl = await postgresUrl()
      const env = { SLIPWAY_NATS_URL: broker.url, SLIPWAY_API_TOKEN: apiToken, SLIPWAY_DATABASE_URL: databaseUrl }
      await using first = await startChildServer(folder.path, env)
      const begun = Promise.withResolvers<void>()
      const go = Promise.withResolvers<void>()
      const states: string[] = []
      const onState = ({ type }: BusState): void => void states.push(type)
      const operator = connectOperator(broker.url, apiToken, { id: 'sum-1', type: 'sum', onState })
      onTestFinished(() => operator.close())
      operator.subscribe('sum.jobs', async (_payload, job) => {
        begun.resolve()
        await go.promise
        await job.stream('behind')
        return 'whole'
      })
      const { jobId } = await createClient({ url: first.url, token: apiToken }).jobs.submit('sum', { payload: {} })
      await begun.promise
      await using second = await startChildServer(folder.path, env)
      await first.kill()
      go.resolve()
      const client = createClient({ url: second.url, token: apiToken })
      await expect.poll(async () => (await client.jobs.get(jobId)).status, patient).toBe('succeeded')
      expect(await client.jobs.get(jobId)).toMatchObject({ attempts: 1, result: { payload: 'whole' } })
      expect(states).toContain('reconnecting')
    },
  )

  test('[SPINE-46] jobs and results that are larger than a message of the broker', async () => {
    const bed = await open({}, { settings: 'max_payload: 65536' })
    const operator = bed.operator({ maxParallelJobs: 2 })
    operator.subscribe('sum.jobs', payload => ({ payload }))
    const ids = [await bed.submit('x'.repeat(1_000_000)), await bed.submit('small')]
    for (const id of ids) await expect.poll(() => bed.state(id), patient).toBe('done')
    const result = await bed.server.context.spine.jobs.result(organisation, ids[0] ?? '')
    const { payload } = parseJson(new TextDecoder().decode(result?.payload)) as { readonly payload: string }
    expect(payload.length).toBe(1_000_000)
  })

  test('[SPINE-46] many large results at the same time', async () => {
    const bed = await open({}, { settings: 'max_payload: 2MB' })
    const all = Promise.withResolvers<void>()
    let begun = 0
    bed.operator({ maxParallelJobs: 80 }).subscribe('sum.jobs', async () => {
      if (++begun === 80) all.resolve()
      await all.promise
      return 'x'.repeat(1_000_000)
    })
    const ids = await Promise.all(Array.from({ length: 80 }, () => bed.submit()))
    for (const id of ids) await expect.poll(() => bed.state(id), patient).toBe('done')
    expect((await bed.server.context.spine.jobs.get(organisation, ids[0] ?? '')).attempts).toBe(1)
    expect(bed.server.context.shield.counts().connections).toBe(1)
  })

  test('[SPINE-40] publishing and following work over the broker too', async () => {
    const { broker } = await open()
    await using bus = await connectBus(broker.url, apiToken)
    const ready = Promise.withResolvers<number>()
    const messages = bus.subscribe('input.first', { onReady: ready.resolve })
    const first = messages.next()
    await ready.promise
    await bus.publish({ topic: 'input.first', schema, payload: { n: 1 } })
    expect((await first).value).toMatchObject({ topic: 'input.first', type: 'event' })
    await messages.return()
  })
})
