import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

// 0003-events. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>): Promise<void> {
  await sql`
    create table event (
      id integer primary key autoincrement,
      run_id text,
      seq integer not null,
      event text not null,
      ts real not null,
      data text not null
    )`.execute(database)
  await sql`create unique index event_run on event (run_id, seq)`.execute(database)
}
