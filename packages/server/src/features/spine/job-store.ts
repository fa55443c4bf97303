import type { Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { Change, Job } from './job-machine.ts'

/** One queue: the jobs of an organisation in a topic. */
export interface QueueName {
  readonly organisation: string
  readonly topic: string
}

/** Whose lease it is, and which. */
export interface LeaseRef {
  readonly jobId: string
  readonly fence: number
  /** Null for operators that work for all organisations. */
  readonly organisation: string | null
}

export interface OrderingKey extends QueueName {
  readonly key: string
}

export interface ReadyJob extends Job {
  readonly position: number
  readonly payload: Uint8Array
}

const jobFields = `job.id, job.organisation, job.topic, job.schema, job.priority, job.ordering_key, job.state,
  job.attempts, job.max_attempts, job.backoff_first_ms, job.backoff_ceiling_ms, job.fence, job.created_at, job.run_at,
  job.deadline_at, job.due_at, job.finished_at, job.operator, job.leased_at, job.leased_until, job.cancel_at,
  job.stream_n, job.stream_fence, job.log_n, job.progress, job.reason, job.trace`

// Locks of Postgres by name, always in one order; what another transaction has written under them is then visible.
const lockStatement = new Statement(
  ({ rows }) => `
    select pg_advisory_xact_lock(hashtextextended(name, 0))
    from (select name from ${rows('$1', { name: 'text' })} as named order by name) as ordered`,
)

/** Keeps others that lock one of these names waiting until the end of the transaction. SQLite has one writer anyway. */
export async function lockNames(tx: Tx, names: Iterable<string>): Promise<void> {
  const sorted = [...new Set(names)].sort()
  if (tx.dialect === 'postgres' && sorted.length > 0) await lockStatement.run(tx, listOf(sorted.map(name => [name])))
}

// Found by the key alone: of a table that it knows nothing of yet, Postgres would read all that the organisation has.
const knownStatement = new Statement<{
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly idempotency_key: string
  readonly request_hash: string
}>(
  ({ rows }) => `
    select job.id, job.organisation, job.topic, job.idempotency_key, job.request_hash
    from ${rows('$1', { organisation: 'text', topic: 'text', key: 'text' })} as wanted
    join job on job.idempotency_key = wanted.key
      and job.organisation || '' = wanted.organisation and job.topic || '' = wanted.topic`,
)

/** Jobs that were published with these idempotency keys. */
export function selectKnown(tx: Tx, keys: readonly OrderingKey[]): ReturnType<(typeof knownStatement)['run']> {
  return knownStatement.run(tx, listOf(keys.map(({ organisation, topic, key }) => [organisation, topic, key])))
}

const busyStatement = new Statement<{ readonly organisation: string; readonly topic: string; readonly key: string }>(
  ({ rows }) => `
    select wanted.organisation, wanted.topic, wanted.key
    from ${rows('$1', { organisation: 'text', topic: 'text', key: 'text' })} as wanted
    where exists (
      select 1 from job
      where job.organisation = wanted.organisation and job.topic = wanted.topic and job.ordering_key = wanted.key
        and job.finished_at is null)`,
)

/** Those of the ordering keys that have a job that is not over. */
export function selectBusy(tx: Tx, keys: readonly OrderingKey[]): Promise<OrderingKey[]> {
  return busyStatement.run(tx, listOf(keys.map(({ organisation, topic, key }) => [organisation, topic, key])))
}

const headStatement = new Statement<Job>(
  ({ rows, take }) => `
    select ${jobFields}
    from ${rows('$1', { organisation: 'text', topic: 'text', key: 'text' })} as wanted
    join job on job.position = (
      select first.position from job as first
      where first.organisation = wanted.organisation and first.topic = wanted.topic
        and first.ordering_key = wanted.key and first.finished_at is null
      order by first.position limit 1)
    where job.state = 'blocked' ${take('job')}`,
)

/** The first job of each ordering key, where it is blocked. */
export function selectBlockedHeads(tx: Tx, keys: readonly OrderingKey[]): Promise<Job[]> {
  return headStatement.run(tx, listOf(keys.map(({ organisation, topic, key }) => [organisation, topic, key])))
}

const organisationsStatement = new Statement<{ readonly organisation: string }>(
  () => `
    with recursive found (organisation) as (
      select (select min(organisation) from job where state = 'ready' and topic = $1 and organisation > $2)
      union all
      select (
        select min(job.organisation) from job
        where job.state = 'ready' and job.topic = $1 and job.organisation > found.organisation)
      from found where found.organisation is not null)
    select organisation from found where organisation is not null limit $3`,
)

/** Organisations with jobs that are ready, behind `after` in the order of their names; one step in the index for each. */
export async function selectReadyOrganisations(
  tx: Tx,
  { topic, after, limit }: { readonly topic: string; readonly after: string; readonly limit: number },
): Promise<string[]> {
  const rows = await organisationsStatement.run(tx, topic, after, limit)
  return rows.map(({ organisation }) => organisation)
}

const readyStatement = new Statement<ReadyJob>(
  ({ takeFree, rows }) => `
    select job.position, ${jobFields}, job_payload.payload
    from job join job_payload on job_payload.job_id = job.id
    where job.state = 'ready' and job.topic = $1 and job.organisation = $2
      and ($3 = '' or job.schema in (select wanted.schema from ${rows('$4', { schema: 'text' })} as wanted))
    order by job.priority desc, job.position
    limit $5 ${takeFree('job')}`,
)

/** The first jobs of a queue, of these schemas or of any; jobs that another transaction is about to take are left out. */
export function selectReady(
  tx: Tx,
  { organisation, topic }: QueueName,
  { schemas, limit }: { readonly schemas: readonly string[] | null; readonly limit: number },
): Promise<ReadyJob[]> {
  const wanted = listOf((schemas ?? []).map(schema => [schema]))
  return readyStatement.run(tx, topic, organisation, schemas === null ? '' : 'some', wanted, limit)
}

const handOutStatement = new Statement(
  ({ rows }) => `
    update job set state = 'leased', attempts = attempts + 1, fence = fence + 1, operator = given.operator,
      leased_at = $2, leased_until = given.until, due_at = given.due_at, cancel_at = null
    from ${rows('$1', { position: 'integer', operator: 'text', until: 'integer', due_at: 'integer' })} as given
    where job.position = given.position`,
)

export interface HandOut {
  readonly job: ReadyJob
  readonly operator: string
  readonly until: number
  readonly dueAt: number
}

/** Counts the attempt before anybody gets the job. */
export async function writeHandOuts(tx: Tx, handOuts: readonly HandOut[], now: number): Promise<void> {
  const list = listOf(handOuts.map(({ job, operator, until, dueAt }) => [job.position, operator, until, dueAt]))
  await handOutStatement.run(tx, list, now)
}

const heldCountStatement = new Statement<{
  readonly operator: string
  readonly organisation: string
  readonly held: number
}>(
  ({ rows }) => `
    select wanted.operator, wanted.organisation,
      case when wanted.organisation = ''
        then (select count(*) from job where job.state = 'leased' and job.operator = wanted.operator)
        else (
          select count(*) from job
          where job.state = 'leased' and job.operator = wanted.operator and job.organisation = wanted.organisation)
      end as held
    from ${rows('$1', { operator: 'text', organisation: 'text' })} as wanted`,
)

export interface HoldingOperator {
  readonly operator: string
  /** Null for jobs of all. */
  readonly organisation: string | null
}

/** How many jobs each of these operators works on. */
export async function selectHeldCounts(
  tx: Tx,
  operators: readonly HoldingOperator[],
): Promise<(operator: HoldingOperator) => number> {
  // No organisation is called so.
  const keyOf = ({ operator, organisation }: HoldingOperator): string => `${organisation ?? ''}\0${operator}`
  const distinct = new Map(operators.map(operator => [keyOf(operator), operator]))
  if (distinct.size === 0) return () => 0
  const list = [...distinct.values()].map(({ operator, organisation }) => [operator, organisation ?? ''])
  const counts = new Map((await heldCountStatement.run(tx, listOf(list))).map(row => [keyOf(row), row.held]))
  return operator => counts.get(keyOf(operator)) ?? 0
}

const heldStatement = new Statement<Job>(
  ({ rows, take }) => `
    select ${jobFields} from ${rows('$1', { id: 'text' })} as held join job on job.id = held.id ${take('job')}`,
)

/** The jobs that are still held under these leases, locked. */
export async function selectHeld(tx: Tx, refs: readonly LeaseRef[]): Promise<Job[]> {
  const byId = new Map(refs.map(ref => [ref.jobId, ref]))
  const jobs = await heldStatement.run(tx, listOf([...byId.keys()].sort().map(id => [id])))
  return jobs.filter(({ id, state, fence, organisation }) => {
    const ref = byId.get(id)
    const isTheirs = ref?.organisation === null || ref?.organisation === organisation
    return state === 'leased' && ref?.fence === fence && isTheirs
  })
}

const doneStatement = new Statement<Job>(
  () => `select ${jobFields} from job where job.id = $1 and job.state = 'done' and job.fence = $2`,
)

/** The job that was done under this lease, or null. */
export async function findDone(tx: Tx, { jobId, fence, organisation }: LeaseRef): Promise<Job | null> {
  const [job] = await doneStatement.run(tx, jobId, fence)
  return job !== undefined && (organisation ?? job.organisation) === job.organisation ? job : null
}

const lockJobStatement = new Statement<Job>(
  ({ take }) => `select ${jobFields} from job where job.organisation = $1 and job.id = $2 ${take('job')}`,
)

export async function lockJob(tx: Tx, organisation: string, jobId: string): Promise<Job | null> {
  const [job] = await lockJobStatement.run(tx, organisation, jobId)
  return job ?? null
}

const dueStatement = new Statement<Job>(
  ({ takeFree }) => `
    select ${jobFields} from job
    where job.due_at <= $1 and (job.state = 'blocked') = ($2 = 1)
    order by job.due_at limit $3 ${takeFree('job')}`,
)

/** Jobs to which something is to happen by now; blocked ones apart from the others. */
export function selectDue(
  tx: Tx,
  { now, isBlocked, limit }: { readonly now: number; readonly isBlocked: boolean; readonly limit: number },
): Promise<Job[]> {
  return dueStatement.run(tx, now, isBlocked ? 1 : 0, limit)
}

const writeStatement = new Statement(
  ({ rows }) => `
    update job set state = next.state, attempts = next.attempts, run_at = next.run_at, deadline_at = next.deadline_at,
      due_at = next.due_at, finished_at = next.finished_at, leased_until = next.leased_until,
      cancel_at = next.cancel_at, stream_n = next.stream_n,
      stream_fence = next.stream_fence, log_n = next.log_n, progress = next.progress,
      reason = next.reason
    from ${rows('$1', {
      id: 'text',
      state: 'text',
      attempts: 'integer',
      run_at: 'integer',
      deadline_at: 'integer',
      due_at: 'integer',
      finished_at: 'integer',
      leased_until: 'integer',
      cancel_at: 'integer',
      stream_n: 'integer',
      stream_fence: 'integer',
      log_n: 'integer',
      progress: 'text',
      reason: 'text',
    })} as next
    where job.id = next.id`,
)

/** Writes what changed of jobs that this transaction has locked, each once, and the hand-outs that ended with it. */
export async function writeChanges(tx: Tx, changes: readonly Change[], now: number): Promise<void> {
  if (changes.length === 0) return
  await writeStatement.run(tx, listOf(changes.map(({ after }) => valuesOf(after))))
  const attempts = changes.flatMap(({ before, attempt }) =>
    attempt === null
      ? []
      : [
          {
            job_id: before.id,
            fence: before.fence,
            operator: before.operator ?? '',
            started_at: before.leased_at ?? now,
            ended_at: now,
            ...attempt,
          },
        ],
  )
  await tx.insertAll('job_attempt', attempts)
}

function valuesOf(job: Job): readonly (string | number | null)[] {
  return [
    job.id,
    job.state,
    job.attempts,
    job.run_at,
    job.deadline_at,
    job.due_at,
    job.finished_at,
    job.leased_until,
    job.cancel_at,
    job.stream_n,
    job.stream_fence,
    job.log_n,
    job.progress,
    job.reason,
  ]
}

const toEnd: Readonly<Record<Tx['dialect'], Statement>> = {
  sqlite: new Statement(() => 'update job set position = (select max(position) + 1 from job) where id = $1'),
  postgres: new Statement(
    () => `update job set position = nextval(pg_get_serial_sequence('job', 'position')) where id = $1`,
  ),
}

/** Puts a job behind all that were published before. */
export async function moveToEnd(tx: Tx, jobId: string): Promise<void> {
  await toEnd[tx.dialect].run(tx, jobId)
}

const oldAttempts = new Statement(() => `delete from job_attempt where job_id = $1 and fence <= $2`)

export async function deleteOldAttempts(tx: Tx, jobId: string, upToFence: number): Promise<void> {
  await oldAttempts.run(tx, jobId, upToFence)
}

const oldLines = new Statement(() => `delete from job_log where job_id = $1 and n <= $2`)

export async function deleteOldLines(tx: Tx, jobId: string, upTo: number): Promise<void> {
  await oldLines.run(tx, jobId, upTo)
}

const nextDueStatement = new Statement<{ readonly due_at: number | null }>(
  () => 'select min(due_at) as due_at from job where due_at is not null',
)

/** When something happens to a job by itself next, or null. */
export async function selectNextDue(tx: Tx): Promise<number | null> {
  const [row] = await nextDueStatement.run(tx)
  return row?.due_at ?? null
}

/** The text of a list of rows for a statement. */
export function listOf(rows: readonly (readonly (string | number | null)[])[]): string {
  return JSON.stringify(rows)
}
