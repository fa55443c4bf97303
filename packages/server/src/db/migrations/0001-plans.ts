import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0001-plans. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const { id, text, integer, strict, strictWithoutRowid } = types
  await sql`
    create table plan (
      organisation ${text} not null,
      id ${text} not null,
      active_version ${text} not null,
      primary key (organisation, id)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`
    create table plan_version (
      position ${id},
      organisation ${text} not null,
      plan_id ${text} not null,
      version ${text} not null,
      digest ${text} not null,
      name ${text} not null,
      description ${text} not null,
      deployed_at ${integer} not null,
      size_bytes ${integer} not null,
      summary ${text} not null,
      details ${text} not null,
      unique (organisation, plan_id, version),
      foreign key (organisation, plan_id) references plan (organisation, id) on delete cascade
    ) ${strict}`.execute(database)
  await sql`create index plan_version_digest on plan_version (digest)`.execute(database)
}
