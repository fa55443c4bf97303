import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres'
import pg from 'pg'
import { serveGraph } from './langgraph.mjs'
import { settings } from './peer.mjs'

const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolSize })
const saver = new PostgresSaver(pool)
await saver.setup()
await serveGraph(saver, {
  unfinishedThreads: async () => {
    const { rows } = await pool.query('select distinct thread_id from checkpoints')
    return rows.map(row => row.thread_id)
  },
  close: () => pool.end(),
})
