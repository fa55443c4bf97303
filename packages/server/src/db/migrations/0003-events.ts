import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0003-events. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, { text, integer, strict }: ColumnTypes): Promise<void> {
  await sql`
    create table event (
      id ${integer} primary key,
      organisation ${text} not null,
      run_id ${text},
      seq ${integer} not null,
      events ${text} not null
    ) ${strict}`.execute(database)
  await sql`create index event_organisation on event (organisation, id)`.execute(database)
  await sql`create unique index event_run on event (run_id, seq)`.execute(database)
  // The newest number. A row of its own, and not a sequence: who draws numbers holds it until the commit, so that
  // numbers rise in the order of commits and have no gaps.
  await sql`create table event_counter (id ${integer} primary key, last ${integer} not null) ${strict}`.execute(
    database,
  )
  await sql`insert into event_counter (id, last) values (1, 0)`.execute(database)
}
