import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0006-operators. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const { id, text, integer, strict, strictWithoutRowid } = types
  await sql`
    create table operator (
      organisation ${text} not null,
      id ${text} not null,
      type ${text} not null,
      version ${text} not null,
      kind ${text} not null,
      topics ${text} not null,
      schemas ${text} not null,
      slots ${integer} not null,
      hardware ${text} not null,
      stage ${text} not null,
      digest ${text} not null,
      registered_at ${integer} not null,
      last_seen_at ${integer} not null,
      session ${text},
      failing ${text},
      draining_at ${integer},
      faults ${integer} not null,
      quarantined_at ${integer},
      quarantined_by ${text},
      quarantine_reason ${text},
      primary key (organisation, id)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`create index operator_seen on operator (last_seen_at) where session is not null`.execute(database)
  await sql`
    create table operator_event (
      position ${id},
      organisation ${text} not null,
      operator ${text} not null,
      event ${text} not null,
      at ${integer} not null,
      by ${text} not null,
      reason ${text}
    ) ${strict}`.execute(database)
  await sql`
    create table operator_evidence (
      organisation ${text} not null,
      operator ${text} not null,
      digest ${text} not null,
      check_name ${text} not null,
      passed ${integer} not null,
      at ${integer} not null,
      by ${text} not null,
      jobs ${integer} not null,
      duration_ms ${integer} not null,
      reason ${text},
      primary key (organisation, operator, digest, check_name)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`create index operator_event_of on operator_event (organisation, operator, position)`.execute(database)
}
