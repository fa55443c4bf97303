import { once } from 'node:events'
import { sleep } from '@slipway/kit/abort'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { z } from 'zod'
import type { FrameSocketRoute } from './frame-sockets.ts'
import { socketRoute, type SocketRoute } from './sockets.ts'
import { testListener } from './testing.ts'

const token = 'a-token-of-good-length'

function socket(open: SocketRoute['open']): SocketRoute {
  return socketRoute({
    path: '/ws/:id',
    scope: 'read:jobs',
    params: z.object({ id: z.string().max(5) }),
    query: z.object({ after: z.coerce.number().int().optional() }),
    open,
  })
}

const patient = socket(async (client, { signal }) => {
  await client.send({ hello: 1 })
  await sleep(60_000, signal)
  return 'finished'
})

interface Ended {
  readonly code: number
  readonly frames: readonly string[]
}

async function listen(client: WebSocket): Promise<Ended> {
  const frames: string[] = []
  client.on('message', data => frames.push((data as Buffer).toString()))
  const [code] = (await once(client, 'close')) as [number]
  return { code, frames }
}

async function refusal(client: WebSocket): Promise<number | undefined> {
  const [, response] = (await once(client, 'unexpected-response')) as [unknown, { statusCode?: number }]
  client.on('error', () => undefined)
  client.terminate()
  return response.statusCode
}

function address(url: string, path = '/ws/1'): string {
  return url.replace('http', 'ws') + path
}

describe('sockets', () => {
  test('[HTTP-2] a page of another site opens none', async () => {
    await using server = await testListener({ sockets: [patient] })
    expect(await refusal(new WebSocket(address(server.url), { origin: 'http://evil.example' }))).toBe(403)
    const own = new WebSocket(address(server.url), { origin: server.url })
    await once(own, 'message')
    own.terminate()
  })

  test('[HTTP-1] nor does a page whose name was made to point here', async () => {
    await using server = await testListener({ sockets: [patient] })
    const headers = { host: 'evil.example', origin: 'http://evil.example' }
    expect(await refusal(new WebSocket(address(server.url), { headers }))).toBe(403)
  })

  test('[HTTP-4] [HTTP-5] the token comes as a header or as the name of a protocol', async () => {
    await using server = await testListener({ sockets: [patient], settings: { apiToken: token } })
    expect(await refusal(new WebSocket(address(server.url)))).toBe(401)
    expect(await refusal(new WebSocket(address(server.url), ['slipway.bearer.wrong']))).toBe(401)
    const byHeader = new WebSocket(address(server.url), { headers: { authorization: `Bearer ${token}` } })
    await once(byHeader, 'open')
    byHeader.terminate()
    const byProtocol = new WebSocket(address(server.url), ['slipway', `slipway.bearer.${encodeURIComponent(token)}`])
    await once(byProtocol, 'open')
    expect(byProtocol.protocol).toBe('slipway')
    byProtocol.terminate()
    const alone = new WebSocket(address(server.url), [`slipway.bearer.${token}`])
    await once(alone, 'open')
    expect(alone.protocol).toBe(`slipway.bearer.${token}`)
    alone.terminate()
  })

  test('[HTTP-16] ping is answered, and what is too large ends the socket', async () => {
    await using server = await testListener({ sockets: [patient] })
    const client = new WebSocket(address(server.url))
    const ended = listen(client)
    await once(client, 'open')
    client.send('ping')
    while (String(((await once(client, 'message')) as unknown[])[0]) !== 'pong') await sleep(1)
    client.send('x'.repeat(70_000))
    expect((await ended).code).toBe(1009)
  })

  test('[HTTP-23] a wrong address is refused before the upgrade', async () => {
    await using server = await testListener({ sockets: [patient] })
    expect(await refusal(new WebSocket(address(server.url, '/ws/123456')))).toBe(400)
    expect(await refusal(new WebSocket(address(server.url, '/ws/1?after=x')))).toBe(400)
    expect(await refusal(new WebSocket(address(server.url, '/nothing')))).toBe(404)
    expect((await fetch(`${server.url}/ws/1`)).status).toBe(404)
  })

  test('[HTTP-17] a reader that takes nothing is cut, and its handler hears of it', async () => {
    const sent = { frames: 0 }
    const over = Promise.withResolvers<unknown>()
    const flood = socket(async client => {
      try {
        for (;;) {
          await client.send({ text: 'x'.repeat(100_000) })
          sent.frames += 1
        }
      } catch (error) {
        over.resolve(error)
        throw error
      }
    })
    await using server = await testListener({ sockets: [flood], times: { stallMs: 100 } })
    const client = new WebSocket(address(server.url))
    await once(client, 'open')
    client.pause()
    expect(await over.promise).toMatchObject({ name: 'Stalled' })
    // What the two systems buffer between them is some megabytes; more would have been memory of the server.
    expect(sent.frames).toBeLessThan(200)
    const ended = listen(client)
    client.resume()
    await ended
  })

  test('[HTTP-27] a client that leaves while something is sent to it is no fault of the server', async () => {
    const over = Promise.withResolvers<void>()
    const talkative = socket(async client => {
      try {
        for (;;) await client.send({ more: 'x'.repeat(100_000) })
      } finally {
        over.resolve()
      }
    })
    await using server = await testListener({ sockets: [talkative] })
    const client = new WebSocket(address(server.url))
    await once(client, 'message')
    client.close()
    await over.promise
    await sleep(20)
    expect(server.lines.filter(line => line.includes('crashed'))).toEqual([])
    client.terminate()
  })

  test.each([
    ['nothing', 0],
    // More than the systems between the two take.
    ['something', 30_000_000],
  ])('[HTTP-28] a client that is not there any more is ended, with %s on its way', async (_what, size) => {
    const over = Promise.withResolvers<unknown>()
    const silent: FrameSocketRoute = {
      path: '/ws/:id',
      scope: 'read:jobs',
      maxFrameBytes: 1024,
      maxWaitingBytes: 100_000_000,
      serve: async (client, { signal }) => {
        if (size > 0) client.send(new Uint8Array(size))
        await sleep(60_000, signal).catch(over.resolve)
        return { code: 1000, reason: 'finished' }
      },
      onTooLarge: () => undefined,
    }
    await using server = await testListener({ sockets: [silent], times: { pingMs: 50, stallMs: 300 } })
    const client = new WebSocket(address(server.url))
    await once(client, 'open')
    client.pause()
    expect(await over.promise).toMatchObject({ message: 'The client has left.' })
    client.terminate()
  })

  test('[HTTP-18] a stop is told in a last frame', async () => {
    await using server = await testListener({ sockets: [patient] })
    const client = new WebSocket(address(server.url))
    const ended = listen(client)
    await once(client, 'message')
    await server.stop()
    expect(await ended).toEqual({
      code: 1001,
      frames: ['{"hello":1}', '{"event":"closing","reason":"server_stopping"}'],
    })
  })

  test('[HTTP-8] a handler that fails closes its socket and is in the log', async () => {
    const broken = socket(() => Promise.reject(new Error('the secret reason')))
    await using server = await testListener({ sockets: [broken] })
    const ended = await listen(new WebSocket(address(server.url)))
    expect(ended).toEqual({ code: 1011, frames: [] })
    expect(server.lines.join('')).toContain('the secret reason')
  })
})
