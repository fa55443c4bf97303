import { z } from 'zod'
import { SchemaId, ShortText } from './bus/envelope.ts'
import { JobTopic } from './bus/topics.ts'
import { JobState } from './bus/jobs.ts'
import { route } from './route.ts'
import { RunId, RunState } from './runs.ts'

/** The type of plan runs. They have no queue of their own kind: such a job is a run, and its id is the run's. */
export const planType = 'plan'

/** What kind of work a job is: its topic without `.jobs`, such as `genesis`. */
export const JobType = z
  .string()
  .refine(
    type => type === planType || JobTopic.safeParse(topicOfType(type)).success,
    'A type is one to seven words of letters, digits, _ and -, with dots between them, such as genesis; not beginning with system.',
  )

/** `genesis` -> `genesis.jobs`, from which operators take jobs of the type. */
export function topicOfType(type: string): string {
  return `${type}.jobs`
}

/** `genesis.jobs` -> `genesis`. */
export function typeOfTopic(topic: string): string {
  return topic.slice(0, topic.lastIndexOf('.'))
}

/** The schema of a JSON payload where nobody says one: `genesis` -> `arqonbus.genesis.job.v1`. Null where that is none. */
export function usualSchema(type: string): string | null {
  const id = `arqonbus.${type.toLowerCase().replaceAll('.', '-')}.job.v1`
  return SchemaId.safeParse(id).success ? id : null
}

export const JobRef = RunId

