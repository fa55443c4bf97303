import { AppError } from '@slipway/protocol/errors'
import { planType, topicOfType, typeOfTopic, type DeadLetter, type Job } from '@slipway/protocol/jobs'
import type { PayloadSchema, PutSchedule, QueueDepth, ScheduledJob } from '@slipway/protocol/queues'
import type { Identity } from '#http/authenticate'
import type { Outgoing } from '#features/shield/shield'
import type { Spine } from '#features/spine/spine'
import { contentOf } from './content.ts'
import type { JobRef } from './job-kind.ts'
import { publicationOf } from './publication.ts'
import { attemptOf, isoTime, jobOf } from './queue-view.ts'

type ScheduleView = Awaited<ReturnType<Spine['schedules']['put']>>

export interface DeadLetterFilter {
  readonly type?: string | undefined
  readonly limit: number
  readonly after?: number | undefined
}

/** What is around the jobs of the Spine: dead letters, schedules, schemas, and how full the queues are. */
export class Queues {
  readonly #spine: Spine
  readonly #check: (message: Outgoing) => Promise<void>

  constructor(spine: Spine, check: (message: Outgoing) => Promise<void>) {
    this.#spine = spine
    this.#check = check
  }

  async deadLetters(
    organisation: string,
    { type, limit, after }: DeadLetterFilter,
  ): Promise<{ readonly jobs: Job[]; readonly next: number | null }> {
    const query = { topic: type && topicOfType(type), limit, cursor: after }
    const { jobs, next } = await this.#spine.deadLetters.list(organisation, query)
    return { jobs: jobs.map(jobOf), next }
  }

  async deadLetter({ by, jobId }: JobRef): Promise<DeadLetter> {
    const { job, payload, attempts } = await this.#spine.deadLetters.inspect(by.organisation, jobId)
    return { ...contentOf({ schema: job.schema, payload }), job: jobOf(job), attempts: attempts.map(attemptOf) }
  }

  async redrive({ by, jobId }: JobRef): Promise<Job> {
    return jobOf(await this.#spine.deadLetters.redrive(by.organisation, jobId))
  }

  async discard({ by, jobId }: JobRef): Promise<Job> {
    return jobOf(await this.#spine.deadLetters.discard(by.organisation, jobId))
  }

  async schedules(organisation: string): Promise<ScheduledJob[]> {
    return (await this.#spine.schedules.list(organisation)).map(scheduleOf)
  }

  /** `bodyText` is the request's, for the payload as it was written. */
  async putSchedule(
    { by, name }: { readonly by: Identity; readonly name: string },
    { cron, timeZone, misfire, job }: PutSchedule,
    bodyText: string,
  ): Promise<ScheduledJob> {
    if (job.type === planType)
      throw new AppError(
        'input.invalid',
        'Schedules submit jobs of operators. A run of a plan is started by a request.',
      )
    const publication = publicationOf(job, { bodyText, path: ['job', 'payload'] })
    await this.#check({ by, type: 'job', trace: undefined, ...publication })
    const { organisation } = by
    return scheduleOf(
      await this.#spine.schedules.put({ organisation, name, cron, timeZone, misfire, job: publication }),
    )
  }

  deleteSchedule(organisation: string, name: string): Promise<void> {
    return this.#spine.schedules.delete(organisation, name)
  }

  schemas(organisation: string): Promise<string[]> {
    return this.#spine.schemas.list(organisation)
  }

  async schema(organisation: string, id: string): Promise<PayloadSchema> {
    return { id, schema: (await this.#spine.schemas.get(organisation, id)) as PayloadSchema['schema'] }
  }

  register(organisation: string, { id, schema }: PayloadSchema): Promise<void> {
    return this.#spine.schemas.register(organisation, id, schema)
  }

  async depths(organisation: string): Promise<QueueDepth[]> {
    const rows = await this.#spine.jobs.queues(organisation)
    return rows.map(({ topic, open, finished, dead }) => ({ type: typeOfTopic(topic), open, finished, dead }))
  }
}

function scheduleOf({ name, topic, cron, timeZone, misfire, nextAt, lastJobId }: ScheduleView): ScheduledJob {
  return { name, type: typeOfTopic(topic), cron, timeZone, misfire, nextAt: isoTime(nextAt), lastJobId }
}
