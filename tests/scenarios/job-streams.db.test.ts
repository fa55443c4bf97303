import { once } from 'node:events'
import { followJob } from '@slipway/sdk/job-stream'
import type { StreamFrame } from '@slipway/protocol/jobs'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { bytes, onServers, openJobBed, openStream } from '../testbed/job-bed.ts'
import { echoPlan, personPlan } from '../testbed/small-plans.ts'

const results = 'arqonbus.genesis.result.v1'
const pieces = 'arqonbus.genesis.piece.v1'

const soon = { timeout: 20_000 }

function refOf(job: { readonly id: string; readonly fence: number }) {
  return { jobId: job.id, fence: job.fence, organisation: null }
}

function kinds(frames: readonly StreamFrame[]): string[] {
  return frames.map(({ type, payload }) => {
    const { kind, status } = payload as { readonly kind?: string; readonly status?: string }
    return `${type} ${kind ?? status ?? ''}`.trim()
  })
}

function numbered(frames: readonly StreamFrame[]): StreamFrame[] {
  return frames.filter(({ n }) => n !== undefined)
}

onServers('the stream of a job', open => {
  test('[JOBS-17] status, log, pieces, progress and the result, and then it closes', async () => {
    await using bed = await open()
    const { jobId } = await bed.client.jobs.submit('genesis')
    await using stream = await openStream(bed.server.url, jobId)
    const { frames } = stream
    await expect.poll(() => kinds(frames), soon).toEqual(['status queued'])
    const job = await bed.lease('genesis')
    await expect.poll(() => kinds(frames).at(-1), soon).toBe('status running')
    await bed.spine.jobs.heartbeat(refOf(job), { lines: ['one', 'two'] })
    await expect.poll(() => kinds(frames).filter(kind => kind === 'log line').length, soon).toBe(2)
    await bed.spine.jobs.append(refOf(job), {
      schema: pieces,
      payloads: [bytes({ token: 'a' }), bytes({ token: 'b' })],
    })
    await expect.poll(() => kinds(frames).filter(kind => kind === 'log stream_chunk').length, soon).toBe(2)
    await bed.spine.jobs.heartbeat(refOf(job), { progress: 'nearly' })
    await expect.poll(() => frames.at(-1), soon).toMatchObject({ type: 'status', payload: { progress: 'nearly' } })
    await bed.spine.jobs.ack(refOf(job), { schema: results, payload: bytes({ ok: true }) })
    expect(await stream.closed).toEqual([1000, 'finished'])
    expect(kinds(frames).filter(kind => kind.startsWith('log'))).toEqual([
      'log line',
      'log line',
      'log stream_start',
      'log stream_chunk',
      'log stream_chunk',
      'log stream_end',
    ])
    expect(frames.find(({ type }) => type === 'log')).toMatchObject({ n: '0.1', payload: { text: 'one', attempt: 1 } })
    expect(frames.at(-1)).toMatchObject({
      type: 'result',
      payload: { jobId, status: 'succeeded', schema: results, payload: { ok: true } },
    })
    for (const { ts } of frames) expect(new Date(ts).toISOString()).toBe(ts)
  })

  test('[JOBS-17] [SDK-20] a job that has failed ends with its error, also for whoever comes late', async () => {
    await using bed = await open()
    const { jobId } = await bed.client.jobs.submit('genesis', { maxAttempts: 1 })
    const live = Array.fromAsync(followJob(bed.client, jobId))
    const job = await bed.lease('genesis')
    await bed.spine.jobs.nack(refOf(job), { reason: 'No such gene.', isRetryable: true })
    const error = { ended: true, jobId, status: 'failed', code: 'dead', message: 'No such gene.' }
    expect((await live).at(-1)).toMatchObject({ type: 'error', payload: error })
    expect(await Array.fromAsync(followJob(bed.client, jobId))).toMatchObject([
      { type: 'status' },
      { type: 'error', payload: error },
    ])
    await expect(Array.fromAsync(followJob(bed.client, 'nothing'))).rejects.toMatchObject({ code: 'job.unknown' })
  })

  test('[JOBS-18] from every number what is behind it, without a gap or a repetition', async () => {
    await using bed = await open()
    const { jobId } = await bed.client.jobs.submit('genesis')
    const job = await bed.lease('genesis')
    const live = Array.fromAsync(followJob(bed.client, jobId))
    for (let round = 0; round < 5; round++) {
      await bed.spine.jobs.heartbeat(refOf(job), { lines: [`line ${round}`] })
      await bed.spine.jobs.append(refOf(job), { schema: pieces, payloads: [bytes(round)] })
    }
    await bed.spine.jobs.ack(refOf(job), { schema: results, payload: bytes(1) })
    const all = numbered(await live)
    const told = (frames: readonly StreamFrame[]): string[] =>
      frames.map(({ payload }) => JSON.stringify(payload)).sort()
    expect(new Set(told(all)).size).toBe(5 + 7)
    for (const [at, { n = '' }] of all.entries()) {
      const rest = numbered(await Array.fromAsync(followJob(bed.client, jobId, { after: n })))
      expect(told(rest)).toEqual(told(all.slice(at + 1)))
    }
    const refused = new WebSocket(`${bed.server.url.replace('http', 'ws')}/v1/stream/${jobId}?after=x`)
    refused.on('error', () => undefined)
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode?: number }]
    refused.terminate()
    expect(response.statusCode).toBe(400)
  })

  test('[JOBS-19] [JOBS-20] heartbeats while nothing happens, and the reason when the server stops', async () => {
    await using bed = await open({ settings: { streamHeartbeatMs: 100 } })
    const { jobId } = await bed.client.jobs.submit('genesis')
    await using stream = await openStream(bed.server.url, jobId)
    await expect.poll(() => kinds(stream.frames).slice(0, 3), soon).toEqual(['status queued', 'heartbeat', 'heartbeat'])
    await bed.server.stop('test')
    expect(await stream.closed).toEqual([1001, 'server_stopping'])
    expect(stream.frames.at(-1)).toMatchObject({ type: 'error', payload: { ended: false, code: 'server.stopping' } })
  })

  test('[JOBS-20] [JOBS-22] a token that ends, and a job of others', async () => {
    const operator = 'the-token-of-the-operator'
    await using bed = await open({ settings: { apiToken: operator } })
    const { url } = bed.server
    const call = async (
      method: string,
      path: string,
      token: string,
      body?: object,
    ): Promise<Record<string, string>> => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const response = await fetch(url + path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      return (await response.json()) as Record<string, string>
    }
    const make = async (organisation: string) =>
      call('POST', '/api/tokens', operator, { name: 'x', organisation, scopes: ['read:jobs', 'write:jobs'] })
    const [own, rival] = [await make('own'), await make('rival')]
    const { jobId = '' } = await call('POST', '/v1/jobs', own['token'] ?? '', { type: 'genesis' })
    await using strange = await openStream(url, jobId, { token: rival['token'] ?? '' })
    expect(await strange.closed).toEqual([4404, 'unknown_job'])
    expect(strange.frames).toMatchObject([{ type: 'error', payload: { ended: false, code: 'job.unknown' } }])
    await using stream = await openStream(url, jobId, { token: own['token'] ?? '' })
    await expect.poll(() => stream.frames.length, soon).toBe(1)
    await call('DELETE', `/api/tokens/${own['id'] ?? ''}`, operator)
    expect(await stream.closed).toEqual([4401, 'unauthorized'])
    expect(stream.frames.at(-1)).toMatchObject({ type: 'error', payload: { ended: false, code: 'auth.required' } })
  })

  test('[JOBS-21] the stream of a run: its events by their numbers, and its result', async () => {
    await using bed = await open()
    const { client } = bed
    await client.deploy(echoPlan('echo'))
    const payload = { plan_id: 'echo', inputs: { spoken_word: 'a' } }
    const { jobId } = await client.jobs.submit('plan', { payload })
    const frames = await Array.fromAsync(followJob(client, jobId))
    const events = await bed.events(jobId)
    expect(frames[0]).toMatchObject({ type: 'status', payload: { jobId, type: 'plan' } })
    expect(numbered(frames).map(({ n, payload: told }) => [n, (told as { event: string }).event])).toEqual(
      events.map(({ seq, event }) => [String(seq), event]),
    )
    expect(frames.at(-1)).toMatchObject({ type: 'result', payload: { payload: await client.result(jobId) } })
    const rest = await Array.fromAsync(followJob(client, jobId, { after: '3' }))
    expect(numbered(rest).map(({ n }) => n)).toEqual(events.slice(3).map(({ seq }) => String(seq)))
    await client.deploy(personPlan('ask'))
    const { run_id: asking } = await client.startRun('ask', { inputs: { question: 'Now?' } })
    const cancelled = Array.fromAsync(followJob(client, asking))
    await expect.poll(async () => (await client.jobs.get(asking)).status, soon).toBe('waiting')
    await client.jobs.cancel(asking)
    expect((await cancelled).at(-1)).toMatchObject({ type: 'error', payload: { ended: true, status: 'cancelled' } })
  })
})

describe('a slow reader', () => {
  test('[JOBS-20] is cut and told, and another one gets everything', async () => {
    await using bed = await openJobBed()
    const { jobId } = await bed.client.jobs.submit('genesis')
    const job = await bed.lease('genesis')
    await using slow = await openStream(bed.server.url, jobId)
    await using quick = await openStream(bed.server.url, jobId)
    await expect.poll(() => slow.frames.length, soon).toBeGreaterThan(0)
    slow.socket.pause()
    const rounds = 60
    for (let round = 0; round < rounds; round++)
      await bed.spine.jobs.append(refOf(job), { schema: pieces, payloads: [bytes('x'.repeat(900_000))] })
    await bed.spine.jobs.ack(refOf(job), { schema: results, payload: bytes(1) })
    expect(await quick.closed).toEqual([1000, 'finished'])
    expect(kinds(quick.frames).filter(kind => kind === 'log stream_chunk')).toHaveLength(rounds)
    slow.socket.resume()
    expect(await slow.closed).toEqual([4008, 'slow_reader'])
    expect(slow.frames.at(-1)).toMatchObject({ type: 'error', payload: { ended: false, code: 'reader.slow' } })
  })
})