/** `queued` waits for its time, its turn or an operator; `waiting` is a run that is paused or waits for people. */
export const JobStatus = z.enum(['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'expired'])
export type JobStatus = z.infer<typeof JobStatus>

/** JSON as it is; other payloads as base64 in `payloadBase64`, with the schema that says of what. */
const payload = {
  payload: z.unknown().optional(),
  payloadBase64: z.base64().max(1_500_000).optional(),
  schema: SchemaId.optional(),
}

const seconds = z
  .number()
  .min(0)
  .max(366 * 24 * 3600)

/** What a job is, whether it is submitted now or by a schedule. */
const terms = {
  type: JobType,
  ...payload,
  /** Higher goes first. */
  priority: z.number().int().min(-100).max(100).optional(),
  /** Jobs of one type and key are done one at a time, in the order in which they were submitted. */
  orderingKey: ShortText.optional(),
  /** How often it is handed out before it is a dead letter. */
  maxAttempts: z.number().int().min(1).max(100).optional(),
}

export const JobTerms = z.object(terms)
export type JobTerms = z.infer<typeof JobTerms>

export const SubmitJob = z.object({
  ...terms,
  /** Two requests for a type with the same key are one job. The header `Idempotency-Key` does the same. */
  idempotencyKey: ShortText.optional(),
  delaySeconds: seconds.optional(),
  /** Is over as `expired` where it has not ended by then. */
  deadline: z.iso.datetime({ offset: true }).optional(),
})
export type SubmitJob = z.infer<typeof SubmitJob>

/** A payload as HTTP carries it: JSON in `payload` where its bytes are JSON, otherwise `payloadBase64`. */
export const Content = z.object({
  schema: z.string(),
  payload: z.unknown().optional(),
  payloadBase64: z.string().optional(),
})
export type Content = z.infer<typeof Content>

export const JobError = z.object({
  /** `attempt_failed` while it is tried again; otherwise how it ended, of a run the reason of the run. */
  code: z.string(),
  message: z.string(),
  details: z.unknown().optional(),
})
export type JobError = z.infer<typeof JobError>

export const Job = z.object({
  jobId: z.string(),
  type: z.string(),
  status: JobStatus,
  /** The same in the queue's own words, or in the run's. */
  state: z.union([JobState, RunState]),
  createdAt: z.string(),
  /** The latest time of those that are kept: of its creation, its last hand-out, its end. */
  updatedAt: z.string(),
  startedAt: z.string().nullable(),
  finishedAt: z.string().nullable(),
  /** Before then it is not handed out, while it is `queued`. */
  notBefore: z.string().nullable(),
  deadline: z.string().nullable(),
  /** Hand-outs to operators since it was submitted or redriven; of a run 1 once it has begun. */
  attempts: z.number().int(),
  maxAttempts: z.number().int(),
  priority: z.number().int(),
  orderingKey: z.string().nullable(),
  schema: z.string(),
  /** Who works on it, or did last. */
  operator: z.string().nullable(),
  /** Whoever works on it was asked to stop. */
  isCancelling: z.boolean(),
  /** What its operator said last of how far it is: JSON or a text. */
  progress: z.unknown(),
  error: JobError.nullable(),
})
export type Job = z.infer<typeof Job>

export const JobDetails = Job.extend({
  /** Of a job that has succeeded. */
  result: Content.optional(),
})
export type JobDetails = z.infer<typeof JobDetails>

export const JobOutcome = Content.extend({
  jobId: z.string(),
  status: JobStatus,
  error: JobError.nullable(),
})
export type JobOutcome = z.infer<typeof JobOutcome>

export const Attempt = z.object({
  /** Rises with each hand-out. */
  n: z.number().int(),
  operator: z.string(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  outcome: z.enum(['working', 'done', 'failed', 'lost', 'returned', 'cancelled', 'expired']),
  reason: z.string().nullable(),
})
export type Attempt = z.infer<typeof Attempt>

export const JobLog = z.object({
  n: z.number().int(),
  ts: z.string(),
  /** The hand-out under which it was written; of a run 1. */
  attempt: z.number().int(),
  text: z.string(),
})
export type JobLog = z.infer<typeof JobLog>

/**
 * A frame of `WS /v1/stream/{id}`. A frame with `n` comes once: whoever gives the last one as `?after` gets what is
 * behind it. Frames without are what is so at that moment: the status, a result or an error at the end, a heartbeat.
 */
export const StreamFrame = z.object({
  type: z.enum(['log', 'status', 'result', 'error', 'heartbeat']),
  ts: z.string(),
  n: z.string().optional(),
  payload: z.unknown(),
})
export type StreamFrame = z.infer<typeof StreamFrame>

/** `payload` of a frame `error`: the job has ended like this, or with `ended: false` the stream alone has. */
export const StreamError = z.object({
  ended: z.boolean(),
  code: z.string(),
  message: z.string(),
  status: JobStatus.optional(),
})

/** Where the reader of a stream is: of a job `<pieces>.<lines>`, of a run the number of the event. */
export const StreamPosition = z.string().regex(/^\d{1,15}(\.\d{1,15})?$/, 'Give the `n` of the last frame.')

const jobParams = z.object({ id: JobRef })
const listLimit = z.coerce.number().int().min(1).max(500).default(50)

export const submitJob = route({
  method: 'POST',
  path: '/v1/jobs',
  scope: 'write:jobs',
  summary:
    'Submit a job for the operators of its type; the reply comes once it is on disk. With type `plan` a run starts, with what `POST /api/runs` takes as payload.',
  tag: 'jobs',
  body: SubmitJob,
  reply: z.object({ jobId: z.string() }),
  status: 202,
  errors: [
    'input.invalid',
    'payload.invalid',
    'job.conflict',
    'queue.full',
    'plan.unknown',
    'run.conflict',
    'server.stopping',
  ],
})

export const listJobs = route({
  method: 'GET',
  path: '/v1/jobs',
  scope: 'read:jobs',
  summary:
    'Jobs, newest first, runs of plans among them. A further page is named in the `Link` header; a page may be shorter than asked for and have one behind it.',
  tag: 'jobs',
  query: z.object({
    type: JobType.optional(),
    status: JobStatus.optional(),
    limit: listLimit,
    after: z.string().max(100).optional(),
  }),
  reply: z.array(Job),
  errors: ['input.invalid'],
})

export const getJob = route({
  method: 'GET',
  path: '/v1/jobs/:id',
  scope: 'read:jobs',
  summary: 'One job: its status, how far it is, and its result or error once it is over.',
  tag: 'jobs',
  params: jobParams,
  reply: JobDetails,
  errors: ['job.unknown'],
})

export const cancelJob = route({
  method: 'POST',
  path: '/v1/jobs/:id/cancel',
  scope: 'write:jobs',
  summary:
    'Cancel a job. One that nobody works on is over at once; whoever works on it is told, and it is over after a grace in any case.',
  tag: 'jobs',
  params: jobParams,
  body: z.object({ reason: z.string().max(500).optional() }).optional(),
  reply: Job,
  errors: ['job.unknown', 'job.state'],
})

export const getJobResult = route({
  method: 'GET',
  path: '/v1/jobs/:id/result',
  scope: 'read:jobs',
  summary: 'The result of a job that is over, or what there is instead of one.',
  tag: 'jobs',
  params: jobParams,
  reply: JobOutcome,
  errors: ['job.unknown', 'job.not_finished'],
})

export const getJobPayload = route({
  method: 'GET',
  path: '/v1/jobs/:id/payload',
  scope: 'read:jobs',
  summary: 'What was submitted. The inputs of a run are among its concepts instead.',
  tag: 'jobs',
  params: jobParams,
  reply: Content,
  errors: ['job.unknown', 'job.state'],
})

export const listAttempts = route({
  method: 'GET',
  path: '/v1/jobs/:id/attempts',
  scope: 'read:jobs',
  summary: 'The hand-outs of a job that are kept, in their order.',
  tag: 'jobs',
  params: jobParams,
  reply: z.array(Attempt),
  errors: ['job.unknown'],
})

export const listJobLogs = route({
  method: 'GET',
  path: '/v1/jobs/:id/logs',
  scope: 'read:jobs',
  summary: 'The log of a job by its lines: the newest that are kept. A further page is named in the `Link` header.',
  tag: 'jobs',
  params: jobParams,
  query: z.object({
    after: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(500).default(200),
  }),
  reply: z.array(JobLog),
  errors: ['job.unknown'],
})

export const DeadLetter = Content.extend({ job: Job, attempts: z.array(Attempt) })
export type DeadLetter = z.infer<typeof DeadLetter>

export const listDeadLetters = route({
  method: 'GET',
  path: '/v1/dead-letters',
  scope: 'read:jobs',
  summary: 'Jobs whose attempts are used up, those that were submitted last first. A further page is in `Link`.',
  tag: 'jobs',
  query: z.object({ type: JobType.optional(), limit: listLimit, after: z.coerce.number().int().min(0).optional() }),
  reply: z.array(Job),
  errors: ['input.invalid'],
})

export const getDeadLetter = route({
  method: 'GET',
  path: '/v1/dead-letters/:id',
  scope: 'read:jobs',
  summary: 'A dead letter with its payload and the history of its attempts.',
  tag: 'jobs',
  params: jobParams,
  reply: DeadLetter,
  errors: ['job.unknown', 'job.state'],
})

export const redriveDeadLetter = route({
  method: 'POST',
  path: '/v1/dead-letters/:id/redrive',
  scope: 'write:jobs',
  summary: 'Put a dead letter back at the end of its queue, with all its attempts and without a deadline.',
  tag: 'jobs',
  params: jobParams,
  reply: Job,
  errors: ['job.unknown', 'job.state', 'queue.full'],
})

export const discardDeadLetter = route({
  method: 'POST',
  path: '/v1/dead-letters/:id/discard',
  scope: 'write:jobs',
  summary: 'Say that a dead letter needs nothing more. It is kept as long as other jobs that are over.',
  tag: 'jobs',
  params: jobParams,
  reply: Job,
  errors: ['job.unknown', 'job.state'],
})
