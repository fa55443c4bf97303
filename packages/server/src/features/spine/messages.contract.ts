import { expect, test } from 'vitest'
import type { Delivery } from './message-log.ts'
import type { OpenSpine } from './spine.contract.ts'
import { bytes, jobSchema, leaseOne, listening, newJob, organisation, read, refOf, result, take } from './testing.ts'

const event = (value: unknown, topic = 'input.assets') =>
  ({ topic, type: 'event', schema: 'arqonbus.input.asset.v1', payload: bytes(value) }) as const

function brief(delivery: Delivery): unknown {
  if (delivery.type === 'cut') return delivery
  const { type, n, status, payload } = delivery.message
  return [type, n ?? null, status ?? null, read(payload)]
}

/** What every implementation of messages and streams promises. */
export function messagesContract(open: OpenSpine): void {
  test('[SPINE-24] a reader gets every message once, from the log and then live', async () => {
    const { spine, db } = await open()
    const signal = AbortSignal.timeout(10_000)
    const first = [...Array(451).keys()].map(value => event(value))
    await db.transaction(tx => spine.messages.publishIn(tx, organisation, first))
    const failing = db.transaction(async tx => {
      await spine.messages.publishIn(tx, organisation, [event('never')])
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    const reading = take(spine.messages.follow({ organisation, topics: ['input.assets'], after: 0, signal }), 460)
    await spine.messages.publish(organisation, event('elsewhere', 'input.audio'))
    for (let value = 451; value < 460; value++) await spine.messages.publish(organisation, event(value))
    const got = await reading
    expect(got.map(delivery => (brief(delivery) as unknown[])[3])).toEqual([...Array(460).keys()])
    const seqs = got.map(delivery => (delivery.type === 'message' ? delivery.message.seq : 0))
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
    const after = seqs[457] ?? 0
    const rest = await take(spine.messages.follow({ organisation, topics: ['input.assets'], after, signal }), 2)
    expect(rest.map(brief)).toEqual(got.slice(458).map(brief))
  })

  test('[SPINE-24] without a number a reader gets what comes from then on', async () => {
    const { spine } = await open()
    await spine.messages.publish(organisation, event('before'))
    const stop = new AbortController()
    const topics = ['input.assets', 'input.audio']
    const reader = spine.messages.follow({ organisation, topics, after: null, signal: stop.signal })
    let isThere = false
    const first = reader.next().finally(() => (isThere = true))
    // From when it is listening is for it to say.
    while (!isThere) await spine.messages.publish(organisation, event('after', 'input.audio'))
    expect((await first).value).toMatchObject({ message: { topic: 'input.audio' } })
    stop.abort()
    expect(await reader.next()).toEqual({ done: true, value: undefined })
  })

  test('[SPINE-25] pieces are numbered over all hand-outs, and a reader gets the end and the result', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, { ...newJob(), backoff: { firstMs: 0, ceilingMs: 0 } })
    const signal = AbortSignal.timeout(10_000)
    const reading = take(spine.messages.followJob({ organisation, jobId, after: 0, signal }), 99)
    const first = await leaseOne(spine)
    expect(await spine.jobs.append(refOf(first), { schema: jobSchema, payloads: [bytes('a'), bytes('b')] })).toBe(3)
    await spine.jobs.nack(refOf(first), { reason: 'again', isRetryable: true })
    const second = await leaseOne(spine)
    expect(second.streamN).toBe(3)
    expect(await spine.jobs.append(refOf(second), { schema: jobSchema, payloads: [bytes('c')] })).toBe(5)
    await spine.jobs.ack(refOf(second), result('end'))
    const start = (attempt: number) => ({ job_id: jobId, attempt, schema: jobSchema })
    const expected = [
      ['stream_start', 1, null, start(1)],
      ['stream_chunk', 2, null, 'a'],
      ['stream_chunk', 3, null, 'b'],
      ['stream_start', 4, null, start(2)],
      ['stream_chunk', 5, null, 'c'],
      ['stream_end', 6, 'done', { job_id: jobId, status: 'done', pieces: 5 }],
      ['job_result', null, 'done', 'end'],
    ]
    expect((await reading).map(brief)).toEqual(expected)
    const later = await take(spine.messages.followJob({ organisation, jobId, after: 4, signal }), 99)
    expect(later.map(brief)).toEqual(expected.slice(4))
  })

  test('[SPINE-25] the stream of a job without pieces is its result', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, newJob())
    const signal = AbortSignal.timeout(10_000)
    const reading = take(spine.messages.followJob({ organisation, jobId, after: 0, signal }), 99)
    await spine.jobs.cancel(organisation, jobId, 'no')
    expect((await reading).map(brief)).toEqual([
      ['job_result', null, 'cancelled', { job_id: jobId, status: 'cancelled', error: 'no' }],
    ])
  })

  test('[SPINE-26] pieces sent twice are there once, and the newest are kept', async () => {
    const { spine } = await open({ bounds: { streamPieces: 3 } })
    const { jobId } = await spine.jobs.publish(organisation, newJob())
    const job = await leaseOne(spine)
    const send = (values: unknown[], after: number) =>
      spine.jobs.append(refOf(job), { schema: jobSchema, payloads: values.map(bytes), after })
    expect(await send(['a', 'b'], 0)).toBe(3)
    expect(await send(['a', 'b'], 0)).toBe(3)
    expect(await send(['c', 'd'], 3)).toBe(5)
    await spine.jobs.ack(refOf(job), result('end'))
    const signal = AbortSignal.timeout(10_000)
    const got = await take(spine.messages.followJob({ organisation, jobId, after: 0, signal }), 99)
    expect(got.map(brief)).toMatchObject([
      ['stream_chunk', 3, null, 'b'],
      ['stream_chunk', 4, null, 'c'],
      ['stream_chunk', 5, null, 'd'],
      ['stream_end', 6, 'done', {}],
      ['job_result', null, 'done', 'end'],
    ])
  })

  test('[SPINE-27] a live reader that does not read is cut, and others are not', async () => {
    const { spine, db } = await open({ bounds: { liveMessages: 5 } })
    await listening(db)
    const signal = AbortSignal.timeout(10_000)
    const follow = (after: number) => spine.messages.follow({ organisation, topics: ['input.assets'], after, signal })
    const slow = follow(0)
    await spine.messages.publish(organisation, event(0))
    await slow.next()
    // Live from here: it asks for more than there is.
    const second = slow.next()
    const quick = take(follow(0), 21)
    await spine.messages.publish(organisation, event(1))
    const got = (await second).value
    const last = got?.type === 'message' ? got.message.seq : 0
    for (let value = 2; value <= 20; value++) await spine.messages.publish(organisation, event(value))
    expect(await take(slow, 99)).toEqual([{ type: 'cut', reason: 'slow_reader', after: last }])
    expect((await quick).map(delivery => (brief(delivery) as unknown[])[3])).toEqual([...Array(21).keys()])
    const resumed = await take(follow(last), 19)
    expect(resumed.map(delivery => (brief(delivery) as unknown[])[3])).toEqual([...Array(19).keys()].map(n => n + 2))
    expect(spine.counts()).toMatchObject({ readersCut: 1 })
  })

  test('[SPINE-27] a slow reader of the log is not cut', async () => {
    const { spine } = await open({ bounds: { liveMessages: 5 } })
    for (let value = 0; value < 10; value++) await spine.messages.publish(organisation, event(value))
    const signal = AbortSignal.timeout(10_000)
    const reader = spine.messages.follow({ organisation, topics: ['input.assets'], after: 0, signal })
    const first = await reader.next()
    for (let value = 10; value < 20; value++) await spine.messages.publish(organisation, event(value))
    const rest = await take(reader, 19)
    expect([first.value, ...rest].map(delivery => delivery && (brief(delivery) as unknown[])[3])).toEqual([
      ...Array(20).keys(),
    ])
  })

  test('[SPINE-28] what belongs to jobs is not published as a message', async () => {
    const { spine } = await open()
    for (const topic of ['genesis.jobs', 'genesis.results', 'genesis.streams', 'nonsense', '.a.b', 'a..b'])
      await expect(spine.messages.publish(organisation, event(1, topic))).rejects.toMatchObject({
        code: 'input.invalid',
      })
    await spine.messages.publish(organisation, { ...event(1, 'system.control.operators'), type: 'control' })
    await expect(spine.jobs.publish(organisation, { ...newJob(), topic: 'system.work.jobs' })).rejects.toMatchObject({
      code: 'input.invalid',
    })
    await expect(spine.jobs.publish(organisation, { ...newJob(), topic: 'genesis.results' })).rejects.toMatchObject({
      code: 'input.invalid',
    })
  })
}
