import { SqliteSaver } from '@langchain/langgraph-checkpoint-sqlite'
import Database from 'better-sqlite3'
import { join } from 'node:path'
import { serveGraph } from './langgraph.mjs'
import { settings } from './peer.mjs'

const database = new Database(join(settings.folder, 'checkpoints.db'))
database.pragma('journal_mode = WAL')
// This build of SQLite does not sync each commit in WAL mode by itself.
database.pragma('synchronous = FULL')
await serveGraph(new SqliteSaver(database), {
  unfinishedThreads: async () => database.prepare('select distinct thread_id from checkpoints').pluck().all(),
  close: () => database.close(),
})
