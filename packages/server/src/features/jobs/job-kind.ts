import type {
  Attempt,
  Content,
  Job,
  JobDetails,
  JobLog,
  JobOutcome,
  JobStatus,
  StreamFrame,
} from '@slipway/protocol/jobs'
import type { Identity } from '#http/authenticate'
import type { ClosingReason } from '#http/sockets'
import type { Source } from './job-list.ts'

/** A job as somebody asks for it. Those of other organisations are not there. */
export interface JobRef {
  readonly by: Identity
  readonly jobId: string
}

export interface LogRange {
  /** Behind this line. */
  readonly after: number
  readonly limit: number
}

export interface LogPage {
  readonly lines: JobLog[]
  /** The number to go on after; null at the end. */
  readonly next: number | null
}

export interface SourceQuery {
  readonly by: Identity
  /** Of this type alone. */
  readonly type: string | undefined
  readonly status: JobStatus | undefined
  readonly cursor: string | null
  readonly limit: number
}

/** The frames of a job's stream up to its end, and why the stream ends. */
export type Frames = AsyncGenerator<StreamFrame, ClosingReason>

export interface FollowJob {
  /** `n` of the last frame that the reader has. */
  readonly after: string
  readonly signal: AbortSignal
}

/** What can be asked of jobs, of whatever kind. Everything throws `job.unknown` for a job that is not of the kind. */
export interface JobKind {
  has(job: JobRef): Promise<boolean>
  list(query: SourceQuery): Promise<Source>
  get(job: JobRef): Promise<JobDetails>
  cancel(job: JobRef, reason: string): Promise<Job>
  /** Throws `job.not_finished`. */
  outcome(job: JobRef): Promise<JobOutcome>
  payload(job: JobRef): Promise<Content>
  attempts(job: JobRef): Promise<Attempt[]>
  logs(job: JobRef, range: LogRange): Promise<LogPage>
  follow(job: JobRef, options: FollowJob): Frames
}
