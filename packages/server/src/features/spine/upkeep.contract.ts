import { expect, test } from 'vitest'
import type { Delivery } from './message-log.ts'
import type { OpenSpine } from './spine.contract.ts'
import { bytes, jobSchema, leaseOne, newJob, organisation, read, refOf, result, take } from './testing.ts'

const day = 86_400_000

async function all(deliveries: AsyncIterable<Delivery>): Promise<unknown[]> {
  return (await take(deliveries, Number.POSITIVE_INFINITY)).map(delivery =>
    delivery.type === 'cut'
      ? delivery
      : [delivery.message.type, delivery.message.n ?? null, read(delivery.message.payload)],
  )
}

/** What every implementation promises of dead letters, queries and what is over. */
export function upkeepContract(open: OpenSpine): void {
  test('[SPINE-23] dead jobs are listed, inspected, redriven and discarded', async () => {
    const { spine } = await open()
    const ids: string[] = []
    for (const value of [1, 2, 3]) {
      ids.push((await spine.jobs.publish(organisation, { ...newJob(value), orderingKey: 'k' })).jobId)
      await spine.jobs.nack(refOf(await leaseOne(spine)), { reason: `bad ${value}`, isRetryable: false })
    }
    const [one = '', two = '', three = ''] = ids
    const page = await spine.deadLetters.list(organisation, { limit: 2 })
    expect(page.jobs.map(({ id }) => id)).toEqual([three, two])
    const rest = await spine.deadLetters.list(organisation, { limit: 2, cursor: page.next ?? 0 })
    expect([rest.jobs.map(({ id }) => id), rest.next]).toEqual([[one], null])
    const letter = await spine.deadLetters.inspect(organisation, one)
    expect(letter).toMatchObject({
      job: { reason: 'bad 1' },
      attempts: [{ fence: 1, outcome: 'failed', reason: 'bad 1' }],
    })
    expect(read(letter.payload)).toBe(1)
    // Behind what was published meanwhile, although it is older.
    await spine.jobs.publish(organisation, { ...newJob(4), orderingKey: 'k' })
    expect(await spine.deadLetters.redrive(organisation, one)).toMatchObject({ state: 'blocked', attempts: 0 })
    const four = await leaseOne(spine)
    expect(read(four.payload)).toBe(4)
    await spine.jobs.ack(refOf(four), result())
    const again = await leaseOne(spine)
    expect([read(again.payload), again.attempt, again.fence]).toEqual([1, 1, 2])
    await spine.jobs.ack(refOf(again), result('after all'))
    expect(read((await spine.jobs.result(organisation, one))?.payload)).toBe('after all')
    expect(await spine.deadLetters.discard(organisation, two)).toMatchObject({ state: 'discarded' })
    await expect(spine.deadLetters.redrive(organisation, two)).rejects.toMatchObject({ code: 'job.state' })
    await expect(spine.deadLetters.inspect(organisation, four.id)).rejects.toMatchObject({ code: 'job.state' })
    expect(await spine.jobs.queues(organisation)).toMatchObject([{ open: 0, finished: 3, dead: 1 }])
  })

  test('[SPINE-33] jobs are listed in pages by topic and state', async () => {
    const { spine } = await open()
    const ids: string[] = []
    for (let value = 0; value < 5; value++)
      ids.push(
        (await spine.jobs.publish(organisation, { ...newJob(value), topic: value % 2 ? 'odd.jobs' : 'even.jobs' }))
          .jobId,
      )
    await spine.jobs.publish('other', newJob())
    const first = await spine.jobs.list(organisation, { limit: 3 })
    const second = await spine.jobs.list(organisation, { limit: 3, cursor: first.next ?? 0 })
    expect([...first.jobs, ...second.jobs].map(({ id }) => id)).toEqual(ids.toReversed())
    expect(second.next).toBeNull()
    const odd = await spine.jobs.list(organisation, { topic: 'odd.jobs' })
    expect(odd).toMatchObject({ jobs: [{ id: ids[3] }, { id: ids[1] }], next: null })
    await leaseOne(spine, { topics: ['odd.jobs'] })
    expect((await spine.jobs.list(organisation, { state: 'leased' })).jobs.map(({ id }) => id)).toEqual([ids[1]])
    await expect(spine.jobs.get(organisation, crypto.randomUUID())).rejects.toMatchObject({ code: 'job.unknown' })
  })

  test('[SPINE-34] another organisation sees and changes nothing', async () => {
    const { spine } = await open()
    const { jobId } = await spine.jobs.publish(organisation, newJob())
    await spine.messages.publish(organisation, { topic: 'a.b', type: 'event', schema: jobSchema, payload: bytes(1) })
    await spine.schemas.register(organisation, 'arqonbus.a.b.v1', { type: 'string' })
    const job = await leaseOne(spine)
    const unknown = { code: 'job.unknown' }
    await expect(spine.jobs.get('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.payload('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.attempts('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.logs('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.result('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.cancel('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.deadLetters.redrive('other', jobId)).rejects.toMatchObject(unknown)
    await expect(spine.jobs.ack({ ...refOf(job), organisation: 'other' }, result())).rejects.toMatchObject({
      code: 'lease.lost',
    })
    expect(await spine.jobs.list('other')).toMatchObject({ jobs: [], next: null })
    expect(await spine.jobs.queues('other')).toEqual([])
    expect(await spine.schemas.list('other')).toEqual([])
    const stop = new AbortController()
    expect(
      await all(spine.messages.followJob({ organisation: 'other', jobId, after: 0, signal: stop.signal })),
    ).toEqual([])
    await spine.messages.publish('other', { topic: 'a.b', type: 'event', schema: jobSchema, payload: bytes(2) })
    const got = await take(
      spine.messages.follow({ organisation: 'other', topics: ['a.b'], after: 0, signal: stop.signal }),
      1,
    )
    expect(got.map(delivery => delivery.type === 'message' && read(delivery.message.payload))).toEqual([2])
  })

  test('[SPINE-35] what is over is removed after its time or above its number, and nothing else', async () => {
    const policy = { jobDays: 1, jobsPerQueue: 3, deadDays: 2, messageDays: 1, messages: 1000 }
    const { spine, clock } = await open({ policy })
    const over = async (value: unknown): Promise<string> => {
      const { jobId } = await spine.jobs.publish(organisation, newJob(value))
      const job = await leaseOne(spine, { organisation })
      await spine.jobs.append(refOf(job), { schema: jobSchema, payloads: [bytes(value)] })
      await spine.jobs.ack(refOf(job), result(value))
      return jobId
    }
    const dead = await spine.jobs.publish(organisation, newJob())
    await spine.jobs.nack(refOf(await leaseOne(spine)), { reason: 'bad', isRetryable: false })
    await spine.messages.publish(organisation, { topic: 'a.b', type: 'event', schema: jobSchema, payload: bytes(1) })
    const open1 = await spine.jobs.publish('other', newJob())
    const ids: string[] = []
    for (const value of [1, 2, 3, 4, 5]) {
      clock.move(10)
      ids.push(await over(value))
    }
    expect(await spine.removeOver()).toEqual({ jobs: 2, messages: 8 })
    const { jobs } = await spine.jobs.list(organisation)
    expect(jobs.map(({ id }) => id)).toEqual([ids[4], ids[3], ids[2], dead.jobId])
    clock.move(day)
    expect(await spine.removeOver()).toEqual({ jobs: 3, messages: 13 })
    clock.move(day)
    expect(await spine.removeOver()).toEqual({ jobs: 1, messages: 1 })
    expect(await spine.jobs.queues(organisation)).toEqual([])
    expect(await spine.jobs.get('other', open1.jobId)).toMatchObject({ state: 'ready' })
    expect(spine.counts()).toMatchObject({ removed: 6 })
  })
}
