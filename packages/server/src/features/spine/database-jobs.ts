import { Organisation, Payload, SchemaId, ShortText } from '@slipway/protocol/bus/envelope'
import { JobId, PublishJob, type JobAttempt, type JobLogLine, type JobView } from '@slipway/protocol/bus/jobs'
import { JobTopic } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import { z } from 'zod'
import type { Tx } from '#db/database'
import { checked } from './checked.ts'
import { QueueLane, type GroupCommit } from './group-commit.ts'
import { sayAll, type HeldWord } from './held-work.ts'
import { applySteps } from './job-ends.ts'
import { cancelling, isOver, type Job } from './job-machine.ts'
import {
  countHeld,
  findJob,
  findOrganisation,
  findPayload,
  listAttempts,
  listJobs,
  listLines,
} from './job-read-store.ts'
import { lockJob, type LeaseRef } from './job-store.ts'
import { jobView, unknownJob } from './job-view.ts'
import { LeaseDesk } from './lease-desk.ts'
import type { Message } from './message-store.ts'
import type { Tidings } from './outbox.ts'
import type { PayloadSchemas } from './payload-schemas.ts'
import { publishAll, publishLast, type Publication } from './publisher.ts'
import { listQueues, type QueueRow } from './queue-store.ts'
import type { SpineParts } from './spine-parts.ts'
import type {
  Heartbeat,
  HeartbeatReply,
  JobFailure,
  JobListQuery,
  JobPage,
  JobQueue,
  JobResult,
  LeasedJob,
  LeaseRequest,
  NackReply,
  Published,
  StreamPieces,
} from './spine.ts'

export interface DatabaseJobsOptions {
  readonly parts: SpineParts
  readonly commits: GroupCommit
  readonly schemas: PayloadSchemas
  readonly leaseMs: number
  readonly cancelGraceMs: number
}

const entriesPerCommit = 500
const longestReason = 2_000
const longestWaitMs = 86_400_000
const usualPage = 50
const longestPage = 500

const LeaseTerms = z.object({
  topics: z.array(JobTopic).min(1).max(50),
  operator: ShortText,
  organisation: Organisation.nullable(),
  max: z.number().int().min(1).max(1_000),
  schemas: z.array(SchemaId).min(1).max(100).optional(),
  slots: z.number().int().min(1).max(1_000).optional(),
  leaseMs: z.number().int().min(50).max(3_600_000).optional(),
  waitMs: z.number().int().min(0).max(600_000).default(0),
})

const Beat = z.object({
  leaseMs: z.number().int().min(50).max(3_600_000).optional(),
  progress: z.string().max(4_000).optional(),
  lines: z.array(z.string().max(4_000)).max(100).default([]),
})

const Result = z.object({ schema: SchemaId, payload: Payload })

const Pieces = z.object({
  schema: SchemaId,
  payloads: z.array(Payload).max(1_000),
  after: z.number().int().min(0).optional(),
})

/** The queue in the database. */
export class DatabaseJobs implements JobQueue {
  readonly #options: DatabaseJobsOptions
  readonly #publications: QueueLane<Publication, Published>
  readonly #words: QueueLane<HeldWord, Job>
  readonly #desk: LeaseDesk
  readonly #commits: GroupCommit
  readonly #watchers = new Set<(jobId: string | null) => void>()
  readonly #jobWatchers = new Map<string, Set<() => void>>()

