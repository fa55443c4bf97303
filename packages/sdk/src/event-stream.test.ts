import { afterEach, expect, test, vi } from 'vitest'
import type { Client } from './client.ts'
import { createClient } from './client.ts'
import { followRun, type ConnectionState } from './event-stream.ts'

/** A server's side of sockets: each connection plays the script that `serve` gives for its address. */
function playing(serve: (url: URL, connection: number) => readonly (object | 'cut' | 'refuse')[]) {
  const urls: string[] = []
  class FakeSocket extends EventTarget {
    static readonly OPEN = 1
    readyState = 0
    constructor(url: string) {
      super()
      urls.push(url)
      const frames = serve(new URL(url), urls.length)
      setTimeout(() => this.#play(frames))
    }
    #play(frames: ReturnType<typeof serve>): void {
      if (frames[0] !== 'refuse') this.dispatchEvent(new Event('open'))
      for (const frame of frames) {
        if (frame === 'cut' || frame === 'refuse') return this.close()
        this.dispatchEvent(Object.assign(new Event('message'), { data: JSON.stringify(frame) }))
      }
    }
    send(): void {}
    close(): void {
      this.readyState = 3
      this.dispatchEvent(Object.assign(new Event('close'), { reason: '' }))
    }
  }
  vi.stubGlobal('WebSocket', FakeSocket)
  return urls
}

const event = (seq: number, name = 'inference:started') => ({ event: name, id: seq + 100, seq, run_id: 'r', ts: seq })
const finished = { event: 'closing', reason: 'finished' }
const connected = { event: 'connected', run_id: 'r', after: 0 }
const client = (status = 503, code = 'server.busy'): Client =>
  createClient({
    url: 'http://server',
    fetch: () =>
      Promise.resolve(new Response(JSON.stringify({ error: { code, message: 'm', correlationId: 'c' } }), { status })),
  })

async function seqs(stream: AsyncIterable<{ seq: number }>): Promise<number[]> {
  const found: number[] = []
  for await (const { seq } of stream) found.push(seq)
  return found
}

afterEach(() => void vi.unstubAllGlobals())

test('[SDK-5] a cut connection goes on behind the last event, without gaps or repeats', async () => {
  const urls = playing((_url, connection) =>
    connection === 1
      ? [connected, event(1), event(2), 'cut']
      : [connected, event(2), event(3), event(4, 'run:completed'), finished],
  )
  const states: ConnectionState['type'][] = []
  const stream = followRun(client(), 'r', { firstDelayMs: 1, onConnection: state => states.push(state.type) })
  expect(await seqs(stream)).toEqual([1, 2, 3, 4])
  expect(urls).toEqual(['ws://server/ws/runs/r?after=0', 'ws://server/ws/runs/r?after=2'])
  expect(states).toEqual(['connected', 'reconnecting', 'connected'])
})

test('[SDK-5] a closing frame that says finished ends the stream', async () => {
  playing(() => [connected, finished, 'cut'])
  expect(await seqs(followRun(client(), 'r', { after: 9 }))).toEqual([])
})

test('[SDK-5] frames that this version does not know are passed over', async () => {
  playing(() => [connected, { event: 'new:thing', seq: 1 }, { odd: true }, event(2, 'run:failed'), finished])
  expect(await seqs(followRun(client(), 'r'))).toEqual([2])
})

test('[SDK-9] a run that goes on after it was over is followed to its last end', async () => {
  const urls = playing((_url, connection) =>
    connection === 1
      ? [connected, event(1, 'run:failed'), event(2, 'execution:partial_reset'), event(3, 'execution:paused'), 'cut']
      : [connected, event(4, 'execution:resumed'), event(5, 'run:completed'), finished],
  )
  expect(await seqs(followRun(client(), 'r', { firstDelayMs: 1 }))).toEqual([1, 2, 3, 4, 5])
  expect(urls[1]).toBe('ws://server/ws/runs/r?after=3')
})

test('[SDK-6] a refused socket is explained by the same request over HTTP', async () => {
  playing(() => ['refuse'])
  await expect(seqs(followRun(client(401, 'auth.required'), 'r'))).rejects.toMatchObject({ code: 'auth.required' })
  await expect(seqs(followRun(client(404, 'run.unknown'), 'r'))).rejects.toMatchObject({ code: 'run.unknown' })
})

test('[SDK-6] after the given number of attempts the server counts as unreachable', async () => {
  const urls = playing(() => ['refuse'])
  const stream = followRun(client(), 'r', { maxAttempts: 2, firstDelayMs: 1 })
  await expect(seqs(stream)).rejects.toMatchObject({ code: 'server.unreachable' })
  expect(urls).toHaveLength(3)
})

test('[SDK-5] an aborted signal ends the stream with its reason', async () => {
  playing(() => [connected, event(1)])
  const stop = new AbortController()
  const reason = new Error('left')
  const stream = followRun(client(), 'r', { signal: stop.signal })
  await stream.next()
  stop.abort(reason)
  await expect(stream.next()).rejects.toBe(reason)
})

test('[SDK-7] what does not fit into memory is asked for again from the last event taken', async () => {
  const all = Array.from({ length: 25_000 }, (_, n) => event(n + 1))
  const last = event(25_001, 'run:completed')
  const urls = playing(url => [connected, ...all.slice(Number(url.searchParams.get('after'))), last, finished])
  const found = await seqs(followRun(client(), 'r', { firstDelayMs: 1 }))
  expect(found).toHaveLength(25_001)
  expect(found.every((seq, n) => seq === n + 1)).toBe(true)
  expect(urls.length).toBeGreaterThan(1)
})
