import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { setTimeout as sleep } from 'node:timers/promises'
import { playAll, serve, settings } from './peer.mjs'

const { url, poolSize, concurrency, batch, role } = settings
const name = 'bench'
const boss = new PgBoss({ connectionString: url, max: poolSize, useListenNotify: true })
boss.on('error', error => console.error(error))
await boss.start()

if (role === 'operator') {
  if (batch === 1) await boss.work(name, { localConcurrency: concurrency }, async ([{ data }]) => ({ answer: data.n }))
  else
    await boss.work(
      name,
      { batchSize: batch, perJobResults: true, localConcurrency: concurrency / batch, burstWhenBatchFull: true },
      async jobs => jobs.map(({ id, data }) => ({ id, status: 'completed', output: { answer: data.n } })),
    )
  serve({}, () => boss.stop({ graceful: false }))
} else {
  await boss.createQueue(name, { notify: true })
  const asking = new pg.Client({ connectionString: url })
  await asking.connect()
  const waiting = new Map()
  let isAsking = false
  // What it keeps of a job says how it ended; one statement asks for all that are under way.
  const ask = async () => {
    isAsking = true
    while (waiting.size > 0) {
      const values = [[...waiting.keys()]]
      const text = `select id, output from pgboss.job where name = '${name}' and id = any($1::uuid[]) and state = 'completed'`
      const { rows } = await asking.query({ name: 'results', text, values })
      for (const { id, output } of rows) {
        waiting.get(id)(output)
        waiting.delete(id)
      }
      await sleep(1)
    }
    isAsking = false
  }
  const resultOf = id =>
    new Promise(resolve => {
      waiting.set(id, resolve)
      if (!isAsking) void ask()
    })
  let last = 0
  const one = async () => resultOf(await boss.send(name, { n: ++last }))
  const many = async () => {
    const ids = await boss.insert(
      name,
      Array.from({ length: batch }, () => ({ data: { n: ++last } })),
      { returnId: true },
    )
    await Promise.all(ids.map(resultOf))
  }
  serve(
    {
      play: ({ runs, concurrency: atOnce }) =>
        batch === 1
          ? playAll({ runs, concurrency: atOnce }, one)
          : playAll({ runs: Math.ceil(runs / batch), concurrency: atOnce / batch }, many),
    },
    async () => {
      await asking.end()
      await boss.stop({ graceful: false })
    },
  )
}
