import type { Generated } from 'kysely'
import type { ColumnKinds } from '../columns.ts'

/** What changes while a job is worked on, and so nothing large. */
export interface JobTable {
  /** The order in which jobs were published; a redriven job goes to the end. */
  readonly position: Generated<number>
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly schema: string
  readonly priority: number
  readonly ordering_key: string | null
  readonly idempotency_key: string | null
  /** Hash of the publication, where it has a key: so that a reused key with another job is noticed. */
  readonly request_hash: string | null
  readonly state: string
  readonly attempts: number
  readonly max_attempts: number
  readonly backoff_first_ms: number
  readonly backoff_ceiling_ms: number
  /** Rises with each hand-out; what carries an earlier one is late. */
  readonly fence: number
  readonly created_at: number
  readonly run_at: number
  readonly deadline_at: number | null
  /** When something happens to the job by itself; null where nothing does. */
  readonly due_at: number | null
  readonly finished_at: number | null
  readonly operator: string | null
  readonly leased_at: number | null
  readonly leased_until: number | null
  /** When it is cancelled, whatever its operator does until then. */
  readonly cancel_at: number | null
  /** Numbers of the newest piece of its stream and line of its log. */
  readonly stream_n: number
  readonly log_n: number
  /** The hand-out that the newest piece is of. */
  readonly stream_fence: number
  readonly progress: string | null
  readonly reason: string | null
  /** JSON. */
  readonly trace: string | null
}

export const jobColumns = {
  id: 'text',
  organisation: 'text',
  topic: 'text',
  schema: 'text',
  priority: 'integer',
  ordering_key: 'text',
  idempotency_key: 'text',
  request_hash: 'text',
  state: 'text',
  attempts: 'integer',
  max_attempts: 'integer',
  backoff_first_ms: 'integer',
  backoff_ceiling_ms: 'integer',
  fence: 'integer',
  created_at: 'integer',
  run_at: 'integer',
  deadline_at: 'integer',
  due_at: 'integer',
  finished_at: 'integer',
  operator: 'text',
  leased_at: 'integer',
  leased_until: 'integer',
  cancel_at: 'integer',
  stream_n: 'integer',
  stream_fence: 'integer',
  log_n: 'integer',
  progress: 'text',
  reason: 'text',
  trace: 'text',
} as const satisfies ColumnKinds<JobTable>

export interface JobPayloadTable {
  readonly job_id: string
  readonly payload: Uint8Array
}

export const jobPayloadColumns = { job_id: 'text', payload: 'bytes' } as const satisfies ColumnKinds<JobPayloadTable>

/** Hand-outs that ended without a result; the others stand in the job itself. */
export interface JobAttemptTable {
  readonly job_id: string
  readonly fence: number
  readonly operator: string
  readonly started_at: number
  readonly ended_at: number
  readonly outcome: string
  readonly reason: string | null
}

export const jobAttemptColumns = {
  job_id: 'text',
  fence: 'integer',
  operator: 'text',
  started_at: 'integer',
  ended_at: 'integer',
  outcome: 'text',
  reason: 'text',
} as const satisfies ColumnKinds<JobAttemptTable>

export interface JobLogTable {
  readonly job_id: string
  readonly n: number
  readonly fence: number
  readonly ts: number
  readonly text: string
}

export const jobLogColumns = {
  job_id: 'text',
  n: 'integer',
  fence: 'integer',
  ts: 'integer',
  text: 'text',
} as const satisfies ColumnKinds<JobLogTable>

/** How many jobs an organisation has in a topic. Of all together the row with two empty names says it. */
export interface JobQueueTable {
  readonly organisation: string
  readonly topic: string
  /** Not over yet. */
  readonly open: number
  /** Over, dead ones excepted. */
  readonly finished: number
  readonly dead: number
}

/** Everything published that is no job: results, streams, events. */
export interface BusMessageTable {
  /** Rises in the order of commits. */
  readonly seq: number
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly type: string
  readonly schema: string
  readonly ts: number
  readonly job_id: string | null
  /** Of a stream's pieces. */
  readonly n: number | null
  readonly status: string | null
  readonly trace: string | null
  readonly payload: Uint8Array
}

export const busMessageColumns = {
  seq: 'integer',
  id: 'text',
  organisation: 'text',
  topic: 'text',
  type: 'text',
  schema: 'text',
  ts: 'integer',
  job_id: 'text',
  n: 'integer',
  status: 'text',
  trace: 'text',
  payload: 'bytes',
} as const satisfies ColumnKinds<BusMessageTable>

/** One row. */
export interface BusCounterTable {
  readonly id: number
  /** The number of the newest message. */
  readonly last: number
}

export interface BusSchemaTable {
  readonly organisation: string
  readonly id: string
  /** JSON Schema. */
  readonly schema: string
  readonly created_at: number
}

export interface JobScheduleTable {
  readonly organisation: string
  readonly name: string
  readonly cron: string
  readonly time_zone: string
  readonly misfire: string
  /** The job without its payload, JSON. */
  readonly job: string
  readonly payload: Uint8Array
  readonly created_at: number
  readonly next_at: number
  readonly last_job_id: string | null
}
