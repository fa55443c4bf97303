import { AppError } from '@slipway/protocol/errors'
import { describe, expect, test } from 'vitest'
import { createClient } from './client.ts'

function answering(status: number, body: string, headers: Record<string, string> = {}) {
  const requests: { url: string; init: RequestInit | undefined }[] = []
  const fake = (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    requests.push({ url: String(url instanceof Request ? url.url : url), init })
    return Promise.resolve(new Response(body, { status, headers }))
  }
  return { requests, client: createClient({ url: 'http://server/', token: 'secret', fetch: fake }) }
}

const run = {
  run_id: 'run_1',
  plan_id: 'p',
  plan_version: '1',
  plan_digest: `sha256:${'0'.repeat(64)}`,
  status: 'pending',
  mode: 'parallel',
  agent: 'demo',
  max_cycles: 100,
  created_at: '2026-01-01T00:00:00.000Z',
  started_at: null,
  completed_at: null,
  queue_position: 1,
  progress: {
    completed_count: 0,
    total_count: 3,
    failed_count: 0,
    skipped_count: 0,
    execution_count: 0,
    cycle_count: 0,
    current_inference: null,
  },
  held: null,
  forked_from: null,
  deadline_at: null,
  error: null,
}

describe('client', () => {
  test('[SDK-1] an error keeps the code and details of the server', async () => {
    const details = [{ path: 'a', code: 'x' }]
    const error = { code: 'plan.invalid', message: 'The plan has errors.', details, correlationId: 'c' }
    const { client } = answering(422, JSON.stringify({ error }))
    await expect(client.deploy(new Uint8Array([1]))).rejects.toMatchObject({
      code: 'plan.invalid',
      message: 'The plan has errors.',
      details,
    })
  })

  test('[SDK-1] an error that no version knows keeps its name and says where to look', async () => {
    const error = { code: 'later.code', message: 'New.', correlationId: 'abc' }
    const { client } = answering(400, JSON.stringify({ error }))
    await expect(client.plan('x')).rejects.toThrow(/later\.code.*abc/)
  })

  test('[SDK-1] an answer of something that is no Slipway server is an error, not a crash', async () => {
    await expect(answering(502, '<html>').client.plans()).rejects.toBeInstanceOf(AppError)
    await expect(answering(200, '{"hello":1}').client.plans()).rejects.toThrow('agreed form')
  })

  test('[SDK-2] nobody there is server.unreachable and names the address', async () => {
    const client = createClient({ url: 'http://127.0.0.1:9' })
    await expect(client.plans()).rejects.toMatchObject({ code: 'server.unreachable', retryable: true })
    await expect(client.plans()).rejects.toThrow('http://127.0.0.1:9')
  })

  test('[SDK-2] an aborted call rejects with the reason it was given', async () => {
    const reason = new Error('enough')
    const hanging: typeof fetch = (_url, init) =>
      new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    const stop = new AbortController()
    const call = createClient({ url: 'http://server', fetch: hanging }).plans({ signal: stop.signal })
    stop.abort(reason)
    await expect(call).rejects.toBe(reason)
  })

  test('[SDK-2] no answer in time is server.unreachable', async () => {
    const hanging: typeof fetch = (_url, init) =>
      new Promise((_, reject) => init?.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    const client = createClient({ url: 'http://server', fetch: hanging, timeoutMs: 5 })
    await expect(client.plans()).rejects.toMatchObject({ code: 'server.unreachable' })
  })

  test('[SDK-2] an address that is none is refused at once', () => {
    expect(() => createClient({ url: 'localhost' })).toThrow('http://127.0.0.1:8000')
  })

  test('[SDK-3] the Link header names the next page', async () => {
    const link = '</api/runs?limit=1&after=a%2Fb>; rel="next"'
    const { client, requests } = answering(200, JSON.stringify([run]), { link })
    const page = await client.runs({ limit: 1, status: 'pending' })
    expect(page).toMatchObject({ items: [{ run_id: 'run_1' }], next: 'a/b' })
    expect(requests[0]?.url).toBe('http://server/api/runs?limit=1&status=pending')
    expect((await answering(200, '[]').client.runs()).next).toBeNull()
  })

  test('[SDK-4] a large integer goes out and comes back digit by digit', async () => {
    const { client, requests } = answering(201, JSON.stringify(run))
    await client.startRun('p', { inputs: { n: 12345678901234567890n } })
    expect(requests[0]?.init?.body).toContain('12345678901234567890')
    const result =
      '{"run_id":"run_1","plan_id":"p","status":"completed","files":[],"final_concepts":[{"name":"{n}","has_value":true,"axes":[],"shape":[],"data":98765432109876543210,"value":98765432109876543210}]}'
    const { final_concepts: finals } = await answering(200, result).client.result('run_1')
    expect(finals[0]?.value).toBe(98765432109876543210n)
  })

  test('[SDK-1] names in paths are escaped and the token travels as bearer', async () => {
    const { client, requests } = answering(404, '{}')
    await expect(client.runFile('a/../b', 'x y/ü.txt')).rejects.toThrow()
    expect(requests[0]?.url).toBe('http://server/api/runs/a%2F..%2Fb/files/x%20y/%C3%BC.txt')
    expect(requests[0]?.init?.headers).toMatchObject({ authorization: 'Bearer secret' })
  })
})
