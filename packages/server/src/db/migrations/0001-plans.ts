import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0001-plans. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, { id, text, integer, strict }: ColumnTypes): Promise<void> {
  await sql`create table plan (id ${text} primary key, active_version ${text} not null) ${strict}`.execute(database)
  await sql`
    create table plan_version (
      position ${id},
      plan_id ${text} not null references plan (id) on delete cascade,
      version ${text} not null,
      digest ${text} not null,
      name ${text} not null,
      description ${text} not null,
      deployed_at ${integer} not null,
      size_bytes ${integer} not null,
      summary ${text} not null,
      details ${text} not null,
      unique (plan_id, version)
    ) ${strict}`.execute(database)
  await sql`create index plan_version_digest on plan_version (digest)`.execute(database)
}
