import type {
  JobAttempt,
  JobLogLine,
  JobState,
  JobView,
  PublishJob,
  Schedule,
  CheckedSchedule,
} from '@slipway/protocol/bus/jobs'
import type { EnvelopeType, Trace } from '@slipway/protocol/bus/envelope'
import type { Tx } from '#db/database'
import type { SpineCounts } from '#observe/spine-counters'
import type { LeaseRef } from './job-store.ts'
import type { Delivery, FollowJob, FollowTopics } from './message-log.ts'
import type { Message } from './message-store.ts'
import type { QueueRow } from './queue-store.ts'

/**
 * The one queue of the server: jobs for operators, and messages for whoever listens.
 *
 * P1. What was published, handed out, acknowledged or said in any other way is on disk when the promise resolves.
 * P2. A job is handed out at least once until it has ended, and its end is written once: whoever speaks under a lease that
 *     is no longer theirs is refused with `lease.lost`.
 * P3. Nobody sees anything of another organisation. Null stands for the server itself, which works for all of them.
 * P4. Every queue is bounded; what does not fit is refused with `queue.full`, and a reader that is too slow is cut.
 */
export interface Spine extends AsyncDisposable {
  readonly jobs: JobQueue
  readonly deadLetters: DeadLetters
  readonly messages: Messages
  readonly schemas: Schemas
  readonly schedules: Schedules
  /** Begins with what happens by itself: leases that end, times that come, schedules, retention. */
  start(): void
  /** What happened since this server started. */
  counts(): SpineCounts
}

export interface JobQueue {
  /**
   * Publishes a job. With an idempotency key that is known it is the same job, or `job.conflict` where the content is
   * another. Throws `input.invalid`, `payload.invalid` for a payload that its schema refuses, and `queue.full`.
   */
  publish(organisation: string, job: PublishJob): Promise<Published>
  /** The same as part of the caller's transaction, for several jobs at once; nothing is published when that fails. */
  publishIn(tx: Tx, organisation: string, jobs: readonly PublishJob[]): Promise<Published[]>
  /**
   * Hands out up to `max` jobs; waits up to `waitMs` for the first of them. Organisations take turns. Rejects with the
   * signal's reason; jobs that were on their way then are given back.
   */
  lease(request: LeaseRequest): Promise<LeasedJob[]>
  /** Keeps the lease alive, and says whether the work is to end. */
  heartbeat(lease: LeaseRef, beat?: Heartbeat): Promise<HeartbeatReply>
  /** Ends the job with this result and publishes it, in one transaction. */
  ack(lease: LeaseRef, result: JobResult): Promise<void>
  /** Ends the hand-out without a result: the job waits for its next one, or is dead. */
  nack(lease: LeaseRef, failure: JobFailure): Promise<NackReply>
  /** Gives the job back untouched: the hand-out does not count. */
  giveBack(lease: LeaseRef): Promise<void>
  /** Adds pieces to the job's stream; gives the number of the last. */
  append(lease: LeaseRef, pieces: StreamPieces): Promise<number>
  /**
   * Ends a job that nobody works on. Whoever works on it is told, and it ends after a grace whatever they do, unless they
   * are done before. Repeating it changes nothing. Throws `job.unknown`, and `job.state` for a job that has ended.
   */
  cancel(organisation: string, jobId: string, reason?: string): Promise<JobView>
  /** How many jobs an operator of the organisation works on, on whichever server it got them. */
  held(organisation: string, operator: string): Promise<number>
  /** Calls the handler with each job whose lease should be looked at by a heartbeat; null where it may be any. */
  watchLeases(handler: (jobId: string | null) => void): Disposable
  /**
   * Calls the handler when this server has changed something of the job: its state, its progress or its log. What others
   * change has to be looked for.
   */
  watchJob(jobId: string, handler: () => void): Disposable
  /** Throws `job.unknown`. */
  get(organisation: string, jobId: string): Promise<JobView>
  payload(organisation: string, jobId: string): Promise<Uint8Array>
  list(organisation: string, query?: JobListQuery): Promise<JobPage>
  attempts(organisation: string, jobId: string): Promise<JobAttempt[]>
  logs(organisation: string, jobId: string, after?: number): Promise<JobLogLine[]>
  /** The newest result; null where the job has none yet. */
  result(organisation: string, jobId: string): Promise<Message | null>
  queues(organisation: string): Promise<QueueRow[]>
}

export interface Published {
  readonly jobId: string
  /** False when its idempotency key was known. */
  readonly isNew: boolean
}

