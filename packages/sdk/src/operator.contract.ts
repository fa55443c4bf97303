import { setTimeout as sleep } from 'node:timers/promises'
import { createServer, connect, type Socket } from 'node:net'
import { parseJson } from '@slipway/kit/json'
import type { RunningServer } from '@slipway/server/app/start-server'
import { testServer } from '@slipway/server/app/testing'
import type { Settings } from '@slipway/protocol/settings'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { openWire } from '../../../tests/testbed/slipway.ts'
import { connectOperator, type Operator, type OperatorOptions } from './operator.ts'
import { PermanentFailure } from './operator-job.ts'

const Job = z.object({ n: z.number() })
const types = { input: Job }

export interface Carrier {
  readonly settings: Partial<Settings>
  readonly token: string | undefined
  /** Where operators connect. */
  readonly urlOf: (server: RunningServer) => string
}

/** What an operator of the SDK does, whatever takes its frames to the server. */
export function operatorContract(over: Carrier): void {
  test('[SDK-30] does jobs, typed by their schemas', async () => {
    const bed = await open(over)
    bed.operator().subscribe('sum.jobs', ({ n }, { attempt }) => ({ twice: n * 2, attempt }), types)
    const jobId = await bed.submit({ n: 21 })
    expect(await bed.end(jobId)).toMatchObject({ state: 'done', result: { twice: 42, attempt: 1 } })
    const wrong = await bed.submit({ n: 'many' })
    expect(await bed.end(wrong)).toMatchObject({
      state: 'dead',
      reason: expect.stringContaining('The payload') as string,
    })
  })

  test('[SDK-31] tells failures that may be repeated from those that may not', async () => {
    const bed = await open(over)
    bed.operator().subscribe(
      'sum.jobs',
      ({ n }, { attempt }) => {
        if (n === 0) throw new PermanentFailure('Nothing to do.')
        if (attempt === 1) throw new Error('Not now.')
        return attempt
      },
      types,
    )
    expect(await bed.end(await bed.submit({ n: 1 }))).toMatchObject({ state: 'done', result: 2 })
    expect(await bed.end(await bed.submit({ n: 0 }))).toMatchObject({
      state: 'dead',
      reason: 'Nothing to do.',
      attempts: 1,
    })
  })

  test('[SDK-32] tells progress, log and stream before the end', async () => {
    const bed = await open(over)
    bed.operator().subscribe('sum.jobs', async (_payload, job) => {
      job.progress({ part: 1 })
      job.log('begun')
      for (let piece = 1; piece <= 3; piece++) await job.stream({ piece })
      job.log('streamed')
      return 'end'
    })
    const jobId = await bed.submit({})
    const { pieces } = await bed.end(jobId)
    expect(pieces).toEqual([{ piece: 1 }, { piece: 2 }, { piece: 3 }])
    const { jobs } = bed.server.context.spine
    expect((await jobs.logs('default', jobId)).map(({ text }) => text)).toEqual(['begun', 'streamed'])
    expect(await jobs.get('default', jobId)).toMatchObject({ progress: '{"part":1}' })
  })

  test('[SDK-33] aborts the signal of a cancelled job', async () => {
    const bed = await open(over)
    const begun = Promise.withResolvers<void>()
    const reason = Promise.withResolvers<string>()
    bed.operator().subscribe('sum.jobs', async (_payload, { signal }) => {
      begun.resolve()
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
      reason.resolve((signal.reason as Error).message)
      signal.throwIfAborted()
    })
    const jobId = await bed.submit({})
    await begun.promise
    await bed.server.context.spine.jobs.cancel('default', jobId, 'Nobody needs it.')
    expect(await reason.promise).toBe('Nobody needs it.')
    expect(await bed.end(jobId)).toMatchObject({ state: 'cancelled' })
  })

  test('[SDK-34] has no more jobs at a time than it takes', async () => {
    const bed = await open(over)
    let running = 0
    let most = 0
    const work = async (): Promise<void> => {
      running += 1
      most = Math.max(most, running)
      await sleep(10)
      running -= 1
    }
    bed.operator({ maxParallelJobs: 3 }).subscribe('sum.jobs', work)
    const ids = await Promise.all(Array.from({ length: 20 }, () => bed.submit({})))
    for (const id of ids) expect(await bed.end(id)).toMatchObject({ state: 'done' })
    expect(most).toBeLessThanOrEqual(3)
    expect(most).toBeGreaterThan(1)
  })

  test('[SDK-35] comes back after its connection broke, and goes on', async () => {
    const bed = await open(over)
    const wire = await breakable(bed.url)
    const go = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const states: string[] = []
    const operator = bed.operator({ onState: ({ type }) => states.push(type) }, wire.url)
    operator.subscribe('sum.jobs', async (_payload, job) => {
      await job.stream('before')
      begun.resolve()
      await go.promise
      await job.stream('behind')
      return 'whole'
    })
    const jobId = await bed.submit({})
    await begun.promise
    wire.cut()
    go.resolve()
    expect(await bed.end(jobId)).toMatchObject({
      state: 'done',
      attempts: 1,
      result: 'whole',
      pieces: ['before', 'behind'],
    })
    expect(states).toEqual(['connected', 'reconnecting', 'connected'])
  })

  test('[SDK-40] comes back when it no longer hears the server, and was not gone', async () => {
    const bed = await open(over, { operatorStaleSeconds: 2 })
    await using wire = await openWire(bed.url)
    const go = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const states: string[] = []
    const onState: OperatorOptions['onState'] = state => {
      states.push(state.type)
      if (state.type === 'reconnecting') wire.mend()
    }
    const place = wire.url.replace('http:', new URL(bed.url).protocol)
    const operator = bed.operator({ onState, timeoutMs: 2_000 }, place)
    let handOuts = 0
    operator.subscribe('sum.jobs', async () => {
      handOuts += 1
      begun.resolve()
      await go.promise
      return 'whole'
    })
    const jobId = await bed.submit({})
    await begun.promise
    wire.stall()
    await expect.poll(() => states, { timeout: 20_000 }).toEqual(['connected', 'reconnecting', 'connected'])
    const { jobs } = bed.server.context.spine
    expect(await jobs.get('default', jobId)).toMatchObject({ state: 'leased', attempts: 1 })
    go.resolve()
    expect(await bed.end(jobId)).toMatchObject({ state: 'done', attempts: 1, result: 'whole' })
    expect(handOuts).toBe(1)
  })

  test('[SDK-36] drains, or gives back what it has', async () => {
    const bed = await open(over)
    const go = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    const first = bed.operator({ maxParallelJobs: 1 })
    first.subscribe('sum.jobs', async () => {
      begun.resolve()
      await go.promise
    })
    const [held, waiting] = [await bed.submit({}), await bed.submit({})]
    await begun.promise
    const drained = first.drain()
    const { operators } = bed.server.context
    await expect.poll(async () => (await operators.list(admin))[0]?.status).toBe('draining')
    go.resolve()
    await drained
    expect(await bed.end(held)).toMatchObject({ state: 'done' })
    expect(await bed.server.context.spine.jobs.get('default', waiting)).toMatchObject({ state: 'ready' })
    const again = Promise.withResolvers<void>()
    const second = bed.operator({ maxParallelJobs: 1 })
    second.subscribe('sum.jobs', async (_payload, { signal }) => {
      again.resolve()
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
    })
    await again.promise
    await second.close()
    await expect
      .poll(() => bed.server.context.spine.jobs.get('default', waiting))
      .toMatchObject({ state: 'ready', attempts: 0 })
  })

  test('[SDK-37] ends where it cannot go on', async () => {
    const bed = await open(over, { apiToken: 'operator-token-of-16' })
    const nobody = connectOperator(bed.url, 'slw_0000000000000000_wrong', { id: 'a', type: 'sum' })
    nobody.subscribe('sum.jobs', () => null)
    await expect(nobody.ended).rejects.toMatchObject({ code: 'auth.required' })
    const refused = connectOperator(bed.url, 'operator-token-of-16', { id: 'a b', type: 'sum' })
    refused.subscribe('sum.jobs', () => null)
    await expect(refused.ended).rejects.toMatchObject({ code: 'input.invalid' })
    const connected = Promise.withResolvers<void>()
    const options = { id: 'a', type: 'sum', onState: () => connected.resolve() }
    const first = connectOperator(bed.url, 'operator-token-of-16', options)
    first.subscribe('sum.jobs', () => null)
    await connected.promise
    await using second = connectOperator(bed.url, 'operator-token-of-16', { id: 'a', type: 'sum' })
    second.subscribe('sum.jobs', () => null)
    await expect(first.ended).rejects.toMatchObject({ message: expect.stringContaining('another') as string })
    expect(() => second.subscribe('third.jobs', () => null)).toThrow(/before the operator connects/)
  })
}

