import { z } from 'zod'
import { Organisation, Payload, SchemaId, ShortText, Trace } from './envelope.ts'
import { JobTopic } from './topics.ts'

export const JobId = z.uuid()

/**
 * `blocked` waits for an earlier job of its ordering key, `delayed` for its time, `ready` for an operator. `leased` is
 * being worked on. `done`, `cancelled`, `expired` and `discarded` are over; so is `dead`, which can be redriven.
 */
export const jobStates = [
  'blocked',
  'delayed',
  'ready',
  'leased',
  'done',
  'dead',
  'cancelled',
  'expired',
  'discarded',
] as const
export const JobState = z.enum(jobStates)
export type JobState = z.infer<typeof JobState>

const dayMs = 86_400_000

/** How long a job waits between two attempts: doubling from the first to the ceiling, half of it random. */
export const JobBackoff = z
  .object({
    firstMs: z.number().int().min(0).max(dayMs),
    ceilingMs: z.number().int().min(0).max(dayMs),
  })
  .refine(({ firstMs, ceilingMs }) => firstMs <= ceilingMs, 'The ceiling is not below the first wait.')

export const PublishJob = z.object({
  topic: JobTopic,
  schema: SchemaId,
  payload: Payload,
  /** Higher goes first. */
  priority: z.number().int().min(-100).max(100).default(0),
  /** Not before that many milliseconds from now. */
  delayMs: z
    .number()
    .int()
    .min(0)
    .max(366 * dayMs)
    .default(0),
  /** Jobs of one topic and key are done one at a time, in the order in which they were published. */
  orderingKey: ShortText.optional(),
  /** Two publications to one topic with the same key are one job, as long as the job is kept. */
  idempotencyKey: ShortText.optional(),
  /** Is over as `expired` where it has not ended that many milliseconds from now. */
  deadlineMs: z
    .number()
    .int()
    .min(1)
    .max(366 * dayMs)
    .optional(),
  /** The same as a time, in milliseconds since 1970: a repeated publication has the same one. */
  deadlineAt: z.number().int().min(0).optional(),
  /** How often it is handed out before it is dead. */
  maxAttempts: z.number().int().min(1).max(100).default(5),
  backoff: JobBackoff.default({ firstMs: 1_000, ceilingMs: 300_000 }),
  trace: Trace.optional(),
})
export type PublishJob = z.input<typeof PublishJob>
export type CheckedJob = z.output<typeof PublishJob>

/** A job, without its payload. Times are milliseconds since 1970. */
export interface JobView {
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly schema: string
  readonly state: JobState
  readonly priority: number
  readonly orderingKey: string | null
  /** Hand-outs since it was published or redriven. */
  readonly attempts: number
  readonly maxAttempts: number
  readonly createdAt: number
  /** When it was handed out last. */
  readonly leasedAt: number | null
  /** When it may be handed out, or could have been. */
  readonly runAt: number
  readonly deadlineAt: number | null
  readonly finishedAt: number | null
  /** Who works on it, or did last. */
  readonly operator: string | null
  readonly leasedUntil: number | null
  /** Whether whoever works on it was asked to stop. */
  readonly isCancelling: boolean
  /** What whoever works on it said last of how far it is. */
  readonly progress: string | null
  /** Why it ended, or why the last attempt did. */
  readonly reason: string | null
  readonly trace: Trace | null
}

/** One hand-out of a job. */
export interface JobAttempt {
  /** The lease's number. */
  readonly fence: number
  readonly operator: string
  readonly startedAt: number
  readonly endedAt: number | null
  readonly outcome: 'working' | 'done' | 'failed' | 'lost' | 'returned' | 'cancelled' | 'expired'
  readonly reason: string | null
}

export interface JobLogLine {
  readonly n: number
  /** The lease under which it was written. */
  readonly fence: number
  readonly ts: number
  readonly text: string
}

/** When a schedule that could not fire in time is looked at again: one job for all that was missed, or none. */
export const misfirePolicies = ['once', 'skip'] as const

export const Schedule = z.object({
  name: ShortText,
  organisation: Organisation,
  /** Five fields, or six with seconds first; also `@daily` and the like. */
  cron: z.string().min(1).max(200),
  /** Such as `Europe/Berlin`. */
  timeZone: z.string().min(1).max(64).default('UTC'),
  misfire: z.enum(misfirePolicies).default('once'),
  job: PublishJob.omit({ idempotencyKey: true, delayMs: true, deadlineAt: true }),
})
export type Schedule = z.input<typeof Schedule>
export type CheckedSchedule = z.output<typeof Schedule>
