import type { JobAttempt, JobLogLine, JobState } from '@slipway/protocol/bus/jobs'
import { sql } from 'kysely'
import type { Reader } from '#db/database'
import type { Job } from './job-machine.ts'
import { isOver } from './job-machine.ts'

const fields = [
  'id',
  'organisation',
  'topic',
  'schema',
  'priority',
  'ordering_key',
  'state',
  'attempts',
  'max_attempts',
  'backoff_first_ms',
  'backoff_ceiling_ms',
  'fence',
  'created_at',
  'run_at',
  'deadline_at',
  'due_at',
  'finished_at',
  'operator',
  'leased_at',
  'leased_until',
  'cancel_at',
  'stream_n',
  'stream_fence',
  'log_n',
  'progress',
  'reason',
  'trace',
] as const

export async function findJob(reader: Reader, organisation: string, jobId: string): Promise<Job | null> {
  const row = await reader
    .selectFrom('job')
    .select(fields)
    .where('id', '=', jobId)
    .where('organisation', '=', organisation)
    .$narrowType<{ state: JobState }>()
    .executeTakeFirst()
  return row ?? null
}

export async function findOrganisation(reader: Reader, jobId: string): Promise<string | null> {
  const row = await reader.selectFrom('job').select('organisation').where('id', '=', jobId).executeTakeFirst()
  return row?.organisation ?? null
}

export async function findPayload(reader: Reader, organisation: string, jobId: string): Promise<Uint8Array | null> {
  const row = await reader
    .selectFrom('job')
    .innerJoin('job_payload', 'job_payload.job_id', 'job.id')
    .select('job_payload.payload')
    .where('job.id', '=', jobId)
    .where('job.organisation', '=', organisation)
    .executeTakeFirst()
  return row?.payload ?? null
}

export interface ListRange {
  readonly organisation: string
  readonly topic: string | undefined
  readonly states: readonly JobState[] | undefined
  readonly limit: number
  /** Before this position; null for the newest. */
  readonly before: number | null
}

export interface ListedJobs {
  readonly jobs: readonly (Job & { readonly position: number })[]
  /** Where to go on; null at the end. */
  readonly next: number | null
}

// However rare what is looked for is, a page costs no more than looking at so many jobs.
const jobsPerPage = 5_000

/** Jobs of an organisation, newest first. */
export async function listJobs(
  reader: Reader,
  { organisation, topic, states, limit, before }: ListRange,
): Promise<ListedJobs> {
  const window = reader
    .selectFrom('job')
    .select(['position', ...fields])
    .where('organisation', '=', organisation)
    .$if(before !== null, query => query.where('position', '<', before ?? 0))
    .orderBy('position', 'desc')
    .limit(jobsPerPage)
  const rows = await reader
    .selectFrom(window.as('job'))
    .selectAll()
    .$if(topic !== undefined, query => query.where('topic', '=', topic ?? ''))
    .$if(states !== undefined, query => query.where('state', 'in', states ?? []))
    .orderBy('position', 'desc')
    .limit(limit)
    .$narrowType<{ state: JobState }>()
    .execute()
  if (rows.length === limit) return { jobs: rows, next: rows.at(-1)?.position ?? null }
  const { rows: ends } = await sql<{ readonly last: number | null; readonly count: number }>`
    select min(position) as last, count(*) as count from (
      select position from job
      where organisation = ${organisation} and position < ${before ?? Number.MAX_SAFE_INTEGER}
      order by position desc limit ${jobsPerPage}) as looked_at`.execute(reader)
  const end = ends[0]
  return { jobs: rows, next: end?.count === jobsPerPage ? end.last : null }
}

/** Dead jobs of an organisation, those that were published last first. */
export async function listDead(
  reader: Reader,
  { organisation, topic, limit, before }: Omit<ListRange, 'states'>,
): Promise<ListedJobs> {
  const rows = await reader
    .selectFrom('job')
    .select(['position', ...fields])
    .where('organisation', '=', organisation)
    .where('state', '=', sql.lit('dead'))
    .$if(topic !== undefined, query => query.where('topic', '=', topic ?? ''))
    .$if(before !== null, query => query.where('position', '<', before ?? 0))
    .orderBy('position', 'desc')
    .limit(limit)
    .$narrowType<{ state: JobState }>()
    .execute()
  return { jobs: rows, next: rows.length === limit ? (rows.at(-1)?.position ?? null) : null }
}

/** All hand-outs of a job that are kept, in their order. */
export async function listAttempts(reader: Reader, job: Job): Promise<JobAttempt[]> {
  const rows = await reader
    .selectFrom('job_attempt')
    .select(['fence', 'operator', 'started_at', 'ended_at', 'outcome', 'reason'])
    .where('job_id', '=', job.id)
    .orderBy('fence')
    .execute()
  const attempts = rows.map(row => ({
    fence: row.fence,
    operator: row.operator,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome as JobAttempt['outcome'],
    reason: row.reason,
  }))
  const last = lastAttempt(job)
  return last === null || attempts.at(-1)?.fence === last.fence ? attempts : [...attempts, last]
}

/** The hand-out that stands in the job itself: the one under way, or the one that brought the result. */
function lastAttempt({ state, fence, operator, leased_at, finished_at }: Job): JobAttempt | null {
  if (operator === null || leased_at === null || (state !== 'leased' && state !== 'done')) return null
  const outcome = isOver(state) ? 'done' : 'working'
  return { fence, operator, startedAt: leased_at, endedAt: finished_at, outcome, reason: null }
}

const linesPerPage = 1_000

export function listLines(reader: Reader, jobId: string, after: number): Promise<JobLogLine[]> {
  return reader
    .selectFrom('job_log')
    .select(['n', 'fence', 'ts', 'text'])
    .where('job_id', '=', jobId)
    .where('n', '>', after)
    .orderBy('n')
    .limit(linesPerPage)
    .execute()
}

/** How many jobs an operator works on; with null as organisation those of all. */
export async function countHeld(
  reader: Reader,
  { organisation, operator }: { readonly organisation: string | null; readonly operator: string },
): Promise<number> {
  const { held } = await reader
    .selectFrom('job')
    .select(eb => eb.fn.countAll<number>().as('held'))
    .where('state', '=', 'leased')
    .where('operator', '=', operator)
    .$if(organisation !== null, query => query.where('organisation', '=', organisation ?? ''))
    .executeTakeFirstOrThrow()
  return held
}