  constructor(options: DatabaseJobsOptions) {
    const { parts, commits } = options
    this.#commits = commits
    this.#options = options
    this.#words = new QueueLane({
      work: (tx, words: readonly HeldWord[]) => sayAll(tx, words, parts),
      keyOf: ({ ref }) => ref.jobId,
      limit: entriesPerCommit,
    })
    this.#publications = new QueueLane({
      work: (tx, publications: readonly Publication[]) => publishLast(tx, publications, parts),
      limit: entriesPerCommit,
    })
    this.#desk = new LeaseDesk({ parts, wake: () => commits.wake() })
    commits.add(this.#words, this.#publications, this.#desk)
  }

  async publish(organisation: string, given: PublishJob): Promise<Published> {
    const publication = await this.#publication(organisation, given)
    this.#admit()
    const published = this.#publications.add(publication)
    this.#commits.wake()
    return published
  }

  async publishIn(tx: Tx, organisation: string, given: readonly PublishJob[]): Promise<Published[]> {
    const publications: Publication[] = []
    for (const job of given) publications.push(await this.#publication(organisation, job, tx))
    const outcomes = await publishAll(tx, publications, this.#options.parts)
    return outcomes.map(outcome => {
      if (outcome.ok) return outcome.value
      throw outcome.error
    })
  }

  async lease({ signal, ...given }: LeaseRequest): Promise<LeasedJob[]> {
    const { topics, schemas, slots, waitMs, leaseMs, ...want } = checked(LeaseTerms, given)
    this.#admit()
    const jobs = await this.#desk.lease(
      {
        ...want,
        topics: [...new Set(topics)],
        schemas: schemas ?? null,
        slots: slots ?? null,
        leaseMs: leaseMs ?? this.#options.leaseMs,
      },
      { waitMs, signal },
    )
    if (signal?.aborted !== true) return jobs
    // Nobody waits for them any more.
    await Promise.allSettled(jobs.map(({ id, fence }) => this.giveBack({ jobId: id, fence, organisation: null })))
    throw signal.reason
  }

  async heartbeat(ref: LeaseRef, given: Heartbeat = {}): Promise<HeartbeatReply> {
    const { leaseMs, progress, lines } = checked(Beat, given)
    const job = await this.#say({
      type: 'beat',
      ref,
      leaseMs: leaseMs ?? this.#options.leaseMs,
      progress: progress === undefined ? null : storable(progress),
      lines: lines.map(storable),
    })
    return { leasedUntil: job.leased_until ?? 0, cancelAt: job.cancel_at, reason: job.reason }
  }

  async ack(ref: LeaseRef, given: JobResult): Promise<void> {
    const result = checked(Result, given)
    await this.#checkPayloads(ref, result.schema, [result.payload])
    await this.#say({ type: 'ack', ref, result })
  }

  async nack(ref: LeaseRef, { reason, isRetryable, waitMs = 0 }: JobFailure): Promise<NackReply> {
    const failure = {
      reason: storable(reason).slice(0, longestReason),
      isRetryable,
      waitMs: Math.min(Math.max(0, Math.round(waitMs)), longestWaitMs),
    }
    const job = await this.#say({ type: 'nack', ref, failure })
    return { state: job.state, runAt: isOver(job.state) ? null : job.run_at }
  }

  async giveBack(ref: LeaseRef): Promise<void> {
    await this.#say({ type: 'return', ref })
  }

  async append(ref: LeaseRef, given: StreamPieces): Promise<number> {
    const pieces = checked(Pieces, given)
    await this.#checkPayloads(ref, pieces.schema, pieces.payloads)
    const job = await this.#say({ type: 'append', ref, pieces, leaseMs: this.#options.leaseMs })
    return job.stream_n
  }

  async cancel(organisation: string, jobId: string, reason = 'It was cancelled.'): Promise<JobView> {
    const { parts, cancelGraceMs } = this.#options
    const why = storable(reason).slice(0, longestReason)
    // On its own, and not with others: whoever holds a blocked job locked must not wait for an ordering key.
    const view = await parts.db.transaction(async tx => {
      const job = await lockJob(tx, organisation, checkedId(jobId))
      if (job === null) throw unknownJob(jobId)
      if (job.state === 'cancelled') return jobView(job)
      if (isOver(job.state))
        throw new AppError('job.state', `The job ${jobId} is ${job.state} and can no longer be cancelled.`)
      const step = cancelling(job, parts.now(), { graceMs: cancelGraceMs, reason: why })
      await applySteps(tx, [step], parts)
      return jobView(step.after)
    })
    return view
  }

  held(organisation: string, operator: string): Promise<number> {
    return countHeld(this.#options.parts.db.read, { organisation, operator })
  }

  watchLeases(handler: (jobId: string | null) => void): Disposable {
    this.#watchers.add(handler)
    return { [Symbol.dispose]: () => void this.#watchers.delete(handler) }
  }

  watchJob(jobId: string, handler: () => void): Disposable {
    const watchers = this.#jobWatchers.get(jobId) ?? new Set()
    this.#jobWatchers.set(jobId, watchers.add(handler))
    return {
      [Symbol.dispose]: () => {
        watchers.delete(handler)
        if (watchers.size === 0) this.#jobWatchers.delete(jobId)
      },
    }
  }

  async get(organisation: string, jobId: string): Promise<JobView> {
    return jobView(await this.#find(organisation, jobId))
  }

  async payload(organisation: string, jobId: string): Promise<Uint8Array> {
    const payload = await findPayload(this.#options.parts.db.read, organisation, checkedId(jobId))
    if (payload === null) throw unknownJob(jobId)
    return payload
  }

  async list(organisation: string, { topic, state, limit, cursor }: JobListQuery = {}): Promise<JobPage> {
    const { jobs, next } = await listJobs(this.#options.parts.db.read, {
      organisation,
      topic,
      states: typeof state === 'string' ? [state] : state,
      limit: pageOf(limit),
      before: cursor ?? null,
    })
    return { jobs: jobs.map(jobView), cursors: jobs.map(({ position }) => position), next }
  }

  async attempts(organisation: string, jobId: string): Promise<JobAttempt[]> {
    return listAttempts(this.#options.parts.db.read, await this.#find(organisation, jobId))
  }

  async logs(organisation: string, jobId: string, after = 0): Promise<JobLogLine[]> {
    const { id } = await this.#find(organisation, jobId)
    return listLines(this.#options.parts.db.read, id, after)
  }

  async result(organisation: string, jobId: string): Promise<Message | null> {
    const { id } = await this.#find(organisation, jobId)
    return this.#options.parts.messages.result(organisation, id)
  }

  queues(organisation: string): Promise<QueueRow[]> {
    return listQueues(this.#options.parts.db.read, organisation)
  }

  heard(tidings: Tidings | 'everything'): void {
    this.#desk.heard(tidings)
    const jobs = tidings === 'everything' ? [null] : tidings.leases
    for (const watcher of this.#watchers) for (const jobId of jobs) watcher(jobId)
    if (this.#jobWatchers.size === 0) return
    const changed = tidings === 'everything' ? this.#jobWatchers.keys() : tidings.changed
    for (const jobId of changed) for (const watcher of this.#jobWatchers.get(jobId) ?? []) watcher()
  }

  /** Lets those that wait for jobs go without one. */
  close(): void {
    this.#desk.close()
  }

  async #find(organisation: string, jobId: string): Promise<Job> {
    const job = await findJob(this.#options.parts.db.read, organisation, checkedId(jobId))
    if (job === null) throw unknownJob(jobId)
    return job
  }

  async #publication(organisation: string, given: PublishJob, tx?: Tx): Promise<Publication> {
    const job = checked(PublishJob, given)
    const publication: Publication = { organisation: checked(Organisation, organisation), job }
    await this.#options.schemas.check(organisation, job, tx)
    return publication
  }

  /** A job's own organisation says what its payloads are; a server's operator may work for any. */
  async #checkPayloads(ref: LeaseRef, schema: string, payloads: readonly Uint8Array[]): Promise<void> {
    const { schemas, parts } = this.#options
    const organisation = ref.organisation ?? (await findOrganisation(parts.db.read, checkedId(ref.jobId)))
    if (organisation === null) return
    for (const payload of payloads) await schemas.check(organisation, { schema, payload })
  }

  async #say(word: HeldWord): Promise<Job> {
    if (!JobId.safeParse(word.ref.jobId).success || !Number.isSafeInteger(word.ref.fence))
      throw new AppError('lease.lost', 'There is no such lease.')
    this.#admit()
    const said = this.#words.add(word)
    this.#commits.wake()
    return said
  }

  #admit(): void {
    if (this.#commits.isOver)
      throw new AppError('server.stopping', 'The server is stopping. Ask another one, or again in a moment.')
    const waiting = this.#words.size + this.#publications.size + this.#desk.size
    if (waiting >= this.#options.parts.bounds.waiting)
      throw new AppError('server.busy', 'Too many requests wait for the database. Try again in a moment.')
  }
}

function checkedId(jobId: string): string {
  if (!JobId.safeParse(jobId).success) throw unknownJob(jobId)
  return jobId
}

function pageOf(limit: number | undefined): number {
  return Math.max(1, Math.min(limit ?? usualPage, longestPage))
}

/** Text that both databases keep, in lists too. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd').toWellFormed()
}