export interface LeaseRequest {
  readonly topics: readonly string[]
  /** Who asks; stands in the history of the jobs. */
  readonly operator: string
  /** Whose jobs; null for those of all organisations. */
  readonly organisation: string | null
  readonly max: number
  /**
   * At most so many jobs at a time for this operator of the organisation, with those that it has already, on whichever
   * server it got them. Where it has as many, the request is answered at once with none.
   */
  readonly slots?: number | undefined
  /** Only jobs whose payload is one of these. */
  readonly schemas?: readonly string[] | undefined
  readonly leaseMs?: number | undefined
  readonly waitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface LeasedJob {
  readonly id: string
  /** The number of the lease: everything that is said of the job carries it. */
  readonly fence: number
  readonly organisation: string
  readonly topic: string
  readonly schema: string
  readonly payload: Uint8Array
  /** 1 for the first hand-out. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number
  readonly orderingKey: string | null
  readonly leasedUntil: number
  readonly deadlineAt: number | null
  readonly trace: Trace | null
  /** The number of the newest piece of its stream. */
  readonly streamN: number
}

export interface Heartbeat {
  readonly leaseMs?: number | undefined
  /** How far it is, in a few words or as JSON; up to 4,000 characters. */
  readonly progress?: string | undefined
  /** Lines for the log of the job: up to 100 of up to 4,000 characters. */
  readonly lines?: readonly string[] | undefined
}

export interface HeartbeatReply {
  readonly leasedUntil: number
  /** When the job ends by itself because somebody cancelled it; null where nobody did. */
  readonly cancelAt: number | null
  readonly reason: string | null
}

export interface JobResult {
  readonly schema: string
  readonly payload: Uint8Array
}

export interface JobFailure {
  readonly reason: string
  readonly isRetryable: boolean
  /** The job is not handed out again before this time, in milliseconds, has passed; at most a day. */
  readonly waitMs?: number | undefined
}

export interface NackReply {
  readonly state: JobState
  /** When it is handed out again. */
  readonly runAt: number | null
}

export interface StreamPieces {
  readonly schema: string
  readonly payloads: readonly Uint8Array[]
  /**
   * The number of the last piece that whoever sends them knows of. Where the stream is further, these pieces were sent
   * before and are left out.
   */
  readonly after?: number | undefined
}

export interface JobListQuery {
  readonly topic?: string | undefined
  /** One state, or any of several. */
  readonly state?: JobState | readonly JobState[] | undefined
  readonly limit?: number | undefined
  /** `next` of the page before. */
  readonly cursor?: number | undefined
}

export interface JobPage {
  /** Newest first. */
  readonly jobs: readonly JobView[]
  /** Of each of them, the cursor of the page that begins behind it. */
  readonly cursors: readonly number[]
  /** For the next page, which may be empty and have another behind it; null on the last one. */
  readonly next: number | null
}

export interface CarrierTerms {
  /** So many may be on their way to it, or with it, at a time. */
  readonly maxJobs: number
  readonly leaseMs: number
  /** Whether this connection is in the place of all others: what those were handed and have not answered comes again. */
  readonly isAnew: boolean
}

/** Takes jobs that are leased to operators that this server does not reach itself, and keeps them until they are answered. */
export interface JobCarrier {
  /** Comes before the first job for an operator. */
  open(operator: string, terms: CarrierTerms): Promise<void>
  /**
   * Resolves once the job, written as `frame`, is kept; false for one that is too large for that. Rejects where it may not
   * be: then whoever is to do it has perhaps never heard of it.
   */
  carry(operator: string, job: Pick<LeasedJob, 'id' | 'fence'>, frame: Uint8Array): Promise<boolean>
}

export interface DeadLetters {
  /** Those that were published last first. */
  list(organisation: string, query?: Omit<JobListQuery, 'state'>): Promise<JobPage>
  /** Throws `job.unknown`, and `job.state` for a job that is not dead. */
  inspect(organisation: string, jobId: string): Promise<DeadLetter>
  /** Back to the end of its queue, with all its attempts. */
  redrive(organisation: string, jobId: string): Promise<JobView>
  discard(organisation: string, jobId: string): Promise<JobView>
}

export interface DeadLetter {
  readonly job: JobView
  readonly payload: Uint8Array
  readonly attempts: readonly JobAttempt[]
}

export interface Messages {
  /** Publishes a message that is no job. Throws `input.invalid` and `payload.invalid`. */
  publish(organisation: string, message: NewMessage): Promise<{ readonly id: string }>
  publishIn(tx: Tx, organisation: string, messages: readonly NewMessage[]): Promise<void>
  /** The number of the newest message of all; what is committed from now on has a higher one. */
  last(): Promise<number>
  /** Messages of topics behind a number, first from the log and then live. */
  follow(options: FollowTopics): AsyncGenerator<Delivery, void>
  /** The stream of a job behind a piece, and its result as the last. */
  followJob(options: FollowJob): AsyncGenerator<Delivery, void>
}

export interface NewMessage {
  readonly topic: string
  readonly type: Extract<EnvelopeType, 'event' | 'control'>
  readonly schema: string
  readonly payload: Uint8Array
  readonly trace?: Trace | undefined
}

export interface Schemas {
  /**
   * Declares what payloads of a schema id are, as JSON Schema; from then on others are refused. Repeating it changes
   * nothing. Throws `schema.conflict` for another schema under a known id, and `schema.invalid`.
   */
  register(organisation: string, id: string, schema: unknown): Promise<void>
  /** Throws `schema.unknown`. */
  get(organisation: string, id: string): Promise<unknown>
  list(organisation: string): Promise<string[]>
}

export interface Schedules {
  /** Throws `input.invalid` for a time that never comes. */
  put(schedule: Schedule): Promise<ScheduleView>
  list(organisation: string): Promise<ScheduleView[]>
  /** Throws `schedule.unknown`. */
  delete(organisation: string, name: string): Promise<void>
}

export interface ScheduleView extends Pick<CheckedSchedule, 'organisation' | 'name' | 'cron' | 'timeZone' | 'misfire'> {
  readonly topic: string
  readonly nextAt: number
  readonly lastJobId: string | null
}
