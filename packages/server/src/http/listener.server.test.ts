import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import { route } from '@slipway/protocol/route'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { handle } from './handler.ts'
import { eventStream, fileReply, page, withHeaders } from './reply.ts'
import { codeOf, send, testListener } from './testing.ts'

const token = 'a-token-of-good-length'
const json = { 'content-type': 'application/json' }
const thing = JSON.stringify({ name: 'a', size: 1 })

function get(path: string) {
  return { method: 'GET', path, scope: 'any', summary: '', tag: 'system', reply: z.unknown(), errors: [] } as const
}

describe('who may speak to the server', () => {
  test.each([
    ['localhost', 200],
    ['127.0.0.1:1', 200],
    ['[::1]:8000', 200],
    ['LOCALHOST.', 200],
    ['slipway.example:80', 200],
    ['a.lan.example', 200],
    ['lan.example', 403],
    ['evil.example', 403],
    ['127.0.0.1.evil.example', 403],
    ['localhost@evil.example', 403],
    ['192.168.0.1', 403],
    [':80', 403],
  ])('[HTTP-1] the host %j gets %i', async (host, status) => {
    await using server = await testListener({ settings: { trustedHosts: ['slipway.example', '*.lan.example'] } })
    const reply = await send(`${server.url}/hello`, { headers: { host } })
    expect(reply.status).toBe(status)
    if (status === 403) expect(codeOf(reply)).toBe('host.forbidden')
  })

  test('[HTTP-1] on all addresses, bare addresses are its names and other names are not', async () => {
    await using server = await testListener({ settings: { host: '0.0.0.0', apiToken: token } })
    const ask = (host: string) => send(`${server.url}/open`, { headers: { host } }).then(reply => reply.status)
    expect(await Promise.all(['192.168.7.7:80', '[fe80::1]', 'evil.example'].map(ask))).toEqual([200, 200, 403])
  })

  test.each([
    ['POST', 'http://evil.example', 403],
    ['POST', 'null', 403],
    ['POST', 'http://127.0.0.1:1', 403],
    ['GET', 'http://evil.example', 200],
  ])('[HTTP-2] %s from %s gets %i', async (method, origin, status) => {
    await using server = await testListener()
    const reply = await send(`${server.url}/${method === 'GET' ? 'hello' : 'things/1'}`, {
      method,
      headers: { ...json, origin },
      ...(method === 'GET' ? {} : { body: thing }),
    })
    expect(reply.status).toBe(status)
    expect(reply.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('[HTTP-2] the own origin, and programs that send none, may change things', async () => {
    await using server = await testListener()
    const post = (headers: Record<string, string>) =>
      send(`${server.url}/things/1`, { method: 'POST', headers: { ...json, ...headers }, body: thing })
    expect((await post({})).status).toBe(201)
    expect((await post({ origin: server.url })).status).toBe(201)
    expect((await post({ origin: server.url.replace('http', 'https') })).status).toBe(201)
  })

  test('[HTTP-3] a configured origin gets CORS headers and its preflight', async () => {
    const origin = 'https://app.example'
    await using server = await testListener({ settings: { corsOrigins: [origin], apiToken: token } })
    const preflight = await send(`${server.url}/things/1`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })
    expect(preflight).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-headers': expect.stringContaining('authorization') as string,
      },
    })
    const reply = await send(`${server.url}/things/1`, {
      method: 'POST',
      headers: { ...json, origin, authorization: `Bearer ${token}` },
      body: thing,
    })
    expect(reply).toMatchObject({ status: 201, headers: { 'access-control-allow-origin': origin, vary: 'origin' } })
    const other = await send(`${server.url}/things/1`, {
      method: 'OPTIONS',
      headers: { origin: 'https://other.example', 'access-control-request-method': 'POST' },
    })
    expect(codeOf(other)).toBe('origin.forbidden')
  })

  test('[HTTP-4] everything but open routes asks for the token', async () => {
    await using server = await testListener({ settings: { apiToken: token } })
    const ask = async (path: string, authorization?: string) =>
      (await send(`${server.url}${path}`, { headers: authorization === undefined ? {} : { authorization } })).status
    expect(await ask('/open')).toBe(200)
    expect(await ask('/hello')).toBe(401)
    expect(await ask('/nothing')).toBe(401)
    expect(await ask('/hello', `Bearer ${token}`)).toBe(200)
    expect(await ask('/hello', `bearer ${token}`)).toBe(200)
    expect(await ask('/hello', `Bearer ${token}x`)).toBe(401)
    expect(await ask('/hello', `Basic ${token}`)).toBe(401)
    expect(await ask('/hello', 'Bearer reader')).toBe(200)
    const refused = await send(`${server.url}/hello`)
    expect(refused.headers['www-authenticate']).toBe('Bearer')
    expect(codeOf(refused)).toBe('auth.required')
    const forbidden = await send(`${server.url}/things/1`, {
      method: 'POST',
      headers: { authorization: 'Bearer reader' },
    })
    expect(forbidden.status).toBe(403)
    expect(codeOf(forbidden)).toBe('auth.forbidden')
  })

  test.each([
    { host: '0.0.0.0' },
    { host: '::' },
    { host: '192.168.1.1' },
    { host: 'example.com' },
    { host: '127.0.0.1.example.com' },
    { corsOrigins: ['*'] },
  ])('[HTTP-6] %j without a token is refused', async settings => {
    await expect(testListener({ settings })).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining('SLIPWAY_API_TOKEN') as string,
    })
  })

  test('[HTTP-11] too many requests are told when to come back', async () => {
    await using server = await testListener({ settings: { rateLimitPerMinute: 3, apiToken: token } })
    const replies = []
    for (let n = 0; n < 4; n++) replies.push(await send(`${server.url}/hello`))
    expect(replies.map(reply => reply.status)).toEqual([401, 401, 401, 429])
    expect(Number(replies[3]?.headers['retry-after'])).toBeGreaterThan(0)
  })
})

