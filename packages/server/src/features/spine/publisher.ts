import { hash, randomUUIDv7 } from 'node:crypto'
import { AppError } from '@slipway/protocol/errors'
import type { CheckedJob } from '@slipway/protocol/bus/jobs'
import type { Tx } from '#db/database'
import type { Outcome } from './group-commit.ts'
import { keyOf, lockKeys } from './job-ends.ts'
import { dueAt } from './job-machine.ts'
import { lockNames, selectBusy, selectKnown, type OrderingKey, type QueueName } from './job-store.ts'
import { insertJobs, type NewJob, type NewJobRow } from './new-jobs.ts'
import { queueKey, selectOpen, type OpenCounts } from './queue-store.ts'
import type { SpineParts } from './spine-parts.ts'
import type { Published } from './spine.ts'

/** A job that somebody publishes, checked. */
export interface Publication {
  readonly organisation: string
  readonly job: CheckedJob
}

/**
 * Publishes jobs as part of a transaction; each is published, known already, or refused without harm to the others. What
 * an earlier one of the list has published counts for a later one.
 */
export async function publishAll(
  tx: Tx,
  publications: readonly Publication[],
  parts: SpineParts,
): Promise<Outcome<Published>[]> {
  const { outcomes, jobs } = await takeAll(tx, publications, parts)
  await insertJobs(tx, jobs)
  return outcomes
}

/**
 * The same, but the jobs are written at the end of the transaction, so that they may be handed out before. For a
 * transaction that reads nothing of them in between.
 */
export async function publishLast(
  tx: Tx,
  publications: readonly Publication[],
  parts: SpineParts,
): Promise<Outcome<Published>[]> {
  const { outcomes, jobs } = await takeAll(tx, publications, parts)
  parts.outboxes.of(tx).newJobs.add(jobs)
  return outcomes
}

async function takeAll(
  tx: Tx,
  publications: readonly Publication[],
  parts: SpineParts,
): Promise<{ readonly outcomes: Outcome<Published>[]; readonly jobs: readonly NewJob[] }> {
  // None needs what another one finds, so that they are sent together.
  const [known, open, order] = await Promise.all([
    knownJobs(tx, publications),
    selectOpen(tx, publications.map(queueOf)),
    Order.of(tx, publications),
  ])
  const room = new Room(open, parts)
  const now = parts.now()
  const jobs: NewJob[] = []
  const outcomes = publications.map((publication): Outcome<Published> => {
    const hash = publication.job.idempotencyKey === undefined ? null : hashOf(publication)
    const same = hash === null ? undefined : known.get(idempotencyName(publication))
    if (same !== undefined && hash !== null) return repeated(same, hash, publication)
    const full = room.take(queueOf(publication))
    if (full !== null) return { ok: false, error: full }
    const row = rowOf(publication, { now, hash, isBlocked: order.add(publication) })
    if (hash !== null) known.set(idempotencyName(publication), { id: row.id, hash })
    jobs.push({ row, payload: publication.job.payload })
    return { ok: true, value: { jobId: row.id, isNew: true } }
  })
  announce(tx, jobs, parts)
  tx.afterCommit(() => countOutcomes(outcomes, parts))
  return { outcomes, jobs }
}

function announce(tx: Tx, jobs: readonly NewJob[], parts: SpineParts): void {
  const outbox = parts.outboxes.of(tx)
  for (const { row } of jobs) {
    outbox.count(row, { open: 1 })
    outbox.due(row.due_at)
    if (row.state === 'ready') outbox.ready.push(row)
  }
}

function countOutcomes(outcomes: readonly Outcome<Published>[], { counters }: SpineParts): void {
  for (const outcome of outcomes) {
    if (!outcome.ok) counters.add('refused')
    else counters.add(outcome.value.isNew ? 'published' : 'deduplicated')
  }
}

interface KnownJob {
  readonly id: string
  readonly hash: string
}

async function knownJobs(tx: Tx, publications: readonly Publication[]): Promise<Map<string, KnownJob>> {
  const keyed = publications.filter(({ job }) => job.idempotencyKey !== undefined)
  if (keyed.length === 0) return new Map()
  // So that of two that publish the same key at the same time the second sees what the first has done.
  const keys = keyed.map((publication): OrderingKey =>
    keyOf(queueOf(publication), publication.job.idempotencyKey ?? ''),
  )
  const [, rows] = await Promise.all([lockNames(tx, keyed.map(idempotencyName)), selectKnown(tx, keys)])
  return new Map(
    rows.map(row => [nameOf('idempotency', keyOf(row, row.idempotency_key)), { id: row.id, hash: row.request_hash }]),
  )
}

function repeated(same: KnownJob, hash: string, { job }: Publication): Outcome<Published> {
  if (same.hash === hash) return { ok: true, value: { jobId: same.id, isNew: false } }
  const message = `The idempotency key ${job.idempotencyKey ?? ''} belongs to the job ${same.id}, which is another one. Choose a new key for a new job.`
  return { ok: false, error: new AppError('job.conflict', message, { details: { jobId: same.id } }) }
}

