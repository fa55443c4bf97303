import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'

// 0002-runs. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>): Promise<void> {
  await sql`
    create table run (
      position integer primary key autoincrement,
      id text not null unique,
      plan_id text not null,
      plan_version text not null,
      plan_digest text not null,
      status text not null,
      mode text not null,
      agent text not null,
      max_cycles integer not null,
      inputs text not null,
      idempotency_key text unique,
      request_hash text not null,
      created_at integer not null,
      started_at integer,
      completed_at integer,
      cancel_reason text,
      advances integer not null,
      progress text not null,
      node_statuses text not null,
      error text,
      result text
    )`.execute(database)
  // Lists are newest first, of one plan or of one status; the last also finds unfinished runs at start.
  await sql`create index run_plan on run (plan_id, position)`.execute(database)
  await sql`create index run_status on run (status, position)`.execute(database)
  await sql`create index run_digest on run (plan_digest)`.execute(database)
  await sql`
    create table run_call (
      run_id text not null,
      n integer not null,
      key text not null,
      flow_index text not null,
      concept_name text not null,
      type text not null,
      inputs text not null,
      outcome text not null,
      files text not null,
      started_at real not null,
      finished_at real not null,
      agent text,
      provider text,
      model text,
      input_tokens integer,
      output_tokens integer,
      attempts integer not null,
      primary key (run_id, n)
    ) without rowid`.execute(database)
  await sql`
    create table run_step (
      run_id text not null,
      n integer not null,
      record text not null,
      primary key (run_id, n)
    ) without rowid`.execute(database)
  await sql`
    create table run_input (
      id text primary key,
      run_id text not null,
      plan_id text not null,
      key text not null,
      flow_index text not null,
      type text not null,
      prompt text not null,
      initial_text text,
      asked_at integer not null,
      answer text,
      unique (run_id, key)
    )`.execute(database)
  await sql`create index run_input_open on run_input (asked_at) where answer is null`.execute(database)
}
