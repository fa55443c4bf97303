import { PyDict, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import {
  planType,
  type Attempt,
  type Content,
  type Job,
  type JobDetails,
  type JobOutcome,
  type JobStatus,
  type SubmitJob,
} from '@slipway/protocol/jobs'
import { StartRun } from '@slipway/protocol/runs'
import type { EventLog } from '#features/events/events'
import { inputsOf, readBody, type Runs } from '#features/runs/runs'
import type { Outgoing } from '#features/shield/shield'
import type { Spine } from '#features/spine/spine'
import type { Identity } from '#http/authenticate'
import { withHeartbeats } from './heartbeats.ts'
import type { FollowJob, Frames, JobKind, JobRef, LogPage, LogRange, SourceQuery } from './job-kind.ts'
import { emptySource, mergedPage, type ListedJobs, type ReadSource } from './job-list.ts'
import { PlanJobs } from './plan-jobs.ts'
import { publicationOf } from './publication.ts'
import { QueueJobs } from './queue-jobs.ts'
import { Queues } from './queues.ts'

export interface JobsDeps {
  readonly spine: Spine
  readonly runs: Runs
  readonly events: EventLog
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** After how long without anything else a stream has a heartbeat. */
  readonly heartbeatMs: number
  /** Whether a job may go on the bus: throws what its organisation's policies refuse it with. */
  readonly check: (message: Outgoing) => Promise<void>
}

export interface JobFilter {
  readonly type?: string | undefined
  readonly status?: JobStatus | undefined
  readonly limit: number
  readonly after?: string | undefined
}

/** How a job was asked for, beside what the body's schema made of it. */
export interface Submission {
  /** As it was written: payloads keep their numbers and the order of their names. */
  readonly bodyText: string
  /** Where the body has none. */
  readonly idempotencyKey: string | undefined
}

/** The one way in to all work: jobs of operators in the Spine's queues, and runs of plans. */
export class Jobs {
  readonly queues: Queues
  readonly #deps: JobsDeps
  readonly #ofQueues: JobKind
  readonly #ofPlans: JobKind

  constructor(deps: JobsDeps) {
    this.#deps = deps
    this.queues = new Queues(deps.spine, deps.check)
    this.#ofQueues = new QueueJobs(deps.spine)
    this.#ofPlans = new PlanJobs(deps.runs, deps.events)
  }

  /** Resolves once the job is on disk. Repeating an idempotency key gives the job that it began. */
  async submit(by: Identity, asked: SubmitJob, { bodyText, idempotencyKey }: Submission): Promise<{ jobId: string }> {
    const key = asked.idempotencyKey ?? idempotencyKey
    if (asked.type === planType) return { jobId: await this.#startRun(by, asked, { bodyText, idempotencyKey: key }) }
    const publication = publicationOf(asked, { bodyText, path: ['payload'] })
    await this.#deps.check({ by, type: 'job', trace: undefined, ...publication })
    const { jobId } = await this.#deps.spine.jobs.publish(by.organisation, {
      ...publication,
      idempotencyKey: key,
      delayMs: asked.delaySeconds && Math.round(asked.delaySeconds * 1000),
      deadlineAt: asked.deadline === undefined ? undefined : Date.parse(asked.deadline),
    })
    return { jobId }
  }

  list(by: Identity, { type, status, limit, after }: JobFilter): Promise<ListedJobs> {
    const of =
      (kind: JobKind): ReadSource =>
      (cursor, count) =>
        kind.list({ by, type, status, cursor, limit: count } satisfies SourceQuery)
    const queues = type === planType ? emptySource : of(this.#ofQueues)
    const plans = type === undefined || type === planType ? of(this.#ofPlans) : emptySource
    return mergedPage([queues, plans], { limit, after })
  }

  async get(job: JobRef): Promise<JobDetails> {
    return (await this.#kind(job)).get(job)
  }

  async cancel(job: JobRef, reason: string): Promise<Job> {
    return (await this.#kind(job)).cancel(job, reason)
  }

  async outcome(job: JobRef): Promise<JobOutcome> {
    return (await this.#kind(job)).outcome(job)
  }

  async payload(job: JobRef): Promise<Content> {
    return (await this.#kind(job)).payload(job)
  }

  async attempts(job: JobRef): Promise<Attempt[]> {
    return (await this.#kind(job)).attempts(job)
  }

  async logs(job: JobRef, range: LogRange): Promise<LogPage> {
    return (await this.#kind(job)).logs(job, range)
  }

  /** Null where there is no such job. */
  async follow(job: JobRef, options: FollowJob): Promise<Frames | null> {
    const kind = await this.#findKind(job)
    if (kind === null) return null
    const { heartbeatMs: everyMs, now } = this.#deps
    return withHeartbeats(kind.follow(job, options), { everyMs, now })
  }

  async #startRun(by: Identity, asked: SubmitJob, { bodyText, idempotencyKey }: Submission): Promise<string> {
    refuseForRuns(asked)
    const { data, error } = StartRun.safeParse(asked.payload)
    if (data === undefined) {
      const problems = error.issues.map(({ path, message }) => ({ path: ['body.payload', ...path].join('.'), message }))
      const said = problems.map(({ path, message }) => `${path}: ${message}`).join('; ')
      throw new AppError('input.invalid', `The payload is no request for a run. ${said}`, { details: problems })
    }
    const key = data.idempotency_key ?? idempotencyKey
    const run = await this.#deps.runs.start(by, { ...data, idempotency_key: key }, inputsOf(payloadOf(bodyText)))
    return run.run_id
  }

  async #kind(job: JobRef): Promise<JobKind> {
    const kind = await this.#findKind(job)
    if (kind === null)
      throw new AppError(
        'job.unknown',
        `There is no job ${job.jobId}, or it is no longer kept. \`slipway jobs list\` lists them.`,
      )
    return kind
  }

  async #findKind(job: JobRef): Promise<JobKind | null> {
    if (await this.#ofQueues.has(job)) return this.#ofQueues
    return (await this.#ofPlans.has(job)) ? this.#ofPlans : null
  }
}

const notOfRuns = [
  'payloadBase64',
  'schema',
  'priority',
  'delaySeconds',
  'deadline',
  'orderingKey',
  'maxAttempts',
] as const

function refuseForRuns(asked: SubmitJob): void {
  const given = notOfRuns.filter(name => asked[name] !== undefined)
  if (given.length === 0) return
  throw new AppError(
    'input.invalid',
    `A job of the type plan takes no ${given.join(', ')}. What a run takes, such as timeout_seconds, stands in its payload.`,
  )
}

function payloadOf(bodyText: string): Value {
  const body = readBody(bodyText)
  return body instanceof PyDict ? (body.get('payload') ?? new PyDict()) : new PyDict()
}