const retryAfterSeconds = 2

/** How much more fits into the queues. */
class Room {
  readonly #counts: OpenCounts
  readonly #parts: SpineParts
  readonly #taken = new Map<string, number>()
  #total = 0

  constructor(counts: OpenCounts, parts: SpineParts) {
    this.#counts = counts
    this.#parts = parts
  }

  /** Takes the room of one job, or says why there is none. */
  take(queue: QueueName): AppError | null {
    const { jobsPerQueue, jobs } = this.#parts.bounds
    const key = queueKey(queue)
    const taken = this.#taken.get(key) ?? 0
    if (this.#counts.of(queue) + taken >= jobsPerQueue)
      return full(`The queue ${queue.topic} has ${jobsPerQueue} jobs that are not over, and takes no more.`)
    if (this.#counts.total + this.#total >= jobs)
      return full(`The server has ${jobs} jobs that are not over, and takes no more.`)
    this.#taken.set(key, taken + 1)
    this.#total++
    return null
  }
}

function full(why: string): AppError {
  return new AppError('queue.full', `${why} Try again later, or let more operators work on it.`, {
    details: { retryAfterSeconds },
  })
}

/** Throws `queue.full` where the queue takes no further job. */
export async function assertRoom(tx: Tx, queue: QueueName, parts: SpineParts): Promise<void> {
  const error = new Room(await selectOpen(tx, [queue]), parts).take(queue)
  if (error !== null) throw error
}

/** Which ordering keys have a job before. */
class Order {
  readonly #busy: Set<string>

  private constructor(busy: Set<string>) {
    this.#busy = busy
  }

  static async of(tx: Tx, publications: readonly Publication[]): Promise<Order> {
    const keys = publications.flatMap(publication => {
      const { orderingKey } = publication.job
      return orderingKey === undefined ? [] : [keyOf(queueOf(publication), orderingKey)]
    })
    if (keys.length === 0) return new Order(new Set())
    // From here to the commit nobody else publishes under these keys, so that their positions rise in that order.
    const [, busy] = await Promise.all([lockKeys(tx, keys), selectBusy(tx, keys)])
    return new Order(new Set(busy.map(key => nameOf('order', key))))
  }

  /** Whether the job has to wait for another one of its key. */
  add(publication: Publication): boolean {
    const { orderingKey } = publication.job
    if (orderingKey === undefined) return false
    const name = nameOf('order', keyOf(queueOf(publication), orderingKey))
    const isBlocked = this.#busy.has(name)
    this.#busy.add(name)
    return isBlocked
  }
}

function rowOf(
  { organisation, job }: Publication,
  { now, hash, isBlocked }: { readonly now: number; readonly hash: string | null; readonly isBlocked: boolean },
): NewJobRow {
  const run_at = now + job.delayMs
  const deadline_at = job.deadlineAt ?? (job.deadlineMs === undefined ? null : now + job.deadlineMs)
  const state = isBlocked ? 'blocked' : job.delayMs > 0 ? 'delayed' : 'ready'
  return {
    id: randomUUIDv7(),
    organisation,
    topic: job.topic,
    schema: job.schema,
    priority: job.priority,
    ordering_key: job.orderingKey ?? null,
    idempotency_key: job.idempotencyKey ?? null,
    request_hash: hash,
    state,
    attempts: 0,
    max_attempts: job.maxAttempts,
    backoff_first_ms: job.backoff.firstMs,
    backoff_ceiling_ms: job.backoff.ceilingMs,
    fence: 0,
    created_at: now,
    run_at,
    deadline_at,
    due_at: dueAt({ state, run_at, deadline_at, leased_until: null, cancel_at: null }),
    finished_at: null,
    operator: null,
    leased_at: null,
    leased_until: null,
    cancel_at: null,
    stream_n: 0,
    stream_fence: 0,
    log_n: 0,
    progress: null,
    reason: null,
    trace: job.trace === undefined ? null : JSON.stringify(job.trace),
  }
}

/** Of everything that makes it this job and no other; the trace may differ from one try to the next. */
function hashOf({ job: { payload, trace: _trace, idempotencyKey: _key, ...job } }: Publication): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${JSON.stringify(sorted(job))}\n`), payload]), 'base64url')
}

function sorted(job: object): [string, unknown][] {
  return Object.entries(job).sort(([a], [b]) => (a < b ? -1 : 1))
}

function queueOf({ organisation, job }: Publication): QueueName {
  return { organisation, topic: job.topic }
}

function idempotencyName(publication: Publication): string {
  return nameOf('idempotency', keyOf(queueOf(publication), publication.job.idempotencyKey ?? ''))
}

function nameOf(kind: 'idempotency' | 'order', { organisation, topic, key }: OrderingKey): string {
  return `${kind} ${JSON.stringify([organisation, topic, key])}`
}
