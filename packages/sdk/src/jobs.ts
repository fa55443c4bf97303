import { api } from '@slipway/protocol/api'
import type { Attempt, Content, DeadLetter, Job, JobDetails, JobLog, JobOutcome } from '@slipway/protocol/jobs'
import type { PayloadSchema, QueueDepth, ScheduledJob } from '@slipway/protocol/queues'
import type { BodyInputOf, QueryInputOf } from '@slipway/protocol/route'
import { asRunId } from './ids.ts'
import type { Page, Transport, Waiting } from './transport.ts'

export type SubmitOptions = Omit<BodyInputOf<typeof api.submitJob>, 'type'>
export type ListJobsOptions = QueryInputOf<typeof api.listJobs> & Waiting
export type ListDeadLettersOptions = QueryInputOf<typeof api.listDeadLetters> & Waiting

export interface JobMethods {
  /** Resolves once the job is on disk. With type `plan` a run starts; its id is the job's. */
  submit(type: string, job?: SubmitOptions & Waiting): Promise<{ readonly jobId: string }>
  /** Newest first. A page may be shorter than asked for and have one behind it. */
  list(options?: ListJobsOptions): Promise<Page<Job>>
  get(id: string, options?: Waiting): Promise<JobDetails>
  cancel(id: string, options?: { readonly reason?: string | undefined } & Waiting): Promise<Job>
  /** Rejects with `job.not_finished` until the job is over. */
  result(id: string, options?: Waiting): Promise<JobOutcome>
  payload(id: string, options?: Waiting): Promise<Content>
  attempts(id: string, options?: Waiting): Promise<readonly Attempt[]>
  logs(id: string, options?: QueryInputOf<typeof api.listJobLogs> & Waiting): Promise<Page<JobLog>>
}

export interface DeadLetterMethods {
  list(options?: ListDeadLettersOptions): Promise<Page<Job>>
  get(id: string, options?: Waiting): Promise<DeadLetter>
  /** Back to the end of its queue, with all its attempts. */
  redrive(id: string, options?: Waiting): Promise<Job>
  discard(id: string, options?: Waiting): Promise<Job>
}

export interface ScheduleMethods {
  list(options?: Waiting): Promise<readonly ScheduledJob[]>
  /** Makes the schedule, or replaces the one of this name. */
  put(name: string, schedule: BodyInputOf<typeof api.putSchedule>, options?: Waiting): Promise<ScheduledJob>
  delete(name: string, options?: Waiting): Promise<void>
}

export interface SchemaMethods {
  list(options?: Waiting): Promise<readonly string[]>
  get(id: string, options?: Waiting): Promise<PayloadSchema>
  register(id: string, schema: PayloadSchema['schema'], options?: Waiting): Promise<PayloadSchema>
}

/** Work for operators and runs of plans alike, and what is around it. */
export interface QueueMethods {
  readonly jobs: JobMethods
  readonly deadLetters: DeadLetterMethods
  readonly schedules: ScheduleMethods
  readonly schemas: SchemaMethods
  queues(options?: Waiting): Promise<readonly QueueDepth[]>
}

export function queueMethods(transport: Transport): QueueMethods {
  return {
    jobs: jobMethods(transport),
    deadLetters: deadLetterMethods(transport),
    schedules: scheduleMethods(transport),
    schemas: schemaMethods(transport),
    queues: wait => transport.call(api.listQueues, { ...wait }),
  }
}

const ref = (id: string): { readonly id: ReturnType<typeof asRunId> } => ({ id: asRunId(id) })

function jobMethods({ call, page }: Transport): JobMethods {
  return {
    submit: (type, { signal, timeoutMs, ...job } = {}) =>
      call(api.submitJob, { body: { ...job, type }, signal, timeoutMs }),
    list: ({ signal, timeoutMs, ...query } = {}) => page(api.listJobs, { query, signal, timeoutMs }),
    get: (id, wait) => call(api.getJob, { params: ref(id), ...wait }),
    cancel: (id, { reason, ...wait } = {}) =>
      call(api.cancelJob, { params: ref(id), body: reason === undefined ? {} : { reason }, ...wait }),
    result: (id, wait) => call(api.getJobResult, { params: ref(id), ...wait }),
    payload: (id, wait) => call(api.getJobPayload, { params: ref(id), ...wait }),
    attempts: (id, wait) => call(api.listAttempts, { params: ref(id), ...wait }),
    logs: (id, { signal, timeoutMs, ...query } = {}) =>
      page(api.listJobLogs, { params: ref(id), query, signal, timeoutMs }),
  }
}

function deadLetterMethods({ call, page }: Transport): DeadLetterMethods {
  return {
    list: ({ signal, timeoutMs, ...query } = {}) => page(api.listDeadLetters, { query, signal, timeoutMs }),
    get: (id, wait) => call(api.getDeadLetter, { params: ref(id), ...wait }),
    redrive: (id, wait) => call(api.redriveDeadLetter, { params: ref(id), ...wait }),
    discard: (id, wait) => call(api.discardDeadLetter, { params: ref(id), ...wait }),
  }
}

function scheduleMethods({ call }: Transport): ScheduleMethods {
  return {
    list: wait => call(api.listSchedules, { ...wait }),
    put: (name, body, wait) => call(api.putSchedule, { params: { name }, body, ...wait }),
    delete: async (name, wait) => void (await call(api.deleteSchedule, { params: { name }, ...wait })),
  }
}

function schemaMethods({ call }: Transport): SchemaMethods {
  return {
    list: wait => call(api.listSchemas, { ...wait }),
    get: (id, wait) => call(api.getSchema, { params: { id }, ...wait }),
    register: (id, schema, wait) => call(api.registerSchema, { params: { id }, body: { schema }, ...wait }),
  }
}
