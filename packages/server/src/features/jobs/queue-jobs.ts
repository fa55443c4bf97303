import { failureSchema } from '@slipway/protocol/bus/envelope'
import { JobId, type JobView } from '@slipway/protocol/bus/jobs'
import { AppError } from '@slipway/protocol/errors'
import {
  topicOfType,
  type Attempt,
  type Content,
  type Job,
  type JobDetails,
  type JobOutcome,
} from '@slipway/protocol/jobs'
import type { Spine } from '#features/spine/spine'
import { contentOf } from './content.ts'
import type { FollowJob, Frames, JobKind, JobRef, LogPage, LogRange, SourceQuery } from './job-kind.ts'
import type { Source } from './job-list.ts'
import { queueFrames } from './queue-stream.ts'
import { attemptOf, jobOf, logOf, statesOf } from './queue-view.ts'

const running = new Set(['queued', 'running'])

/** Jobs of the Spine, which operators work on. */
export class QueueJobs implements JobKind {
  readonly #spine: Spine

  constructor(spine: Spine) {
    this.#spine = spine
  }

  async has(job: JobRef): Promise<boolean> {
    if (!JobId.safeParse(job.jobId).success) return false
    try {
      await this.#view(job)
      return true
    } catch (error) {
      if (error instanceof AppError && error.code === 'job.unknown') return false
      throw error
    }
  }

  async list({ by, type, status, cursor, limit }: SourceQuery): Promise<Source> {
    const state = status && statesOf(status)
    if (state?.length === 0) return { jobs: [], cursors: [], next: null }
    const { jobs, cursors, next } = await this.#spine.jobs.list(by.organisation, {
      topic: type && topicOfType(type),
      state,
      limit,
      cursor: cursor === null ? undefined : Number(cursor),
    })
    return { jobs: jobs.map(jobOf), cursors: cursors.map(String), next: next === null ? null : String(next) }
  }

  async get(job: JobRef): Promise<JobDetails> {
    const view = jobOf(await this.#view(job))
    if (view.status !== 'succeeded') return view
    const result = await this.#result(job)
    return result === null ? view : { ...view, result }
  }

  async cancel({ by, jobId }: JobRef, reason: string): Promise<Job> {
    return jobOf(await this.#spine.jobs.cancel(by.organisation, jobId, reason))
  }

  async outcome(job: JobRef): Promise<JobOutcome> {
    const { status, error } = jobOf(await this.#view(job))
    if (running.has(status))
      throw new AppError('job.not_finished', `The job is ${status}. Its result is there once it is over.`)
    const content = (await this.#result(job)) ?? { schema: failureSchema }
    return { jobId: job.jobId, status, error, ...content }
  }

  async payload(job: JobRef): Promise<Content> {
    const { schema } = await this.#view(job)
    return contentOf({ schema, payload: await this.#spine.jobs.payload(job.by.organisation, job.jobId) })
  }

  async attempts({ by, jobId }: JobRef): Promise<Attempt[]> {
    return (await this.#spine.jobs.attempts(by.organisation, jobId)).map(attemptOf)
  }

  async logs({ by, jobId }: JobRef, { after, limit }: LogRange): Promise<LogPage> {
    const found = await this.#spine.jobs.logs(by.organisation, jobId, after)
    const lines = found.slice(0, limit).map(logOf)
    return { lines, next: found.length > limit ? (lines.at(-1)?.n ?? null) : null }
  }

  follow({ by, jobId }: JobRef, { after, signal }: FollowJob): Frames {
    return queueFrames(this.#spine, { organisation: by.organisation, jobId, after, signal })
  }

  #view({ by, jobId }: JobRef): Promise<JobView> {
    return this.#spine.jobs.get(by.organisation, jobId)
  }

  async #result({ by, jobId }: JobRef): Promise<Content | null> {
    const message = await this.#spine.jobs.result(by.organisation, jobId)
    return message && contentOf(message)
  }
}
