import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0002-runs. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  await createRuns(database, types)
  await createRemains(database, types)
  await createJournal(database, types)
  await createInputs(database, types)
}

async function createRuns(
  database: Transaction<Tables>,
  { id, text, integer, strict, strictWithoutRowid }: ColumnTypes,
): Promise<void> {
  await sql`
    create table run (
      position ${id},
      id ${text} not null unique,
      organisation ${text} not null,
      family ${text} not null,
      seed ${text} not null,
      plan_id ${text} not null,
      plan_version ${text} not null,
      plan_digest ${text} not null,
      status ${text} not null,
      mode ${text} not null,
      agent ${text} not null,
      max_cycles ${integer} not null,
      idempotency_key ${text},
      request_hash ${text} not null,
      created_at ${integer} not null,
      started_at ${integer},
      completed_at ${integer},
      seq ${integer} not null,
      entries ${integer} not null,
      records ${integer} not null,
      emitted ${integer} not null,
      starts ${integer} not null,
      progress ${text} not null,
      error ${text},
      held ${text},
      breakpoints ${text} not null,
      forked_from ${text},
      forked_at ${integer},
      step_timeout_ms ${integer},
      input_timeout_ms ${integer},
      deadline_at ${integer},
      owner ${text},
      lease ${integer} not null,
      lease_until ${integer},
      imported_at ${integer},
      compacted_at ${integer}
    ) ${strict}`.execute(database)
  await sql`create unique index run_key on run (organisation, idempotency_key) where idempotency_key is not null`.execute(
    database,
  )
  // Lists are an organisation's, newest first, of all, of one plan or of one status.
  await sql`create index run_organisation on run (organisation, position)`.execute(database)
  await sql`create index run_plan on run (organisation, plan_id, position)`.execute(database)
  await sql`create index run_status on run (status, position)`.execute(database)
  await sql`create index run_ending on run (position) where status in ('stopping', 'pausing')`.execute(database)
  await sql`create index run_waiting on run (position) where status in ('pending', 'running')`.execute(database)
  await sql`create index run_digest on run (plan_digest)`.execute(database)
  await sql`create index run_family on run (family)`.execute(database)
  await sql`create index run_lease on run (lease_until) where lease_until is not null`.execute(database)
  await sql`create index run_deadline on run (deadline_at) where completed_at is null and deadline_at is not null`.execute(
    database,
  )
  await sql`create index run_over on run (organisation, plan_id, completed_at) where completed_at is not null`.execute(
    database,
  )
  await sql`
    create table run_content (
      run_id ${text} primary key,
      inputs ${text} not null,
      origin ${text},
      node_statuses ${text} not null,
      result ${text}
    ) ${strictWithoutRowid}`.execute(database)
}

async function createRemains(database: Transaction<Tables>, { text, integer, strict }: ColumnTypes): Promise<void> {
  await sql`
    create table run_remains (
      run_id ${text} primary key,
      family ${text} not null,
      plan_digest ${text} not null,
      deleted_at ${integer} not null
    ) ${strict}`.execute(database)
}

async function createJournal(
  database: Transaction<Tables>,
  { text, integer, real, strict, strictWithoutRowid }: ColumnTypes,
): Promise<void> {
  await sql`
    create table run_call (
      run_id ${text} not null,
      n ${integer} not null,
      key ${text} not null,
      flow_index ${text} not null,
      concept_name ${text} not null,
      type ${text} not null,
      inputs ${text} not null,
      outcome ${text} not null,
      size ${integer} not null,
      files ${text} not null,
      started_at ${real} not null,
      finished_at ${real} not null,
      agent ${text},
      provider ${text},
      model ${text},
      input_tokens ${integer},
      output_tokens ${integer},
      attempts ${integer} not null,
      repeated ${integer} not null,
      primary key (run_id, n)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`
    create table run_command (
      id ${text} primary key,
      run_id ${text} not null,
      n ${integer},
      starts ${integer},
      type ${text} not null,
      command ${text} not null,
      by ${text} not null,
      asked_at ${integer} not null,
      applied_at ${integer},
      refusal ${text}
    ) ${strict}`.execute(database)
  await sql`create index run_command_run on run_command (run_id, asked_at)`.execute(database)
  await sql`
    create table run_step (
      run_id ${text} not null,
      n ${integer} not null,
      at ${real} not null,
      kind ${text} not null,
      cycle ${integer} not null,
      flow_index ${text},
      record ${text} not null,
      primary key (run_id, n)
    ) ${strictWithoutRowid}`.execute(database)
  await sql`
    create table run_snapshot (
      run_id ${text} primary key,
      entries ${integer} not null,
      seq ${integer} not null,
      data ${text} not null
    ) ${strict}`.execute(database)
  await sql`
    create table run_value (
      family ${text} not null,
      hash ${text} not null,
      data ${text} not null,
      primary key (family, hash)
    ) ${strictWithoutRowid}`.execute(database)
}

async function createInputs(database: Transaction<Tables>, { text, integer, strict }: ColumnTypes): Promise<void> {
  await sql`
    create table run_input (
      id ${text} primary key,
      run_id ${text} not null,
      plan_id ${text} not null,
      key ${text} not null,
      flow_index ${text} not null,
      type ${text} not null,
      prompt ${text} not null,
      initial_text ${text},
      asked_at ${integer} not null,
      expires_at ${integer},
      answer ${text},
      closed ${text},
      unique (run_id, key)
    ) ${strict}`.execute(database)
  await sql`create index run_input_open on run_input (asked_at) where answer is null`.execute(database)
  await sql`create index run_input_expiry on run_input (expires_at) where answer is null and expires_at is not null`.execute(
    database,
  )
}
