import { parseJson } from '@slipway/kit/json'
import { api } from '@slipway/protocol/api'
import type { ClientBodyInit } from '@slipway/protocol/bus/frames'
import { sockets } from '@slipway/protocol/events'
import type { Route } from '@slipway/protocol/route'
import { testServer } from '@slipway/server/app/testing'
import { createLogger } from '@slipway/server/observe/log'
import { base64, bytes, constantPolicy, rawBus, schema } from '@slipway/server/features/shield/testing'
import { expect, test } from 'vitest'

function event(topic: string, value: unknown): ClientBodyInit {
  return { case: 'publish', value: { topic, schema, payload: bytes(value) } }
}

const register: ClientBodyInit = {
  case: 'register',
  value: { operatorId: 'one', operatorType: 'generic', topics: ['things.jobs'], maxParallelJobs: 1 },
}

test('[WHOLE-2] a server listens once', async () => {
  const listening = (): number =>
    process.getActiveResourcesInfo().filter(name => /TCPSERVER|UDP|PIPESERVER/i.test(name)).length
  const before = listening()
  await using server = await testServer({ apiToken: 'a-token-of-good-length' })
  expect(server.url).toMatch(/^http:/)
  expect(listening()).toBe(before + 1)
})

test('[WHOLE-3] no two routes have the same method and path', () => {
  const routes: readonly Route[] = Object.values(api)
  const places = routes.flatMap(({ method, path, aliases = [] }) => [path, ...aliases].map(one => `${method} ${one}`))
  places.push(...Object.values(sockets).map(({ path }) => `WS ${path}`))
  const shapes = places.map(place => place.replace(/:\w+/g, ':'))
  expect(shapes.filter((shape, at) => shapes.indexOf(shape) < at)).toEqual([])
})

test('[WHOLE-4] what was published, handed out or refused stands in no line of the log', async () => {
  const lines: string[] = []
  const log = createLogger({ logLevel: 'info', destination: { write: line => void lines.push(line) } })
  const canary = 'canary-of-a-payload'
  const apiToken = 'canary-of-a-token'
  await using server = await testServer({ apiToken }, { replace: { log } })
  const headers = { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' }
  const ask = async (method: string, path: string, body?: object): Promise<unknown> => {
    const reply = await fetch(server.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    return parseJson(await reply.text())
  }
  const edges = [{ from: 'a.b', to: 'c.d', map: 'word + 1' }]
  await ask('PUT', '/api/circuits/failing', { circuit: 'failing', edges })
  await ask('POST', '/api/circuits/failing/enable')
  await ask('PUT', '/api/policies/no', { topics: 'refused.*', module: base64(constantPolicy(1)) })
  await ask('POST', '/v1/jobs', { type: 'things', payload: { word: canary }, maxAttempts: 1 })
  await ask('POST', '/v1/jobs', { type: 'Things!', payload: { word: canary } })
  await fetch(`${server.url}/v1/jobs`, { headers: { authorization: `Bearer ${apiToken}-wrong` } })
  using bus = await rawBus(server.url, { token: apiToken })
  await bus.ask(event('a.b', { word: canary }), 'published')
  await bus.ask(event('refused.things', { word: canary }), 'error')
  await bus.ask(register, 'registered')
  const { id: jobId, fence } = await bus.next('job')
  const failure = { jobId, fence, reason: `It was ${canary}`, retryable: false }
  await bus.ask({ case: 'nack', value: failure }, 'nackReply')
  await expect
    .poll(async () => ((await ask('GET', '/api/circuits/failing')) as { counts: object }).counts)
    .toMatchObject({
      failed: 1,
    })
  await server.stop('the test is over')
  expect(lines.length).toBeGreaterThan(3)
  expect(lines.filter(line => line.includes('canary'))).toEqual([])
})

test('[WHOLE-5] counters have the same names however many organisations, topics and clients there are', async () => {
  const apiToken = 'a-token-of-good-length'
  await using server = await testServer({ apiToken, rateLimitPerMinute: 100_000 })
  const { spine, shield } = server.context
  const names = (): string[] => [...Object.keys(spine.counts()), ...Object.keys(shield.counts())]
  const before = names()
  for (let n = 0; n < 30; n++) {
    const job = { topic: `things${n}.jobs`, schema, payload: bytes(n) }
    await spine.jobs.publish(`org-${n}`, job)
    using bus = await rawBus(server.url, { token: apiToken })
    await bus.ask(event(`topic.n${n}`, n), 'published')
    await bus.ask(event('none', n), 'error')
  }
  expect(names()).toEqual(before)
  expect(Object.keys(shield.counts().refused)).toEqual(['input.invalid'])
  expect(spine.counts()).toMatchObject({ published: 30 })
})

test('[WHOLE-6] an operator is heard while its token publishes too much', async () => {
  await using server = await testServer({ busFramesPerSecond: 5 })
  await server.context.spine.jobs.publish('default', { topic: 'things.jobs', schema, payload: bytes(1) })
  using operator = await rawBus(server.url)
  await operator.ask(register, 'registered')
  const { id: jobId, fence } = await operator.next('job')
  using loud = await rawBus(server.url)
  const flood = Array.from({ length: 40 }, () => loud.ask(event('a.b', 1), 'error').catch(() => null))
  await Promise.race(flood)
  const { leasedUntil } = await operator.ask({ case: 'heartbeat', value: { jobId, fence } }, 'heartbeatReply')
  expect(leasedUntil).toBeDefined()
  await operator.ask({ case: 'ack', value: { jobId, fence, schema, payload: bytes(2) } }, 'accepted')
  expect((await Promise.all(flood)).filter(error => error?.code === 'rate.limited').length).toBeGreaterThan(10)
})
