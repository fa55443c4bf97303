import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0004-access. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, { id, text, integer, strict }: ColumnTypes): Promise<void> {
  await sql`
    create table organisation (
      id ${text} primary key,
      created_at ${integer} not null
    ) ${strict}`.execute(database)
  // Whose everything is on a server that asks for no token.
  await sql`insert into organisation (id, created_at) values ('default', 0)`.execute(database)
  await sql`
    create table token (
      position ${id},
      id ${text} not null unique,
      organisation ${text} not null references organisation (id),
      name ${text} not null,
      scopes ${text} not null,
      hash ${text} not null,
      created_by ${text} not null,
      created_at ${integer} not null,
      expires_at ${integer},
      last_used_at ${integer},
      revoked_at ${integer}
    ) ${strict}`.execute(database)
  await sql`
    create table audit (
      position ${id},
      organisation ${text} not null,
      kind ${text} not null,
      name ${text} not null,
      change ${text} not null,
      version ${integer},
      digest ${text},
      details ${text} not null,
      by ${text} not null,
      at ${integer} not null
    ) ${strict}`.execute(database)
  await sql`create index audit_organisation on audit (organisation, position)`.execute(database)
  await sql`create index token_organisation on token (organisation, position)`.execute(database)
}
