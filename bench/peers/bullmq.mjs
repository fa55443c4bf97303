import { Queue, QueueEvents, Worker } from 'bullmq'
import { playAll, serve, settings } from './peer.mjs'

const name = 'bench'
const { hostname: host, port } = new URL(settings.url)
const connection = { host, port: Number(port), maxRetriesPerRequest: null }

if (settings.role === 'operator') {
  const worker = new Worker(name, async ({ data }) => ({ answer: data.n }), {
    connection,
    concurrency: settings.concurrency,
  })
  await worker.waitUntilReady()
  serve({}, () => worker.close())
} else {
  const queue = new Queue(name, { connection })
  const events = new QueueEvents(name, { connection })
  // Each job that is waited for listens to both.
  events.setMaxListeners(0)
  queue.setMaxListeners(0)
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
  let last = 0
  serve(
    {
      play: order =>
        playAll(order, async () => {
          const job = await queue.add('job', { n: ++last })
          await job.waitUntilFinished(events)
        }),
    },
    async () => {
      await events.close()
      await queue.close()
    },
  )
}
