import { sql, type RawBuilder, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0005-spine. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, types: ColumnTypes): Promise<void> {
  const run = (statement: RawBuilder<unknown>): Promise<unknown> => statement.execute(database)
  await createJobs(run, types)
  await createPartsOfJobs(run, types)
  await createMessages(run, types)
  await createPlans(run, types)
}

type Run = (statement: RawBuilder<unknown>) => Promise<unknown>

async function createJobs(run: Run, { id, text, integer, strict }: ColumnTypes): Promise<void> {
  await run(sql`
    create table job (
      position ${id},
      id ${text} not null unique,
      organisation ${text} not null,
      topic ${text} not null,
      schema ${text} not null,
      priority ${integer} not null,
      ordering_key ${text},
      idempotency_key ${text},
      request_hash ${text},
      state ${text} not null,
      attempts ${integer} not null,
      max_attempts ${integer} not null,
      backoff_first_ms ${integer} not null,
      backoff_ceiling_ms ${integer} not null,
      fence ${integer} not null,
      created_at ${integer} not null,
      run_at ${integer} not null,
      deadline_at ${integer},
      due_at ${integer},
      finished_at ${integer},
      operator ${text},
      leased_at ${integer},
      leased_until ${integer},
      cancel_at ${integer},
      stream_n ${integer} not null,
      stream_fence ${integer} not null,
      log_n ${integer} not null,
      progress ${text},
      reason ${text},
      trace ${text}
    ) ${strict}`)
  await run(sql`create unique index job_idempotency on job (idempotency_key, organisation, topic)
    where idempotency_key is not null`)
  // In the order in which jobs are handed out; what an operator does not take is passed over without reading the rows.
  await run(sql`create index job_ready on job (topic, organisation, priority desc, position, schema)
    where state = 'ready'`)
  await run(sql`create index job_order on job (organisation, topic, ordering_key, position)
    where ordering_key is not null and finished_at is null`)
  await run(sql`create index job_held on job (operator, organisation) where state = 'leased'`)
  await run(sql`create index job_due on job (due_at) where due_at is not null`)
  await run(sql`create index job_list on job (organisation, position)`)
  await run(sql`create index job_over on job (organisation, topic, finished_at)
    where finished_at is not null and state <> 'dead'`)
  await run(sql`create index job_dead on job (organisation, topic, finished_at) where state = 'dead'`)
  await run(sql`create index job_dead_list on job (organisation, position) where state = 'dead'`)
}

async function createPartsOfJobs(
  run: Run,
  { text, integer, bytes, strict, strictWithoutRowid }: ColumnTypes,
): Promise<void> {
  await run(sql`
    create table job_payload (job_id ${text} primary key, payload ${bytes} not null) ${strictWithoutRowid}`)
  await run(sql`
    create table job_attempt (
      job_id ${text} not null,
      fence ${integer} not null,
      operator ${text} not null,
      started_at ${integer} not null,
      ended_at ${integer} not null,
      outcome ${text} not null,
      reason ${text},
      primary key (job_id, fence)
    ) ${strictWithoutRowid}`)
  await run(sql`
    create table job_log (
      job_id ${text} not null,
      n ${integer} not null,
      fence ${integer} not null,
      ts ${integer} not null,
      text ${text} not null,
      primary key (job_id, n)
    ) ${strictWithoutRowid}`)
  await run(sql`
    create table job_queue (
      organisation ${text} not null,
      topic ${text} not null,
      open ${integer} not null,
      finished ${integer} not null,
      dead ${integer} not null,
      primary key (organisation, topic)
    ) ${strict}`)
}

async function createMessages(run: Run, { text, integer, bytes, strict }: ColumnTypes): Promise<void> {
  await run(sql`
    create table bus_message (
      seq ${integer} primary key,
      id ${text} not null,
      organisation ${text} not null,
      topic ${text} not null,
      type ${text} not null,
      schema ${text} not null,
      ts ${integer} not null,
      job_id ${text},
      n ${integer},
      status ${text},
      trace ${text},
      payload ${bytes} not null
    ) ${strict}`)
  await run(sql`create index bus_message_topic on bus_message (organisation, topic, seq)`)
  await run(sql`create index bus_message_job on bus_message (job_id, n) where job_id is not null`)
  await run(sql`create index bus_message_free on bus_message (seq, ts) where job_id is null`)
  // A row of its own, and not a sequence, so that numbers rise in the order of commits.
  await run(sql`create table bus_counter (id ${integer} primary key, last ${integer} not null) ${strict}`)
  await run(sql`insert into bus_counter (id, last) values (1, 0)`)
}

async function createPlans(run: Run, { text, integer, bytes, strict }: ColumnTypes): Promise<void> {
  await run(sql`
    create table bus_schema (
      organisation ${text} not null,
      id ${text} not null,
      schema ${text} not null,
      created_at ${integer} not null,
      primary key (organisation, id)
    ) ${strict}`)
  await run(sql`
    create table job_schedule (
      organisation ${text} not null,
      name ${text} not null,
      cron ${text} not null,
      time_zone ${text} not null,
      misfire ${text} not null,
      job ${text} not null,
      payload ${bytes} not null,
      created_at ${integer} not null,
      next_at ${integer} not null,
      last_job_id ${text},
      primary key (organisation, name)
    ) ${strict}`)
  await run(sql`create index job_schedule_next on job_schedule (next_at)`)
}
