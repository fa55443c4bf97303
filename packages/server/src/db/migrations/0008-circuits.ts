import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0008-circuits. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const { text, integer, strictWithoutRowid } = types
  await sql`
    create table circuit (
      organisation ${text} not null,
      name ${text} not null,
      version ${integer} not null,
      state ${text} not null,
      document ${text} not null,
      changed_at ${integer} not null,
      changed_by ${text} not null,
      seq ${integer},
      handed_on ${integer} not null,
      held_back ${integer} not null,
      failed ${integer} not null,
      cut ${integer} not null,
      last_problem ${text},
      primary key (organisation, name)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`
    create table circuit_version (
      organisation ${text} not null,
      name ${text} not null,
      version ${integer} not null,
      document ${text} not null,
      made_at ${integer} not null,
      made_by ${text} not null,
      restored ${integer},
      primary key (organisation, name, version)
    ) ${strictWithoutRowid}`.execute(database)
}
