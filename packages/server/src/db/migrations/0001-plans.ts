import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

// 0001-plans. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>): Promise<void> {
  await sql`create table plan (id text primary key, active_version text not null)`.execute(database)
  await sql`
    create table plan_version (
      plan_id text not null references plan (id) on delete cascade,
      version text not null,
      digest text not null,
      name text not null,
      description text not null,
      deployed_at integer not null,
      size_bytes integer not null,
      summary text not null,
      details text not null,
      primary key (plan_id, version)
    )`.execute(database)
  await sql`create index plan_version_digest on plan_version (digest)`.execute(database)
}
