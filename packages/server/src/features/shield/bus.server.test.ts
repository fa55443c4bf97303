import { once } from 'node:events'
import { readServerFrame, writeClientFrame, type ClientBodyInit } from '@slipway/protocol/bus/frames'
import { describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { testServer } from '#app/testing'
import type { RunningServer } from '#app/start-server'
import { base64, bytes, constantPolicy, rawBus, schema, text, type RawBus } from './testing.ts'

const apiToken = 'a-token-of-good-length'

function event(topic: string, value: unknown): ClientBodyInit {
  return { case: 'publish', value: { topic, schema, payload: bytes(value) } }
}

function follow(topic: string, more: { after?: bigint; credit?: number; subscription?: number } = {}): ClientBodyInit {
  return { case: 'subscribe', value: { subscription: 1, ...more, source: { case: 'topic', value: topic } } }
}

async function refusal(bus: RawBus, body: ClientBodyInit): Promise<string> {
  return (await bus.ask(body, 'error')).code
}

async function makeToken(server: RunningServer, asked: object): Promise<string> {
  const made = await call(server, 'POST', '/api/tokens', { name: 'test', ...asked })
  return (made as { readonly token: string }).token
}

async function call(server: RunningServer, method: string, path: string, body?: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' }
  const reply = await fetch(server.url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  return reply.json()
}

describe('frames', () => {
  test('[SHIELD-1] what one client publishes another one gets, with its number', async () => {
    await using server = await testServer()
    using reader = await rawBus(server.url)
    using writer = await rawBus(server.url)
    await reader.ask(follow('input.assets', { subscription: 7 }), 'subscribed')
    const published = await writer.ask(event('input.assets', { n: 1 }), 'published')
    const { subscription, envelope } = await reader.next('message')
    expect(subscription).toBe(7)
    expect(envelope).toMatchObject({ id: published.id, topic: 'input.assets', schema, seq: 1n })
    expect(text(envelope?.payload)).toBe('{"n":1}')
  })

  test('[SHIELD-2] a job is published once however often it is said', async () => {
    await using server = await testServer()
    using bus = await rawBus(server.url)
    const job = { idempotencyKey: 'one', priority: 5, deadlineMs: 60_000n }
    const body = { case: 'publish', value: { topic: 'genesis.jobs', schema, payload: bytes(1), job } } as const
    const first = await bus.ask(body, 'published')
    expect(await bus.ask(body, 'published')).toMatchObject({ id: first.id, known: true })
    const view = await server.context.spine.jobs.get('default', first.id)
    expect(view).toMatchObject({ topic: 'genesis.jobs', priority: 5, state: 'ready' })
    expect(await refusal(bus, { case: 'publish', value: { ...body.value, topic: 'genesis.assets' } })).toBe(
      'input.invalid',
    )
    expect(await refusal(bus, event('genesis.results', 1))).toBe('input.invalid')
    expect(await refusal(bus, event('no topic', 1))).toBe('input.invalid')
    const huge = { ...body.value, job: { delayMs: 2n ** 63n } }
    expect(await refusal(bus, { case: 'publish', value: huge })).toBe('frame.invalid')
  })

  test('[SHIELD-3] [SHIELD-18] there is no socket without a token, nor one too many', async () => {
    await using server = await testServer({ apiToken, busSocketsPerToken: 1 })
    const address = `${server.url.replace('http', 'ws')}/bus`
    const nobody = new WebSocket(address)
    nobody.on('error', () => undefined)
    const [, response] = (await once(nobody, 'unexpected-response')) as [unknown, { statusCode: number }]
    expect(response.statusCode).toBe(401)
    nobody.terminate()
    const browser = new WebSocket(address, [`slipway.bearer.${apiToken}`])
    await once(browser, 'open')
    using second = await rawBus(server.url, { token: apiToken, silent: true })
    expect(await second.next('error')).toMatchObject({ code: 'rate.limited', retryable: true })
    expect(await second.closed).toEqual({ code: 4029, reason: 'rate_limited' })
    browser.close()
    await once(browser, 'close')
    using third = await rawBus(server.url, { token: apiToken })
    expect(third.frames[0]?.body).toMatchObject({ case: 'welcome', value: { version: 1, organisation: 'default' } })
  })

  test('[SHIELD-4] [SHIELD-11] everything else waits for Hello, and every refusal is counted', async () => {
    await using server = await testServer()
    using bus = await rawBus(server.url, { silent: true })
    expect(await refusal(bus, event('input.assets', 1))).toBe('frame.invalid')
    expect(await refusal(bus, { case: 'hello', value: {} })).toBe('frame.invalid')
    expect(await bus.ask({ case: 'hello', value: { version: 99 } }, 'welcome')).toMatchObject({
      version: 1,
      organisation: 'default',
      maxFrameBytes: 2_097_152,
    })
    expect(await refusal(bus, { case: 'hello', value: { version: 1 } })).toBe('frame.invalid')
    expect(await refusal(bus, { case: 'unsubscribe', value: { subscription: 3 } })).toBe('subscription.unknown')
    expect(await refusal(bus, { case: 'credit', value: { subscription: 3 } })).toBe('subscription.unknown')
    expect(server.context.shield.counts().refused).toEqual({ 'frame.invalid': 3, 'subscription.unknown': 2 })
  })

  test('[SHIELD-5] a newer client is understood as far as it goes', async () => {
    await using server = await testServer({ busJson: true })
    using bus = await rawBus(server.url)
    // A field 200 of the frame, and a field 200 of Ping.
    const inner = [0x3a, 0x03, 0xc0, 0x0c, 0x01]
    bus.socket.send(Uint8Array.from([0x08, 0x63, ...inner, 0xc0, 0x0c, 0x01]))
    await bus.ask(event('input.assets', 1), 'published')
    expect(bus.frames.find(({ replyTo }) => replyTo === 0x63)?.body?.case).toBe('pong')
    using debug = await rawBus(server.url, { format: 'json' })
    debug.socket.send('{"correlation":9,"ping":{"mood":"good"},"later":true}')
    await debug.ask(event('input.assets', 1), 'published')
    expect(debug.frames.find(({ replyTo }) => replyTo === 9)?.body?.case).toBe('pong')
    // A kind of frame that is not known yet.
    bus.socket.send(Uint8Array.from([0x08, 0x64, 0xc2, 0x0c, 0x00]))
    await bus.ask(event('input.assets', 1), 'published')
    expect(bus.frames.find(({ replyTo }) => replyTo === 0x64)?.body).toMatchObject({
      case: 'error',
      value: { code: 'frame.invalid' },
    })
  })

  test('[SHIELD-6] text is refused where it is not enabled, and passes the same policies where it is', async () => {
    await using strict = await testServer()
    using silent = await rawBus(strict.url, { silent: true })
    silent.socket.send(writeClientFrame({ case: 'hello', value: { version: 1 } }, { format: 'json' }))
    expect(await silent.next('error')).toMatchObject({ code: 'frame.text' })
    await using server = await testServer({ busJson: true, apiToken })
    await call(server, 'PUT', '/api/policies/no', { topics: 'input.>', module: base64(constantPolicy(4)) })
    for (const format of ['json', 'protobuf'] as const) {
      using bus = await rawBus(server.url, { token: apiToken, format })
      expect(await refusal(bus, event('input.assets', 1))).toBe('policy.denied')
      const job = { case: 'publish', value: { topic: 'input.jobs', schema, payload: bytes(1) } } as const
      expect(await refusal(bus, job)).toBe('policy.denied')
      await bus.ask(event('output.assets', 1), 'published')
    }
    expect(server.context.spine.counts()).toMatchObject({ published: 0, messages: 2 })
    expect(server.context.shield.counts()).toMatchObject({ checked: 4, refused: { 'policy.denied': 4 } })
  })

  test('[SHIELD-7] what cannot be read or is too large goes no further', async () => {
    await using server = await testServer({ busMaxFrameBytes: 10_000 })
    using bus = await rawBus(server.url)
    bus.socket.send(Uint8Array.from([0xff, 0xff, 0xff]))
    expect(await bus.next('error')).toMatchObject({ code: 'frame.invalid' })
    expect((await bus.ask(event('input.assets', 'x'.repeat(9_000)), 'published')).known).toBe(false)
    bus.socket.send(new Uint8Array(10_001))
    expect(await bus.next('error')).toMatchObject({ code: 'frame.too_large' })
    bus.socket.send(new Uint8Array(200_000))
    expect((await bus.closed).code).toBe(1009)
    const { refused } = server.context.shield.counts()
    expect(refused).toEqual({ 'frame.invalid': 1, 'frame.too_large': 2 })
    expect(server.context.spine.counts().messages).toBe(1)
  })

  test('[SHIELD-32] frames of one message are taken as those that come alone', async () => {
    await using server = await testServer()
    using bus = await rawBus(server.url, { silent: true })
    const batch = (...frames: Uint8Array[]) => bus.send({ case: 'batch', value: { frames } })
    const frame = (body: ClientBodyInit, correlation: number) => {
      const written = writeClientFrame(body, { correlation })
      if (typeof written === 'string') throw new Error('It is text.')
      return written
    }
    batch(frame({ case: 'hello', value: { version: 1, takesBatches: true } }, 1), frame({ case: 'ping', value: {} }, 2))
    const inner = frame({ case: 'batch', value: { frames: [] } }, 4)
    batch(
      frame(event('input.assets', 'a'), 3),
      inner,
      Uint8Array.from([0xff]),
      frame(event('input.assets', 'b'), 5),
      frame(event('bad topic', 'c'), 6),
    )
    const flat = () =>
      bus.frames.flatMap(({ replyTo, body }) =>
        body?.case === 'batch' ? body.value.frames.map(one => readServerFrame(one)) : [{ replyTo, body }],
      )
    await vi.waitFor(() => expect(flat()).toHaveLength(7), { timeout: 10_000 })
    const answers = flat().map(({ replyTo, body }) => [replyTo, body?.case])
    expect(answers.sort()).toEqual([
      [0, 'error'],
      [1, 'welcome'],
      [2, 'pong'],
      [3, 'published'],
      [4, 'error'],
      [5, 'published'],
      [6, 'error'],
    ])
    expect(flat().find(({ replyTo }) => replyTo === 1)?.body?.value).toMatchObject({ takesBatches: true })
    expect(bus.frames.length).toBeLessThan(7)
    expect(server.context.shield.counts().refused).toEqual({ 'frame.invalid': 2, 'input.invalid': 1 })
  })

  test('[SHIELD-32] limits count the frames of a message, and whoever does not take several gets one at a time', async () => {
    await using server = await testServer({ busFramesPerSecond: 5 })
    using bus = await rawBus(server.url)
    const ping = writeClientFrame({ case: 'ping', value: {} }, { correlation: 9 })
    if (typeof ping === 'string') throw new Error('It is text.')
    bus.send({ case: 'batch', value: { frames: Array.from({ length: 50 }, () => ping) } })
    await vi.waitFor(() => expect(bus.frames).toHaveLength(51), { timeout: 10_000 })
    const cases = new Set(bus.frames.map(({ body }) => body?.case))
    expect(cases).toEqual(new Set(['welcome', 'pong', 'error']))
    expect(server.context.shield.counts().refused['rate.limited']).toBeGreaterThan(10)
  })

  test('[SHIELD-8] [SHIELD-9] scopes and organisations hold for each frame', async () => {
    await using server = await testServer({ apiToken })
    const writing = await makeToken(server, { scopes: ['write:jobs'] })
    const reading = await makeToken(server, { scopes: ['read:jobs'] })
    const foreign = await makeToken(server, { scopes: ['read:jobs', 'write:jobs'], organisation: 'other' })
    using operator = await rawBus(server.url, { token: apiToken })
    using writer = await rawBus(server.url, { token: writing })
    using reader = await rawBus(server.url, { token: reading })
    using stranger = await rawBus(server.url, { token: foreign })
    expect(await refusal(writer, follow('input.assets'))).toBe('auth.forbidden')
    expect(await refusal(reader, event('input.assets', 1))).toBe('auth.forbidden')
    expect(await refusal(writer, event('system.control.operators', 1))).toBe('auth.forbidden')
    await operator.ask(event('system.control.operators', 1), 'published')
    await reader.ask(follow('input.assets', { after: 0n }), 'subscribed')
    await stranger.ask(follow('input.assets', { after: 0n }), 'subscribed')
    const job = await writer.ask(event('genesis.jobs', 1), 'published')
    const theirs = { case: 'subscribe', value: { subscription: 2, source: { case: 'jobId', value: job.id } } } as const
    expect(await refusal(stranger, theirs)).toBe('job.unknown')
    await writer.ask(event('input.assets', 'acme'), 'published')
    await stranger.ask(event('input.assets', 'other'), 'published')
    expect(text((await reader.next('message')).envelope?.payload)).toBe('"acme"')
    expect(text((await stranger.next('message')).envelope?.payload)).toBe('"other"')
    expect(stranger.frames.filter(({ body }) => body?.case === 'message')).toHaveLength(1)
  })

  test('[SHIELD-10] limits are told with a time, and whoever goes on regardless is closed', async () => {
    await using server = await testServer({ busTopicFramesPerSecond: 1 })
    using bus = await rawBus(server.url)
    await bus.ask(event('input.assets', 1), 'published')
    const error = await bus.ask(event('input.assets', 1), 'error')
    expect(error).toMatchObject({ code: 'rate.limited', retryable: true })
    expect(Number(error.retryAfterMs)).toBeGreaterThan(0)
    await bus.ask(event('input.other', 1), 'published')
    await using slow = await testServer({ busFramesPerSecond: 1 })
    using flood = await rawBus(slow.url)
    for (let n = 0; n < 2_000; n++) flood.send({ case: 'ping', value: {} })
    expect(await flood.next('closing')).toMatchObject({ reason: 'rate_limited' })
    expect((await flood.closed).reason).toBe('rate_limited')
    expect(slow.context.spine.counts().messages).toBe(0)
  })
})

describe('following', () => {
  test('[SHIELD-12] from a number on, or from now on', async () => {
    await using server = await testServer()
    using bus = await rawBus(server.url)
    await bus.ask(event('input.assets', 'first'), 'published')
    await bus.ask(event('input.assets', 'second'), 'published')
    expect(await bus.ask(follow('input.assets', { after: 1n }), 'subscribed')).toMatchObject({ after: 1n })
    expect(text((await bus.next('message')).envelope?.payload)).toBe('"second"')
    expect(await bus.ask(follow('input.assets', { subscription: 2 }), 'subscribed')).toMatchObject({ after: 2n })
    expect(await refusal(bus, follow('input.assets', { subscription: 2 }))).toBe('subscription.conflict')
    expect(await refusal(bus, follow('input.assets', { subscription: 0 }))).toBe('input.invalid')
    expect(await refusal(bus, follow('no topic', { subscription: 3 }))).toBe('input.invalid')
    await bus.ask({ case: 'unsubscribe', value: { subscription: 1 } }, 'unsubscribed')
    await bus.ask(event('input.assets', 'third'), 'published')
    expect(await bus.next('message')).toMatchObject({ subscription: 2 })
    await bus.ask({ case: 'unsubscribe', value: { subscription: 2 } }, 'unsubscribed')
    await bus.ask(event('input.assets', 'fourth'), 'published')
    expect(bus.frames.filter(({ body }) => body?.case === 'message')).toHaveLength(2)
  })

  test('[SHIELD-13] a client with credit gets what it has room for, and all of it in the end', async () => {
    await using server = await testServer()
    using reader = await rawBus(server.url)
    await reader.ask(follow('input.assets', { credit: 2 }), 'subscribed')
    // More than is kept in memory for one reader.
    const many = 1_500
    const { messages } = server.context.spine
    const one = { topic: 'input.assets', type: 'event', schema, payload: bytes(1) } as const
    await Promise.all(Array.from({ length: many }, () => messages.publish('default', one)))
    await reader.next('message')
    await reader.next('message')
    await reader.ask({ case: 'ping', value: {} }, 'pong')
    expect(reader.frames.filter(({ body }) => body?.case === 'message')).toHaveLength(2)
    reader.send({ case: 'credit', value: { subscription: 1, messages: 10_000 } })
    let last = 0n
    while (last < many) last = (await reader.next('message')).envelope?.seq ?? 0n
    const seqs = reader.frames.flatMap(({ body }) => (body?.case === 'message' ? [body.value.envelope?.seq] : []))
    expect(seqs).toEqual(Array.from({ length: many }, (_, n) => BigInt(n + 1)))
  })

  test('[SHIELD-14] a reader that stalls is cut with its number, and the others get everything', async () => {
    await using server = await testServer({ busMaxWaitingBytes: 65_536 }, { times: { stallMs: 200 } })
    const readers = await Promise.all(Array.from({ length: 5 }, () => rawBus(server.url)))
    using stalled = await rawBus(server.url)
    for (const bus of [...readers, stalled]) await bus.ask(follow('input.assets'), 'subscribed')
    stalled.socket.pause()
    const many = 900
    const { messages } = server.context.spine
    const one = { topic: 'input.assets', type: 'event', schema, payload: new Uint8Array(16_000) } as const
    for (let n = 0; n < many; n += 50) {
      await Promise.all(Array.from({ length: 50 }, () => messages.publish('default', one)))
      for (const bus of readers) for (let read = 0; read < 50; read++) await bus.next('message')
    }
    while (server.context.shield.counts().cut === 0) await readers[0]?.ask({ case: 'ping', value: {} }, 'pong')
    stalled.socket.resume()
    const { reason } = await stalled.closed
    const got = stalled.frames.flatMap(({ body }) => (body?.case === 'message' ? [body.value.envelope?.seq] : []))
    const closing = stalled.frames.find(({ body }) => body?.case === 'closing')?.body?.value
    // What the two systems hold between them may be lost with the connection; the last frame, if it came, is right.
    if (closing !== undefined) {
      expect(reason).toBe('slow_consumer')
      expect(closing).toMatchObject({ reason: 'slow_consumer', positions: [{ subscription: 1, after: got.at(-1) }] })
    }
    expect(got.length).toBeLessThan(many)
    using again = await rawBus(server.url)
    await again.ask(follow('input.assets', { after: got.at(-1) ?? 0n }), 'subscribed')
    expect((await again.next('message')).envelope?.seq).toBe((got.at(-1) ?? 0n) + 1n)
    expect(server.context.shield.counts().cut).toBe(1)
    for (const bus of readers) bus[Symbol.dispose]()
  })

  test('[SHIELD-15] the stream of a job ends with its result', async () => {
    await using server = await testServer()
    using bus = await rawBus(server.url)
    const { id } = await bus.ask(event('genesis.jobs', 1), 'published')
    const body = { case: 'subscribe', value: { subscription: 4, source: { case: 'jobId', value: id } } } as const
    await bus.ask(body, 'subscribed')
    const { jobs } = server.context.spine
    const [job] = await jobs.lease({ topics: ['genesis.jobs'], operator: 'test', organisation: 'default', max: 1 })
    const lease = { organisation: 'default', jobId: id, fence: job?.fence ?? 0 }
    await jobs.append(lease, { schema, payloads: [bytes('half')] })
    await jobs.ack(lease, { schema, payload: bytes('whole') })
    const got = []
    for (let last = ''; last !== '"whole"'; got.push(last)) last = text((await bus.next('message')).envelope?.payload)
    expect(got).toContain('"half"')
    expect(await bus.next('unsubscribed')).toMatchObject({ subscription: 4, finished: true })
  })
})

describe('ends', () => {
  test('[SHIELD-16] whoever says nothing is closed, unless it follows something', async () => {
    await using server = await testServer({ busIdleSeconds: 1 })
    using follower = await rawBus(server.url)
    await follower.ask(follow('input.assets'), 'subscribed')
    using idle = await rawBus(server.url)
    expect(await idle.next('closing')).toMatchObject({ reason: 'idle' })
    expect((await idle.closed).reason).toBe('idle')
    await follower.ask({ case: 'ping', value: {} }, 'pong')
  })

  test('[SHIELD-17] a stop and the end of a token are told, with where to go on', async () => {
    const server = await testServer({ apiToken })
    const token = await makeToken(server, { scopes: ['read:jobs'] })
    using revoked = await rawBus(server.url, { token })
    using bus = await rawBus(server.url, { token: apiToken })
    await bus.ask(event('input.assets', 1), 'published')
    await bus.ask(follow('input.assets'), 'subscribed')
    await call(server, 'DELETE', `/api/tokens/${token.split('_')[1] ?? ''}`)
    expect(await revoked.next('closing')).toMatchObject({ reason: 'unauthorized' })
    await server.stop('the test')
    expect(await bus.next('closing')).toMatchObject({
      reason: 'server_stopping',
      positions: [{ subscription: 1, after: 1n }],
    })
    expect(await bus.closed).toEqual({ code: 4001, reason: 'server_stopping' })
    await server[Symbol.asyncDispose]()
  })

  test('[SHIELD-19] a client that does not take its replies is not read from', async () => {
    await using server = await testServer({ busMaxWaitingBytes: 1024 }, { times: { stallMs: 300 } })
    using bus = await rawBus(server.url)
    bus.socket.pause()
    // Each is refused with a kilobyte.
    const many = 20_000
    const wrong = event('\u0001'.repeat(200), 1)
    for (let n = 0; n < many; n++) bus.send(wrong)
    while (server.context.shield.counts().cut === 0) await new Promise(resolve => setTimeout(resolve, 20))
    expect(server.context.shield.counts().frames).toBeLessThan(many)
  })
})

describe('policies over HTTP', () => {
  test('[SHIELD-29] they are put, listed, put out of force and removed by whoever has the scope admin', async () => {
    await using server = await testServer({ apiToken })
    const path = '/api/policies/no'
    expect(await call(server, 'PUT', path, { topics: '*.assets', module: base64(constantPolicy(1)) })).toMatchObject({
      name: 'no',
      topics: '*.assets',
      version: 1,
      active: true,
      loaded: true,
    })
    expect(await call(server, 'PUT', path, { topics: 'a..b', module: 'AAAA' })).toMatchObject({
      error: { code: 'input.invalid' },
    })
    expect(await call(server, 'PUT', path, { topics: '>', module: 'AAAA' })).toMatchObject({
      error: { code: 'policy.invalid' },
    })
    expect(await call(server, 'GET', '/api/policies')).toMatchObject([
      { name: 'no', version: 1, changed_by: 'operator' },
    ])
    using bus = await rawBus(server.url, { token: apiToken })
    expect(await refusal(bus, event('input.assets', 1))).toBe('policy.denied')
    await call(server, 'POST', `${path}/deactivate`)
    await bus.ask(event('input.assets', 1), 'published')
    await call(server, 'POST', `${path}/activate`)
    expect(await refusal(bus, event('input.assets', 1))).toBe('policy.denied')
    await call(server, 'DELETE', path)
    await bus.ask(event('input.assets', 1), 'published')
    expect(await call(server, 'GET', path)).toMatchObject({ error: { code: 'policy.unknown' } })
    const reading = await makeToken(server, { scopes: ['read:jobs'] })
    const reply = await fetch(`${server.url}/api/policies`, { headers: { authorization: `Bearer ${reading}` } })
    expect(reply.status).toBe(403)
  })
})