describe('requests', () => {
  test('[HTTP-7] all problems are said at once, each with its place', async () => {
    await using server = await testListener()
    const reply = await send(`${server.url}/things/12345678901?limit=9`, {
      method: 'POST',
      headers: json,
      body: '{"size":"x"}',
    })
    expect(reply.status).toBe(400)
    const { error } = JSON.parse(reply.text) as {
      error: { code: string; message: string; details: { path: string }[] }
    }
    expect(error.code).toBe('input.invalid')
    expect(error.details.map(({ path }) => path)).toEqual(['params.id', 'query.limit', 'body.name', 'body.size'])
    for (const { path } of error.details) expect(error.message).toContain(path)
  })

  test('[HTTP-8] a bug says nothing of itself and is in the log under its id', async () => {
    const broken = handle(route(get('/broken')), () => {
      throw new TypeError('the secret reason')
    })
    await using server = await testListener({ handlers: [broken] })
    const reply = await send(`${server.url}/broken`, { headers: { 'x-request-id': 'trace-12345' } })
    expect(reply.status).toBe(500)
    expect(reply.text).not.toContain('secret')
    expect(JSON.parse(reply.text)).toMatchObject({ error: { code: 'internal', correlationId: 'trace-12345' } })
    expect(reply.headers['x-request-id']).toBe('trace-12345')
    expect(server.lines.find(line => line.includes('the secret reason'))).toContain('trace-12345')
  })

  test('[HTTP-8] a known error keeps code, details and provider', async () => {
    const failing = handle(route(get('/failing')), () => {
      throw new AppError('model.unavailable', 'Not now.', { details: { provider: 'demo', status: 529 } })
    })
    await using server = await testListener({ handlers: [failing] })
    const reply = await send(`${server.url}/failing`, { headers: { 'x-request-id': 'bad id\tx' } })
    const id = reply.headers['x-request-id']
    expect(id).toMatch(/^[0-9a-f]{24}$/)
    expect(reply.headers['retry-after']).toBe('1')
    expect(JSON.parse(reply.text)).toEqual({
      error: {
        code: 'model.unavailable',
        message: 'Not now.',
        details: { provider: 'demo', status: 529 },
        provider: 'demo',
        correlationId: id,
      },
    })
  })

  test.each(['/nothing', '/things', '/%zz', '/../etc/passwd'])('[HTTP-9] %s is unknown', async path => {
    await using server = await testListener()
    const socket = connect(server.port, '127.0.0.1')
    socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)
    const text = Buffer.concat((await socket.toArray()) as Buffer[]).toString()
    expect(text).toMatch(/^HTTP\/1\.1 40[04]/)
    expect(text).toMatch(path === '/%zz' ? /input\.invalid/ : /route\.unknown/)
  })

  test.each([
    ['application/json', '{"name":', 400, 'input.invalid'],
    ['application/json', Buffer.from([0x22, 0xff, 0x22]), 400, 'input.invalid'],
    ['application/json', `{"name":"${'x'.repeat(2000)}"}`, 413, 'body.too_large'],
    ['application/x-www-form-urlencoded', 'name=a', 415, 'body.unsupported'],
    ['text/plain', thing, 415, 'body.unsupported'],
    ['application/jsonp', thing, 415, 'body.unsupported'],
  ])('[HTTP-10] a body of type %s (%j) gets %i', async (type, body, status, code) => {
    await using server = await testListener({ settings: { maxBodyBytes: 1000 } })
    const reply = await send(`${server.url}/things/1`, { method: 'POST', headers: { 'content-type': type }, body })
    expect({ status: reply.status, code: codeOf(reply) }).toEqual({ status, code })
  })

  test('[HTTP-10] a body without a length is cut at the limit too', async () => {
    await using server = await testListener({ settings: { maxBodyBytes: 1000 } })
    const reply = await send(`${server.url}/things/1`, {
      method: 'POST',
      headers: { ...json, 'transfer-encoding': 'chunked' },
      body: `{"name":"${'x'.repeat(2000)}"}`,
    })
    expect(codeOf(reply)).toBe('body.too_large')
  })

  test.each([
    'GET /hello HTTP/1.1\r\nhost: loc',
    'POST /things/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
  ])('[HTTP-12] a client that stops after %j is cut off', async head => {
    await using server = await testListener({ times: { headMs: 50, requestMs: 100, checkMs: 20 } })
    const socket = connect(server.port, '127.0.0.1')
    socket.write(head)
    const text = Buffer.concat((await socket.toArray()) as Buffer[]).toString()
    expect(text).toMatch(/^HTTP\/1\.1 408/)
  })

  test('[HTTP-14] the body is there as it was written, and long integers survive', async () => {
    const echo = handle(route({ ...get('/long'), path: '/long' }), () => withHeaders({ n: 12345678901234567890n }, {}))
    await using server = await testListener({ handlers: [echo] })
    const body = '{"name":"a", "size":1.0, "2":1, "1":12345678901234567890}'
    const reply = await send(`${server.url}/things/1`, { method: 'POST', headers: json, body })
    expect(JSON.parse(reply.text)).toEqual({ id: '1', limit: 1, name: 'a', size: 1, bodyText: body })
    expect((await send(`${server.url}/long`)).text).toBe('{"n":12345678901234567890}')
  })

  test('[HTTP-21] an alias and a closing slash answer alike', async () => {
    await using server = await testListener()
    for (const path of ['/hello', '/hi', '/hello/'])
      expect((await send(server.url + path)).text).toBe('{"hello":"world"}')
  })

  test('[HTTP-22] a handler hears that its client has gone', async () => {
    const heard = Promise.withResolvers<AbortSignal>()
    const waiting = handle(route(get('/wait')), ({ signal }) => {
      heard.resolve(signal)
      return new Promise(() => undefined)
    })
    await using server = await testListener({ handlers: [waiting] })
    const client = connect(server.port, '127.0.0.1')
    client.write('GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const signal = await heard.promise
    expect(signal.aborted).toBe(false)
    client.destroy()
    if (!signal.aborted) await once(signal, 'abort')
    expect(signal.reason).toMatchObject({ code: 'cancelled' })
  })
})

