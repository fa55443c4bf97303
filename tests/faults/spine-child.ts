import { setTimeout as pause } from 'node:timers/promises'
import { openDatabase } from '@slipway/server/db/database'
import { DatabaseSpine } from '@slipway/server/features/spine/database-spine'
import { silentLogger } from '@slipway/server/observe/log'

// A server that publishes its share of the jobs and works on whatever there is, until it is killed.
const [place = '', from = '0', to = '0'] = process.argv.slice(2)
const topic = 'storm.jobs'
const organisation = 'storm'
const publishers = 32
const workers = 32

await using db = await openDatabase(place)
await using spine = new DatabaseSpine({
  db,
  log: silentLogger(),
  now: () => performance.timeOrigin + performance.now(),
  policy: { jobDays: 0, jobsPerQueue: 0, deadDays: 0, messageDays: 0, messages: 0 },
  leaseMs: 1_500,
  cancelGraceMs: 1_000,
})
spine.start()

let next = Number(from)
async function publish(): Promise<void> {
  while (next < Number(to)) {
    const index = next++
    await spine.jobs.publish(organisation, {
      topic,
      schema: 'arqonbus.storm.job.v1',
      payload: Buffer.from(JSON.stringify({ index })),
      idempotencyKey: `job ${index}`,
      maxAttempts: 100,
      backoff: { firstMs: 0, ceilingMs: 0 },
    })
    process.stdout.write(`${index}\n`)
  }
}

async function work(name: string): Promise<void> {
  for (;;) {
    const jobs = await spine.jobs.lease({ topics: [topic], operator: name, organisation: null, max: 4, waitMs: 1_000 })
    for (const { id, fence, payload } of jobs) {
      if (fence % 2 === 1) await pause(1)
      const result = { schema: 'arqonbus.storm.result.v1', payload }
      await spine.jobs.ack({ jobId: id, fence, organisation }, result).catch(() => undefined)
    }
  }
}

/** Says when nothing is left to do for anybody. */
async function watch(): Promise<void> {
  await Promise.all(Array.from({ length: publishers }, publish))
  for (;;) {
    const [queue] = await spine.jobs.queues(organisation)
    if (queue?.open === 0) process.stdout.write('over\n')
    await pause(200)
  }
}

await Promise.all([watch(), ...Array.from({ length: workers }, (_, index) => work(`${process.pid}-${index}`))])
