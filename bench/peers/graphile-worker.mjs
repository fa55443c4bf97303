import { makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import { playAll, serve, settings } from './peer.mjs'

const { url, poolSize, concurrency, batch } = settings
const pool = new pg.Pool({ connectionString: url, max: poolSize })
const store = `
  with stored as (insert into bench_result (id, answer) values ($1, $2))
  select pg_notify('bench_result', $1)`

if (settings.role === 'operator') {
  const runner = await run({
    pgPool: pool,
    concurrency,
    noHandleSignals: true,
    preset: batch === 1 ? {} : { worker: { localQueue: { size: batch }, completeJobBatchDelay: 0 } },
    taskList: {
      bench: async ({ id, n }, { query }) => {
        await query(store, [id, n])
      },
    },
  })
  serve({}, async () => {
    await runner.stop()
    await pool.end()
  })
} else {
  const utils = await makeWorkerUtils({ pgPool: pool })
  await utils.migrate()
  await pool.query('create table bench_result (id text primary key, answer bigint not null)')
  const listener = new pg.Client({ connectionString: url })
  await listener.connect()
  const waiting = new Map()
  listener.on('notification', ({ payload }) => {
    waiting.get(payload)?.()
    waiting.delete(payload)
  })
  await listener.query('listen bench_result')
  let last = 0
  serve(
    {
      play: order =>
        playAll(order, async id => {
          const over = new Promise(resolve => waiting.set(id, resolve))
          await utils.addJob('bench', { id, n: ++last })
          await over
        }),
    },
    async () => {
      await listener.end()
      await utils.release()
      await pool.end()
    },
  )
}