const admin = { organisation: 'default', subject: 'test', scopes: ['admin'], isOperator: false } as const

interface End {
  readonly state: string
  readonly reason: string | null
  readonly attempts: number
  readonly result: unknown
  readonly pieces: readonly unknown[]
}

interface Bed {
  readonly server: RunningServer
  readonly url: string
  readonly operator: (options?: Partial<OperatorOptions>, url?: string) => Operator
  readonly submit: (payload: unknown) => Promise<string>
  readonly end: (jobId: string) => Promise<End>
}

async function open({ settings, token, urlOf }: Carrier, more: Partial<Settings> = {}): Promise<Bed> {
  const server = await testServer({ ...settings, ...more })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const { spine } = server.context
  const url = urlOf(server)
  return {
    server,
    url,
    operator(options = {}, place = url) {
      const operator = connectOperator(place, token, { id: 'sum-1', type: 'sum', ...options })
      onTestFinished(() => operator.close())
      return operator
    },
    async submit(payload) {
      const job = { topic: 'sum.jobs', schema: 'arqonbus.sum.job.v1', backoff: { firstMs: 1, ceilingMs: 1 } }
      const { jobId } = await spine.jobs.publish('default', { ...job, payload: bytes(payload) })
      return jobId
    },
    async end(jobId) {
      const pieces: unknown[] = []
      const signal = AbortSignal.timeout(20_000)
      for await (const delivery of spine.messages.followJob({ organisation: 'default', jobId, after: 0, signal })) {
        if (delivery.type !== 'message') continue
        const { message } = delivery
        if (message.type === 'stream_chunk') pieces.push(read(message.payload))
        if (message.type !== 'job_result') continue
        const { state, reason, attempts } = await spine.jobs.get('default', jobId)
        return { state, reason, attempts, result: read(message.payload), pieces }
      }
      throw new Error('There was no result.')
    },
  }
}

/** The server behind a wire that the test can cut: whoever comes again gets through. */
async function breakable(url: string): Promise<{ readonly url: string; readonly cut: () => void }> {
  const { port, hostname, protocol } = new URL(url)
  const open = new Set<Socket>()
  const wire = createServer(near => {
    const far = connect(Number(port), hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => open.delete(from))
    }
  })
  await new Promise<void>(resolve => wire.listen(0, '127.0.0.1', resolve))
  const cut = (): void => open.forEach(socket => socket.resetAndDestroy())
  onTestFinished(() => {
    cut()
    wire.close()
  })
  const address = wire.address()
  return { url: `${protocol}//127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, cut }
}

function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

function read(payload: Uint8Array): unknown {
  return parseJson(new TextDecoder().decode(payload))
}