describe('replies', () => {
  test('[HTTP-13] pages of others can neither frame, sniff nor embed a reply', async () => {
    const file = handle(route({ ...get('/file'), replyMedia: 'binary' }), () =>
      fileReply({ stream: Readable.from('<script>'), name: 'a "b"\r\nü.html', size: 8 }),
    )
    await using server = await testListener({ handlers: [file] })
    const secure = {
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    }
    for (const path of ['/hello', '/nothing']) expect((await send(server.url + path)).headers).toMatchObject(secure)
    const reply = await send(`${server.url}/file`)
    expect(reply.text).toBe('<script>')
    expect(reply.headers).toMatchObject({
      ...secure,
      'content-type': 'application/octet-stream',
      'content-length': '8',
      'content-disposition': `attachment; filename="a_b_html"; filename*=UTF-8''a%20%22b%22%0D%0A%C3%BC.html`.replace(
        'a_b_html',
        'a_b_.html',
      ),
    })
    expect(reply.headers['content-security-policy']).toContain('sandbox')
  })

  test('[HTTP-15] the next page keeps the query', async () => {
    const list = handle(
      route({ ...get('/list'), query: z.object({ after: z.string().optional(), q: z.string() }) }),
      ({ url, query }) => page([1], { url, next: query.after === undefined ? 'a b' : null }),
    )
    await using server = await testListener({ handlers: [list] })
    expect((await send(`${server.url}/list?q=%C3%BC`)).headers['link']).toBe('</list?q=%C3%BC&after=a+b>; rel="next"')
    expect((await send(`${server.url}/list?q=1&after=x`)).headers['link']).toBeUndefined()
  })

  test('[HTTP-19] an event stream sends each message and ends', async () => {
    const stream = handle(route({ ...get('/events'), replyMedia: 'event-stream' }), () =>
      eventStream(Readable.from([{ id: 1, event: 'a', data: { x: 'line\nbreak' } }, { data: 2 }])),
    )
    await using server = await testListener({ handlers: [stream] })
    const reply = await send(`${server.url}/events`)
    expect(reply.headers['content-type']).toContain('text/event-stream')
    expect(reply.headers['x-content-type-options']).toBe('nosniff')
    expect(reply.text).toBe('id: 1\nevent: a\ndata: {"x":"line\\nbreak"}\n\ndata: 2\n\n')
  })

  test('[HTTP-18] a stop ends streams and lets requests finish', async () => {
    const begun = Promise.withResolvers<void>()
    const slow = handle(route(get('/slow')), async () => {
      begun.resolve()
      await sleep(100)
      return { done: true }
    })
    const endless = handle(route({ ...get('/endless'), replyMedia: 'event-stream' }), ({ signal }) =>
      eventStream(
        (async function* () {
          yield { data: 1 }
          await sleep(60_000, signal)
        })(),
      ),
    )
    await using server = await testListener({ handlers: [slow, endless] })
    const stream = await fetch(`${server.url}/endless`)
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe('data: 1\n\n')
    const reply = send(`${server.url}/slow`)
    await begun.promise
    await server.stop(5_000)
    expect((await reply).text).toBe('{"done":true}')
    const last = Buffer.from((await reader.read()).value ?? []).toString()
    expect(last).toBe('event: closing\ndata: {"event":"closing","reason":"server_stopping"}\n\n')
    expect((await reader.read()).done).toBe(true)
    await expect(send(`${server.url}/hello`)).rejects.toThrow()
  })
})
