import { sleep } from '@slipway/kit/abort'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { openDatabase } from '#db/database'
import { postgresUrl } from '#db/testing'
import { silentLogger } from '#observe/log'
import { DatabaseSpine } from './database-spine.ts'
import { bytes, jobSchema, leaseOne, newJob, organisation, read, refOf, result, take, want } from './testing.ts'

const why = inject('postgres')?.why ?? null

async function openServer(url: string): Promise<DatabaseSpine> {
  const db = await openDatabase(url)
  const spine = new DatabaseSpine({
    db,
    log: silentLogger(),
    now: () => performance.timeOrigin + performance.now(),
    policy: { jobDays: 0, jobsPerQueue: 0, deadDays: 0, messageDays: 0, messages: 0 },
    leaseMs: 10_000,
    cancelGraceMs: 10_000,
  })
  spine.start()
  onTestFinished(async () => {
    await spine[Symbol.asyncDispose]()
    await db[Symbol.asyncDispose]()
  })
  return spine
}

describe.skipIf(why !== null)(`two servers on one Postgres${why === null ? '' : ` (${why})`}`, () => {
  test('[SPINE-36] a job published on one is handed out on the other, which waits, and its result comes back', async () => {
    const url = await postgresUrl()
    const [one, two] = [await openServer(url), await openServer(url)]
    const waiting = leaseOne(two, { waitMs: 20_000 })
    const { jobId } = await one.jobs.publish(organisation, newJob('work'))
    const signal = AbortSignal.timeout(20_000)
    const following = take(one.messages.followJob({ organisation, jobId, after: 0, signal }), 9)
    const job = await waiting
    await two.jobs.append(refOf(job), { schema: jobSchema, payloads: [bytes('piece')] })
    await two.jobs.ack(refOf(job), result('done'))
    const types = (await following).map(delivery => delivery.type === 'message' && delivery.message.type)
    expect(types).toEqual(['stream_start', 'stream_chunk', 'stream_end', 'job_result'])
  })

  test('[SPINE-36] jobs that both lease at the same time are handed out once each', async () => {
    const url = await postgresUrl()
    const servers = [await openServer(url), await openServer(url)] as const
    for (let value = 0; value < 300; value++)
      void servers[value % 2 === 0 ? 0 : 1].jobs.publish(organisation, {
        ...newJob(value),
        ...(value % 3 ? {} : { orderingKey: `${value % 9}` }),
      })
    const seen: unknown[] = []
    const held = new Set<string>()
    const work = async (spine: DatabaseSpine): Promise<void> => {
      while (seen.length < 300) {
        for (const job of await spine.jobs.lease(want({ max: 7, waitMs: 200 }))) {
          const { orderingKey } = job
          if (orderingKey !== null) expect(held.has(orderingKey)).toBe(false)
          if (orderingKey !== null) held.add(orderingKey)
          seen.push(read(job.payload))
          await sleep(2)
          if (orderingKey !== null) held.delete(orderingKey)
          await spine.jobs.ack(refOf(job), result())
        }
      }
    }
    await Promise.all(servers.flatMap(spine => [work(spine), work(spine), work(spine)]))
    expect(seen.sort((a, b) => Number(a) - Number(b))).toEqual([...Array(300).keys()])
    expect(await servers[0].jobs.queues(organisation)).toMatchObject([{ open: 0, finished: 300 }])
  })

  test('[SPINE-24] a reader misses nothing of what both write at the same time', async () => {
    const url = await postgresUrl()
    const servers = [await openServer(url), await openServer(url)] as const
    const [topics, count] = [['input.one', 'input.two'] as const, 400]
    const signal = AbortSignal.timeout(60_000)
    const reading = servers.flatMap(spine =>
      topics.map(topic =>
        take(spine.messages.follow({ organisation, topics: [topic], after: 0, signal }), count).then(deliveries =>
          deliveries.map(delivery => delivery.type === 'message' && delivery.message.seq),
        ),
      ),
    )
    const publish = async (spine: DatabaseSpine, at: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const topic = topics[(n + at) % 2] ?? topics[0]
        await spine.messages.publish(organisation, { topic, type: 'event', schema: jobSchema, payload: bytes(n) })
      }
    }
    await Promise.all(servers.map(publish))
    const [one, two, ...others] = await Promise.all(reading)
    expect(others).toEqual([one, two])
    const all = [...(one ?? []), ...(two ?? [])].map(Number).sort((a, b) => a - b)
    expect(all).toEqual(Array.from({ length: 2 * count }, (_, index) => index + 1))
  })

  test('[SPINE-36] a cancellation and a schema reach the other server', async () => {
    const url = await postgresUrl()
    const [one, two] = [await openServer(url), await openServer(url)]
    const { jobId } = await one.jobs.publish(organisation, newJob())
    await leaseOne(two, { waitMs: 20_000 })
    const told = Promise.withResolvers<string | null>()
    using _watch = two.jobs.watchLeases(id => id !== null && told.resolve(id))
    await one.jobs.cancel(organisation, jobId)
    expect(await told.promise).toBe(jobId)
    await one.schemas.register(organisation, jobSchema, { type: 'string' })
    await expect
      .poll(
        () =>
          two.jobs.publish(organisation, newJob(1)).then(
            () => 'published',
            (error: { code: string }) => error.code,
          ),
        { timeout: 20_000 },
      )
      .toBe('payload.invalid')
  })

  test('[SPINE-31] a schedule fires once, whichever server does it', async () => {
    const url = await postgresUrl()
    const servers = [await openServer(url), await openServer(url)] as const
    await servers[0].schedules.put({ organisation, name: 'often', cron: '* * * * * *', job: newJob('tick') })
    const first = await leaseOne(servers[1], { waitMs: 20_000 })
    const second = await leaseOne(servers[0], { waitMs: 20_000 })
    await servers[0].schedules.delete(organisation, 'often')
    const times = await Promise.all([first, second].map(({ id }) => servers[0].jobs.get(organisation, id)))
    const seconds = times.map(({ createdAt }) => Math.floor(createdAt / 1000))
    expect(new Set(seconds).size).toBe(2)
    expect(read(second.payload)).toBe('tick')
  })
})
