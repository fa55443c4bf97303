import { expect, test } from 'vitest'
import {
  bytes,
  jobSchema,
  leaseOne,
  newJob,
  organisation,
  read,
  refOf,
  result,
  take,
  topic,
  want,
  type TestSpine,
} from './testing.ts'
import type { DatabaseSpineOptions } from './database-spine.ts'

/** Opens a Spine of its own for each test, with these options over the usual ones. */
export type OpenSpine = (options?: Partial<DatabaseSpineOptions>) => Promise<TestSpine>

/** What every implementation of the queue promises. */
export function queueContract(open: OpenSpine): void {
  test('[SPINE-10] a job goes from publication over a lease to its result', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, { ...newJob({ a: 1 }), trace: { span_id: 's1' } })
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({
      state: 'ready',
      attempts: 0,
      trace: { span_id: 's1' },
    })
    const job = await leaseOne(spine)
    expect(job).toMatchObject({
      id: jobId,
      fence: 1,
      attempt: 1,
      organisation,
      schema: jobSchema,
      trace: { span_id: 's1' },
    })
    expect(read(job.payload)).toEqual({ a: 1 })
    expect(await spine.jobs.lease(want())).toEqual([])
    await spine.jobs.ack(refOf(job), result({ seed: 7 }))
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'done', operator: 'worker', attempts: 1 })
    expect(read((await spine.jobs.result(organisation, jobId))?.payload)).toEqual({ seed: 7 })
    expect(await spine.jobs.queues(organisation)).toMatchObject([{ topic, open: 0, finished: 1, dead: 0 }])
  })

  test('[SPINE-4] a job of a transaction is there exactly when the transaction is', async () => {
    const { spine, db } = await open()
    await expect(
      db.transaction(async tx => {
        await spine.jobs.publishIn(tx, organisation, [newJob()])
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(await spine.jobs.lease(want())).toEqual([])
    const published = await db.transaction(tx => spine.jobs.publishIn(tx, organisation, [newJob(1), newJob(2)]))
    expect((await spine.jobs.lease(want({ max: 5 }))).map(({ id }) => id)).toEqual(published.map(({ jobId }) => jobId))
  })

  test('[SPINE-5] the same idempotency key is the same job, and another content is refused', async () => {
    const { spine } = await open()
    const job = { ...newJob({ a: 1 }), idempotencyKey: 'k' }
    const published = await Promise.all([1, 2, 3].map(() => spine.jobs.publish(organisation, job)))
    expect(new Set(published.map(({ jobId }) => jobId)).size).toBe(1)
    expect(published.filter(({ isNew }) => isNew)).toHaveLength(1)
    await expect(spine.jobs.publish(organisation, { ...job, payload: bytes(2) })).rejects.toMatchObject({
      code: 'job.conflict',
    })
    await expect(spine.jobs.publish(organisation, { ...job, priority: 3 })).rejects.toMatchObject({
      code: 'job.conflict',
    })
    expect((await spine.jobs.publish('other', job)).isNew).toBe(true)
    expect((await spine.jobs.publish(organisation, { ...job, topic: 'other.jobs' })).isNew).toBe(true)
    await spine.jobs.ack(refOf(await leaseOne(spine, { organisation })), result())
    expect(await spine.jobs.publish(organisation, job)).toEqual({ jobId: published[0]?.jobId, isNew: false })
  })

  test('[SPINE-6] a full queue refuses until a job ends, and others are not full', async () => {
    const { spine } = await open({ bounds: { jobsPerQueue: 2, jobs: 4 } })
    const many = await Promise.allSettled([1, 2, 3].map(value => spine.jobs.publish(organisation, newJob(value))))
    expect(many.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    await expect(spine.jobs.publish(organisation, newJob())).rejects.toMatchObject({
      code: 'queue.full',
      retryable: true,
      details: { retryAfterSeconds: 2 },
    })
    await spine.jobs.publish('b', newJob())
    await spine.jobs.publish('c', newJob())
    await expect(spine.jobs.publish('d', newJob())).rejects.toMatchObject({ code: 'queue.full' })
    const job = await leaseOne(spine, { organisation })
    await expect(spine.jobs.publish(organisation, newJob())).rejects.toMatchObject({ code: 'queue.full' })
    await spine.jobs.ack(refOf(job), result())
    await spine.jobs.publish(organisation, newJob())
    expect(spine.counts()).toMatchObject({ refused: 4, published: 5 })
  })

  test('[SPINE-6] a transaction that publishes into a full queue fails as a whole', async () => {
    const { spine, db } = await open({ bounds: { jobsPerQueue: 1 } })
    const publishing = db.transaction(tx => spine.jobs.publishIn(tx, organisation, [newJob(1), newJob(2)]))
    await expect(publishing).rejects.toMatchObject({ code: 'queue.full' })
    expect(await spine.jobs.lease(want())).toEqual([])
    expect(await spine.jobs.queues(organisation)).toEqual([])
  })

  test('[SPINE-7] a delayed job is handed out when its time comes', async () => {
    const { spine, clock } = await open()
    await spine.jobs.publish(organisation, { ...newJob(), delayMs: 1_000 })
    clock.move(999)
    await spine.settle()
    expect(await spine.jobs.lease(want())).toEqual([])
    clock.move(1)
    await spine.settle()
    expect(await spine.jobs.lease(want())).toHaveLength(1)
  })

  test('[SPINE-8] higher priority goes first, and the older of the same', async () => {
    const { spine } = await open()
    for (const [value, priority] of [
      [1, 0],
      [2, 5],
      [3, 0],
      [4, -5],
      [5, 5],
    ] as const)
      await spine.jobs.publish(organisation, { ...newJob(value), priority })
    const jobs = await spine.jobs.lease(want({ max: 10 }))
    expect(jobs.map(({ payload }) => read(payload))).toEqual([2, 5, 1, 3, 4])
  })

  test('[SPINE-9] jobs of an ordering key go one at a time and in order, retries included', async () => {
    const { spine, clock } = await open()
    const ordered = (value: unknown, orderingKey: string) => ({
      ...newJob(value),
      orderingKey,
      backoff: { firstMs: 100, ceilingMs: 100 },
    })
    for (const job of [ordered(1, 'a'), ordered(2, 'a'), ordered(10, 'b'), ordered(3, 'a')])
      await spine.jobs.publish(organisation, job)
    const [one, ten, ...none] = await spine.jobs.lease(want({ max: 10 }))
    expect([read(one?.payload), read(ten?.payload), none.length]).toEqual([1, 10, 0])
    if (!one || !ten) return
    await spine.jobs.nack(refOf(one), { reason: 'no', isRetryable: true })
    expect(await spine.jobs.lease(want({ max: 10 }))).toEqual([])
    clock.move(100)
    await spine.settle()
    const again = await leaseOne(spine, { max: 10 })
    expect(read(again.payload)).toBe(1)
    await spine.jobs.ack(refOf(again), result())
    const two = await leaseOne(spine, { max: 10 })
    expect(read(two.payload)).toBe(2)
    await spine.jobs.nack(refOf(two), { reason: 'never', isRetryable: false })
    expect(read((await leaseOne(spine, { max: 10 })).payload)).toBe(3)
  })

  test('[SPINE-9] a cancelled job lets the next of its key go, and a blocked one is cancelled alone', async () => {
    const { spine } = await open()
    const ids: string[] = []
    for (const value of [1, 2, 3])
      ids.push((await spine.jobs.publish(organisation, { ...newJob(value), orderingKey: 'k' })).jobId)
    const [first = '', second = ''] = ids
    await spine.jobs.cancel(organisation, second)
    expect(await spine.jobs.get(organisation, second)).toMatchObject({ state: 'cancelled' })
    await spine.jobs.cancel(organisation, first)
    expect(read((await leaseOne(spine)).payload)).toBe(3)
  })

  test('[SPINE-11] a request that waits gets a job that is published', async () => {
    const { spine } = await open()
    const waiting = Promise.all([1, 2].map(() => spine.jobs.lease(want({ waitMs: 60_000 }))))
    await spine.jobs.publish(organisation, newJob(1))
    await spine.jobs.publish(organisation, newJob(2))
    const got = (await waiting).flat().map(({ payload }) => read(payload))
    expect(got.sort()).toEqual([1, 2])
  })

  test('[SPINE-10] one job goes to one of those that ask for different topics at the same time', async () => {
    const { spine } = await open()
    await spine.jobs.publish(organisation, newJob())
    const [ours, theirs] = await Promise.all([
      spine.jobs.lease(want({ operator: 'a', organisation })),
      spine.jobs.lease(want({ operator: 'b', organisation, topics: ['nvm.jobs', topic] })),
    ])
    expect([...ours, ...theirs]).toHaveLength(1)
  })

  test('[SPINE-8] jobs that are published together while somebody waits are handed out in their order', async () => {
    const { spine } = await open()
    const waiting = [1, 2, 3].map(() => spine.jobs.lease(want({ organisation, waitMs: 60_000 })))
    const publish = (value: number, priority: number) =>
      spine.jobs.publish(organisation, { ...newJob(value), priority, idempotencyKey: `key ${value}` })
    await Promise.all([publish(1, 0), publish(2, 5), publish(3, 0), publish(4, 5), publish(5, 0), publish(1, 0)])
    const first = (await Promise.all(waiting)).flat()
    expect(first.map(({ payload }) => read(payload)).sort()).toEqual([1, 2, 4])
    const ids = first.map(({ id }) => id)
    for (const id of ids)
      expect(await spine.jobs.get(organisation, id)).toMatchObject({ state: 'leased', attempts: 1, operator: 'worker' })
    const rest = await spine.jobs.lease(want({ organisation, max: 10 }))
    expect(rest.map(({ payload }) => read(payload))).toEqual([3, 5])
    for (const job of [...first, ...rest]) await spine.jobs.ack(refOf(job), result())
    expect(await spine.jobs.queues(organisation)).toMatchObject([{ open: 0, finished: 5 }])
  })

  test('[SPINE-11] a request gets no job after its time, and one that was given up keeps none', async () => {
    const { spine } = await open()
    expect(await spine.jobs.lease(want({ waitMs: 20 }))).toEqual([])
    const stop = new AbortController()
    const waiting = spine.jobs.lease(want({ waitMs: 60_000, signal: stop.signal }))
    const publishing = spine.jobs.publish(organisation, newJob())
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await publishing
    expect(await leaseOne(spine, { waitMs: 5_000 })).toMatchObject({ attempt: 1 })
  })

  test('[SPINE-12] organisations take turns', async () => {
    const { spine } = await open()
    for (let value = 0; value < 40; value++) await spine.jobs.publish('many', newJob(value))
    await spine.jobs.publish('zoe', newJob('z'))
    await spine.jobs.publish('ann', newJob('a'))
    const first = await spine.jobs.lease(want({ max: 3 }))
    expect(first.map(job => job.organisation).sort()).toEqual(['ann', 'many', 'zoe'])
    await spine.jobs.publish('zoe', newJob('z'))
    const order = [await leaseOne(spine), await leaseOne(spine), await leaseOne(spine)].map(job => job.organisation)
    expect(order.sort()).toEqual(['many', 'many', 'zoe'])
    expect(await spine.jobs.lease(want({ max: 100 }))).toHaveLength(37)
  })

  test('[SPINE-13] a request gets jobs of its topics, schemas and organisation alone', async () => {
    const { spine } = await open()
    const other = 'arqonbus.genesis.job.v2'
    await spine.jobs.publish('a', newJob('a1'))
    await spine.jobs.publish('a', { ...newJob('a2'), schema: other })
    await spine.jobs.publish('b', { ...newJob('b'), topic: 'nvm.jobs' })
    const payloads = async (over: Parameters<typeof want>[0]) =>
      (await spine.jobs.lease(want({ max: 10, ...over }))).map(({ payload }) => read(payload))
    expect(await payloads({ topics: ['none.jobs'] })).toEqual([])
    expect(await payloads({ organisation: 'b' })).toEqual([])
    expect(await payloads({ schemas: [other] })).toEqual(['a2'])
    expect(await payloads({ topics: ['nvm.jobs', topic], organisation: 'a' })).toEqual(['a1'])
    expect(await payloads({ topics: ['nvm.jobs', topic] })).toEqual(['b'])
  })

  test('[SPINE-14] a heartbeat moves the end of the lease and keeps progress and the newest lines', async () => {
    const { spine, clock } = await open({ bounds: { logLines: 3 } })
    await spine.jobs.publish(organisation, newJob())
    const job = await leaseOne(spine, { leaseMs: 1_000 })
    clock.move(800)
    const beat = await spine.jobs.heartbeat(refOf(job), { leaseMs: 1_000, progress: '50 %\0', lines: ['a', 'b'] })
    expect(beat).toEqual({ leasedUntil: clock.time + 1_000, cancelAt: null, reason: null })
    clock.move(999)
    await spine.settle()
    await spine.jobs.heartbeat(refOf(job), { leaseMs: 1_000, lines: ['c', 'd'] })
    expect(await spine.jobs.get(organisation, job.id)).toMatchObject({ state: 'leased', progress: '50 %\ufffd' })
    expect((await spine.jobs.logs(organisation, job.id)).map(({ n, text }) => [n, text])).toEqual([
      [2, 'b'],
      [3, 'c'],
      [4, 'd'],
    ])
    expect(await spine.jobs.logs(organisation, job.id, 3)).toMatchObject([{ n: 4, fence: 1 }])
  })

  test('[SPINE-15] a lease that ends without an answer is taken back, and the job is dead after the last', async () => {
    const { spine, clock } = await open()
    const job = { ...newJob(), maxAttempts: 2, backoff: { firstMs: 100, ceilingMs: 100 } }
    const { jobId } = await spine.jobs.publish(organisation, job)
    const first = await leaseOne(spine, { leaseMs: 1_000, operator: 'one' })
    clock.move(1_000)
    expect(await spine.settle()).toBe(1)
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'delayed', runAt: clock.time + 75 })
    clock.move(75)
    await spine.settle()
    const second = await leaseOne(spine, { leaseMs: 1_000, operator: 'two' })
    expect([first.fence, second.fence, second.attempt]).toEqual([1, 2, 2])
    clock.move(1_000)
    await spine.settle()
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'dead', attempts: 2 })
    expect(await spine.jobs.attempts(organisation, jobId)).toMatchObject([
      { fence: 1, operator: 'one', outcome: 'lost' },
      { fence: 2, operator: 'two', outcome: 'lost' },
    ])
    expect(spine.counts()).toMatchObject({ lost: 2, dead: 1 })
  })

  test('[SPINE-16] late words are refused, change nothing and are counted', async () => {
    const { spine, clock } = await open()
    const { jobId } = await spine.jobs.publish(organisation, { ...newJob(), backoff: { firstMs: 0, ceilingMs: 0 } })
    const late = await leaseOne(spine, { leaseMs: 1_000 })
    clock.move(1_000)
    await spine.settle()
    const now = await leaseOne(spine)
    const lost = { code: 'lease.lost' }
    await expect(spine.jobs.ack(refOf(late), result('late'))).rejects.toMatchObject(lost)
    await expect(spine.jobs.nack(refOf(late), { reason: 'late', isRetryable: true })).rejects.toMatchObject(lost)
    await expect(spine.jobs.heartbeat(refOf(late), { progress: 'late' })).rejects.toMatchObject(lost)
    await expect(spine.jobs.append(refOf(late), { schema: jobSchema, payloads: [bytes(1)] })).rejects.toMatchObject(
      lost,
    )
    await expect(spine.jobs.giveBack(refOf(late))).rejects.toMatchObject(lost)
    await expect(spine.jobs.ack({ ...refOf(now), fence: 99 }, result())).rejects.toMatchObject(lost)
    await expect(spine.jobs.ack({ ...refOf(now), jobId: 'no id' }, result())).rejects.toMatchObject(lost)
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'leased', progress: null })
    await spine.jobs.ack(refOf(now), result('in time'))
    await expect(spine.jobs.ack(refOf(now), result('twice'))).rejects.toMatchObject(lost)
    expect(read((await spine.jobs.result(organisation, jobId))?.payload)).toBe('in time')
    expect(spine.counts()).toMatchObject({ lateResults: 4, done: 1 })
  })

  test('[SPINE-17] of several answers at the same time one is written', async () => {
    const { spine } = await open()
    await spine.jobs.publish(organisation, newJob())
    const job = await leaseOne(spine)
    const answers = await Promise.allSettled([1, 2, 3].map(value => spine.jobs.ack(refOf(job), result(value))))
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const stop = new AbortController()
    const results = spine.messages.follow({ organisation, topics: ['genesis.results'], after: 0, signal: stop.signal })
    expect(await take(results, 1)).toMatchObject([{ message: { type: 'job_result', status: 'done', job_id: job.id } }])
    const { rows } = { rows: await spine.jobs.queues(organisation) }
    expect(rows).toMatchObject([{ open: 0, finished: 1 }])
  })

  test('[SPINE-17] an acknowledgement that comes again is accepted, and nothing is written again', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, newJob())
    const job = await leaseOne(spine)
    for (let times = 0; times < 3; times++) await spine.jobs.ack(refOf(job), result({ seed: 7 }))
    const lost = { code: 'lease.lost' }
    await expect(spine.jobs.ack(refOf(job), result({ seed: 8 }))).rejects.toMatchObject(lost)
    await expect(spine.jobs.ack({ ...refOf(job), fence: 2 }, result({ seed: 7 }))).rejects.toMatchObject(lost)
    await expect(spine.jobs.nack(refOf(job), { reason: 'no', isRetryable: true })).rejects.toMatchObject(lost)
    await spine.messages.publish(organisation, { ...newJob(), topic: 'genesis.last', type: 'event' })
    const signal = AbortSignal.timeout(20_000)
    const topics = ['genesis.results', 'genesis.last']
    const got = await take(spine.messages.follow({ organisation, topics, after: 0, signal }), 2)
    expect(got).toMatchObject([{ message: { job_id: jobId } }, { message: { topic: 'genesis.last' } }])
    expect(await spine.jobs.queues(organisation)).toMatchObject([{ open: 0, finished: 1 }])
    expect(spine.counts()).toMatchObject({ done: 1 })
  })

  test('[SPINE-18] a failed hand-out is repeated after a growing wait, and the job is dead after the last', async () => {
    const { spine, clock } = await open()
    const { jobId } = await spine.jobs.publish(organisation, {
      ...newJob(),
      maxAttempts: 4,
      backoff: { firstMs: 1_000, ceilingMs: 2_000 },
    })
    const waits: number[] = []
    for (let attempt = 1; attempt <= 4; attempt++) {
      const job = await leaseOne(spine)
      expect(job.attempt).toBe(attempt)
      const { state, runAt } = await spine.jobs.nack(refOf(job), { reason: `no ${attempt}`, isRetryable: true })
      if (runAt === null) expect(state).toBe('dead')
      else waits.push(runAt - clock.time)
      clock.move(10_000)
      await spine.settle()
    }
    // Half of each wait is random, and the random number of these tests is a half.
    expect(waits).toEqual([750, 1_500, 1_500])
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'dead', reason: 'no 4' })
  })

  test('[SPINE-18] a failed hand-out is not repeated before the time that is asked for, and never before its own', async () => {
    const { spine, clock } = await open()
    const backoff = { firstMs: 1_000, ceilingMs: 1_000 }
    await spine.jobs.publish(organisation, { ...newJob(), maxAttempts: 4, backoff })
    const waits: number[] = []
    for (const waitMs of [5_000, 10, 1e12]) {
      const { runAt } = await spine.jobs.nack(refOf(await leaseOne(spine)), { reason: 'no', isRetryable: true, waitMs })
      waits.push((runAt ?? 0) - clock.time)
      clock.move(86_400_000)
      await spine.settle()
    }
    expect(waits).toEqual([5_000, 750, 86_400_000])
  })

  test('[SPINE-18] a failure that cannot succeed makes the job dead at once', async () => {
    const { spine } = await open()
    await spine.jobs.publish(organisation, newJob())
    const reply = await spine.jobs.nack(refOf(await leaseOne(spine)), { reason: 'bad input', isRetryable: false })
    expect(reply).toEqual({ state: 'dead', runAt: null })
  })

  test('[SPINE-19] a job given back is there at once, and the hand-out does not count', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, { ...newJob(), maxAttempts: 1 })
    await spine.jobs.giveBack(refOf(await leaseOne(spine)))
    expect(await leaseOne(spine)).toMatchObject({ attempt: 1, fence: 2 })
    expect(await spine.jobs.attempts(organisation, jobId)).toMatchObject([
      { outcome: 'returned' },
      { outcome: 'working' },
    ])
  })

  test('[SPINE-20] ends without a result are published as well', async () => {
    const { spine, clock } = await open()
    const dead = await spine.jobs.publish(organisation, newJob())
    await spine.jobs.nack(refOf(await leaseOne(spine)), { reason: 'bad', isRetryable: false })
    const cancelled = await spine.jobs.publish(organisation, newJob())
    await spine.jobs.cancel(organisation, cancelled.jobId, 'not needed')
    const expired = await spine.jobs.publish(organisation, { ...newJob(), deadlineMs: 10 })
    clock.move(10)
    await spine.settle()
    const signal = AbortSignal.timeout(5_000)
    const got = await take(spine.messages.follow({ organisation, topics: ['genesis.results'], after: 0, signal }), 3)
    expect(got.map(delivery => delivery.type === 'message' && read(delivery.message.payload))).toEqual([
      { job_id: dead.jobId, status: 'dead', error: 'bad' },
      { job_id: cancelled.jobId, status: 'cancelled', error: 'not needed' },
      { job_id: expired.jobId, status: 'expired', error: 'Its deadline has passed.' },
    ])
  })

  test('[SPINE-21] whoever works on a cancelled job is told, and it ends after the grace', async () => {
    const { spine, clock } = await open()
    const { jobId } = await spine.jobs.publish(organisation, newJob())
    const job = await leaseOne(spine)
    const told: (string | null)[] = []
    using _watch = spine.jobs.watchLeases(id => told.push(id))
    expect(await spine.jobs.cancel(organisation, jobId, 'enough')).toMatchObject({
      state: 'leased',
      isCancelling: true,
    })
    await spine.jobs.cancel(organisation, jobId, 'again')
    expect(told).toContain(jobId)
    const beat = await spine.jobs.heartbeat(refOf(job), { leaseMs: 60_000 })
    expect(beat).toMatchObject({ cancelAt: clock.time + 5_000 })
    clock.move(5_000)
    await spine.settle()
    expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'cancelled' })
    await expect(spine.jobs.ack(refOf(job), result())).rejects.toMatchObject({ code: 'lease.lost' })
    expect(await spine.jobs.cancel(organisation, jobId)).toMatchObject({ state: 'cancelled' })
    expect(await spine.jobs.attempts(organisation, jobId)).toMatchObject([{ outcome: 'cancelled' }])
  })

  test('[SPINE-21] within the grace a failure cancels, and a result still counts', async () => {
    const { spine } = await open()
    const one = await spine.jobs.publish(organisation, newJob())
    const first = await leaseOne(spine)
    await spine.jobs.cancel(organisation, one.jobId)
    expect(await spine.jobs.nack(refOf(first), { reason: 'stopped', isRetryable: true })).toMatchObject({
      state: 'cancelled',
    })
    const two = await spine.jobs.publish(organisation, newJob())
    const second = await leaseOne(spine)
    await spine.jobs.cancel(organisation, two.jobId)
    await spine.jobs.ack(refOf(second), result())
    expect(await spine.jobs.get(organisation, two.jobId)).toMatchObject({ state: 'done', isCancelling: false })
    await expect(spine.jobs.cancel(organisation, two.jobId)).rejects.toMatchObject({ code: 'job.state' })
  })

  test('[SPINE-22] a job expires at its deadline in every state', async () => {
    const { spine, clock } = await open()
    const publish = (more: object) => spine.jobs.publish(organisation, { ...newJob(), deadlineMs: 1_000, ...more })
    const leased = await publish({ priority: 9 })
    const job = await leaseOne(spine)
    const others = [
      await publish({}),
      await publish({ delayMs: 5_000 }),
      await publish({ orderingKey: 'k' }),
      await publish({ orderingKey: 'k' }),
    ]
    clock.move(1_000)
    await spine.settle()
    for (const { jobId } of [leased, ...others])
      expect(await spine.jobs.get(organisation, jobId)).toMatchObject({ state: 'expired', finishedAt: clock.time })
    await expect(spine.jobs.ack(refOf(job), result())).rejects.toMatchObject({ code: 'lease.lost' })
    expect(await spine.jobs.attempts(organisation, leased.jobId)).toMatchObject([{ outcome: 'expired' }])
    expect(await spine.jobs.queues(organisation)).toMatchObject([{ open: 0, finished: 5 }])
  })
}
