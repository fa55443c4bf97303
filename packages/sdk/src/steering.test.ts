import { openAsBlob } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { describe, expect, test, vi } from 'vitest'
import { createClient, type Client } from './client.ts'

interface Sent {
  readonly method: string | undefined
  readonly path: string
  readonly body: unknown
}

const addressOf = (url: string | URL | Request): string => (url instanceof Request ? url.url : url.toString())

/** Replies that no route agreed on: what is looked at is the request. */
async function sent(act: (client: Client) => Promise<unknown>): Promise<Sent> {
  let seen: Sent | undefined
  const fake: typeof fetch = (url, init) => {
    const body = typeof init?.body === 'string' ? parseJson(init.body) : init?.body
    seen = { method: init?.method, path: decodeURIComponent(addressOf(url).slice('http://server'.length)), body }
    return Promise.resolve(new Response('"odd"', { status: 200 }))
  }
  await act(createClient({ url: 'http://server', fetch: fake })).catch(() => null)
  return seen as Sent
}

describe('requests', () => {
  test.each<[string, (client: Client) => Promise<unknown>, unknown?]>([
    [
      'GET /api/checkpoints/r?limit=5&order=desc&cycle=2',
      c => c.checkpoints('r', { limit: 5, order: 'desc', cycle: 2 }),
    ],
    ['POST /api/checkpoints/r/resume', c => c.resumeCheckpoint('r', { step: 3 }), { step: 3 }],
    [
      'POST /api/checkpoints/r/fork',
      c => c.fork('r', { step: 3, plan_id: 'other', mode: 'PATCH', overrides: { '{a}': 1 } }),
      { step: 3, plan_id: 'other', mode: 'PATCH', overrides: { '{a}': 1 } },
    ],
    [
      'POST /api/tokens',
      c => c.createToken({ name: 'n', scopes: ['read:jobs'] }),
      { name: 'n', scopes: ['read:jobs'] },
    ],
    ['GET /api/tokens?organisation=o&limit=5', c => c.tokens({ organisation: 'o', limit: 5 })],
    ['DELETE /api/tokens/0011223344556677', c => c.revokeToken('0011223344556677')],
    ['GET /api/me', c => c.me()],
    ['GET /api/runs/a/diff/b?limit=7', c => c.diff('a', 'b', { limit: 7 })],
    ['GET /api/runs/r/breakpoints', c => c.breakpoints('r')],
    ['POST /api/runs/r/breakpoints', c => c.setBreakpoint('r', '1.2'), { flow_index: '1.2' }],
    ['DELETE /api/runs/r/breakpoints/1.2', c => c.clearBreakpoint('r', '1.2')],
    ['DELETE /api/runs/r/breakpoints', c => c.clearBreakpoints('r')],
    ['POST /api/runs/r/step', c => c.step('r')],
    ['POST /api/runs/r/run-to/1.2', c => c.runTo('r', '1.2')],
    [
      'POST /api/runs/r/override/{a b}',
      c => c.override('r', '{a b}', { value: [1], axes: ['x'], rerunDependents: true }),
      { new_value: [1], axes: ['x'], rerun_dependents: true },
    ],
    [
      'POST /api/runs/r/override/{a}',
      c => c.override('r', '{a}', { value: null }),
      { new_value: null, rerun_dependents: false },
    ],
    ['POST /api/runs/r/rerun-from/1', c => c.rerunFrom('r', '1')],
    [
      'POST /api/runs/r/modify-function/1',
      c => c.modifyFunction('r', '1', { prompt: 'p', retry: true }),
      { prompt: 'p', retry: true },
    ],
    ['GET /api/runs/r/commands', c => c.commands('r')],
    ['GET /api/runs/r/references?step=4', c => c.references('r', { step: 4 })],
    [
      'GET /api/runs/r/reference/{a}?at=x:0&at=y:2&offset=1,2&limit=3,4',
      c => c.reference('r', '{a}', { at: { x: 0, y: 2 }, offset: [1, 2], limit: [3, 4] }),
    ],
    ['GET /api/runs/r/reference/{a}/history?after=9', c => c.referenceHistory('r', '{a}', { after: 9 })],
    ['GET /api/runs/r/steps?flow_index=1', c => c.steps('r', { flow_index: '1' })],
    ['GET /api/runs/r/flow/1.2/history', c => c.flowHistory('r', '1.2')],
    ['GET /api/runs/r/logs?level=warning', c => c.logs('r', { level: 'warning' })],
    ['GET /api/runs/r/dependents/{a}', c => c.dependents('r', '{a}')],
    ['GET /api/runs/r/descendants/1', c => c.descendants('r', '1')],
    ['GET /api/inputs/i', c => c.input('i')],
    ['POST /api/inputs/i/cancel', c => c.cancelInput('i', { reason: 'no' }), { reason: 'no' }],
    ['DELETE /api/runs/r', c => c.deleteRun('r')],
    [
      'POST /api/runs/prune',
      c => c.pruneRuns({ olderThanDays: 3, dryRun: true }),
      { older_than_days: 3, dry_run: true },
    ],
  ])('[SDK-10] %s', async (line, act, body) => {
    const { method, path, body: given } = await sent(act)
    expect(`${method} ${path}`).toBe(line)
    expect(given).toEqual(body)
  })

  test('[SDK-12] files go under their names, from memory and from disk', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-sdk-'))
    try {
      const path = join(folder, 'big.bin')
      await writeFile(path, 'from disk')
      const files = [
        { name: 'a ü.txt', content: new TextEncoder().encode('from memory') },
        { name: 'big.bin', content: await openAsBlob(path) },
      ]
      const upload = await sent(c => c.uploadInput('i', files))
      expect(upload).toMatchObject({ method: 'POST', path: '/api/inputs/i/upload' })
      const parts = (upload.body as FormData).getAll('file') as File[]
      expect(parts.map(part => part.name)).toEqual(['a ü.txt', 'big.bin'])
      expect(await Promise.all(parts.map(part => part.text()))).toEqual(['from memory', 'from disk'])
      const taken = await sent(c => c.importRun(new Uint8Array([1, 2])))
      expect(taken.path).toBe('/api/runs/import')
      expect([...(taken.body as FormData).values()]).toHaveLength(1)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

describe('replies', () => {
  const question = (n: number): object => ({
    input_id: `in_${n}`,
    run_id: 'r',
    plan_id: 'p',
    flow_index: '1',
    type: 'simple_text',
    prompt: '?',
    initial_text: null,
    asked_at: '2026-01-01T00:00:00.000Z',
    expires_at: null,
  })

  test('[SDK-13] open questions come from all pages', async () => {
    const fake: typeof fetch = url => {
      const after = new URL(addressOf(url)).searchParams.get('after')
      const headers = after === null ? { link: '</api/inputs?after=x>; rel="next"' } : {}
      return Promise.resolve(new Response(JSON.stringify([question(after === null ? 1 : 2)]), { headers }))
    }
    const found = await createClient({ url: 'http://server', fetch: fake }).inputs()
    expect(found.map(({ input_id }) => input_id)).toEqual(['in_1', 'in_2'])
  })

  const streaming = (body: ReadableStream<Uint8Array>, timeoutMs = 1000): Promise<ReadableStream<Uint8Array>> =>
    createClient({ url: 'http://server', fetch: () => Promise.resolve(new Response(body)) }).exportRun('r', {
      timeoutMs,
    })

  test('[SDK-11] an export arrives piece by piece', async () => {
    const pieces = ['one', 'two', 'three'].map(text => new TextEncoder().encode(text))
    const body = await streaming(ReadableStream.from(pieces))
    expect(await new Response(body).text()).toBe('onetwothree')
  })

  test('[SDK-11] a connection that breaks on the way is an error', async () => {
    const body = await streaming(
      new ReadableStream({
        start: controller => controller.enqueue(new Uint8Array([1])),
        pull: controller => controller.error(new TypeError('terminated')),
      }),
    )
    await expect(new Response(body).bytes()).rejects.toMatchObject({ code: 'server.unreachable' })
  })

  /** A body that the test writes, and that breaks when its request is aborted, as one of the network does. */
  function dripping(): {
    readonly fetch: typeof fetch
    readonly write: (text: string) => void
    readonly end: () => void
  } {
    let body: ReadableStreamDefaultController<Uint8Array> | undefined
    const drip: typeof fetch = (_url, init) => {
      const stream = new ReadableStream<Uint8Array>({ start: controller => void (body = controller) })
      init?.signal?.addEventListener('abort', () => body?.error(new TypeError('terminated')))
      return Promise.resolve(new Response(stream))
    }
    return { fetch: drip, write: text => body?.enqueue(new TextEncoder().encode(text)), end: () => body?.close() }
  }

  test('[SDK-11] no time limit cuts an export while bytes come; silence does', async () => {
    vi.useFakeTimers()
    try {
      const drip = dripping()
      const client = createClient({ url: 'http://server', fetch: drip.fetch, timeoutMs: 1000 })
      const whole = new Response(await client.exportRun('r')).text()
      for (const text of ['a', 'b', 'c', 'd']) {
        drip.write(text)
        await vi.advanceTimersByTimeAsync(900)
      }
      drip.end()
      expect(await whole).toBe('abcd')
      const cut = new Response(await client.exportRun('r')).text()
      const refused = expect(cut).rejects.toMatchObject({ code: 'server.unreachable' })
      drip.write('a')
      await vi.advanceTimersByTimeAsync(1100)
      await refused
    } finally {
      vi.useRealTimers()
    }
  })

  test('[SDK-11] a refused export rejects before there is a stream', async () => {
    const error = { code: 'run.state', message: 'It is running.', correlationId: 'c' }
    const fake: typeof fetch = () => Promise.resolve(new Response(JSON.stringify({ error }), { status: 409 }))
    const client = createClient({ url: 'http://server', fetch: fake })
    await expect(client.exportRun('r')).rejects.toMatchObject({ code: 'run.state' })
  })
})
