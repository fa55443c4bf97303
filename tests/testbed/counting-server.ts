import { readConfig } from '@slipway/server/app/config'
import { startServer } from '@slipway/server/app/start-server'

/**
 * A server with an operator in its process that counts to ten in the log and in the stream of a job. At the first attempt it
 * hangs at five, until it is killed.
 */
const topic = 'count.jobs'
const schema = 'arqonbus.count.number.v1'
const rounds = 10
const hangsAt = 5

const { settings, env } = await readConfig()
const server = await startServer(settings, { env })
process.stdout.write(`Slipway is ready at ${server.url}\n`)
const { jobs } = server.context.spine
for (;;) {
  const leased = await jobs.lease({ topics: [topic], operator: 'counter', organisation: null, max: 1, waitMs: 60_000 })
  for (const { id, fence, attempt } of leased) {
    const lease = { jobId: id, fence, organisation: null }
    for (let round = 1; round <= rounds; round++) {
      await jobs.heartbeat(lease, { lines: [`${attempt}/${round}`], progress: `${round} of ${rounds}` })
      await jobs.append(lease, { schema, payloads: [Buffer.from(`{"attempt":${attempt},"round":${round}}`)] })
      if (attempt === 1 && round === hangsAt) await new Promise(() => undefined)
    }
    await jobs.ack(lease, { schema, payload: Buffer.from(String(rounds)) })
  }
}
