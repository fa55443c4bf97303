import { parseJson } from '@slipway/kit/json'
import type { Trace } from '@slipway/protocol/bus/envelope'
import type { JobView } from '@slipway/protocol/bus/jobs'
import { AppError } from '@slipway/protocol/errors'
import type { Job } from './job-machine.ts'
import type { ReadyJob } from './job-store.ts'
import type { LeasedJob } from './spine.ts'

export function jobView(job: Job): JobView {
  return {
    id: job.id,
    organisation: job.organisation,
    topic: job.topic,
    schema: job.schema,
    state: job.state,
    priority: job.priority,
    orderingKey: job.ordering_key,
    attempts: job.attempts,
    maxAttempts: job.max_attempts,
    createdAt: job.created_at,
    leasedAt: job.leased_at,
    runAt: job.run_at,
    deadlineAt: job.deadline_at,
    finishedAt: job.finished_at,
    operator: job.operator,
    leasedUntil: job.state === 'leased' ? job.leased_until : null,
    isCancelling: job.cancel_at !== null,
    progress: job.progress,
    reason: job.reason,
    trace: traceOf(job.trace),
  }
}

/** The job as it is handed out: `job` is as it was before. */
export function leasedJob(job: ReadyJob, { until }: { readonly until: number }): LeasedJob {
  return {
    id: job.id,
    fence: job.fence + 1,
    organisation: job.organisation,
    topic: job.topic,
    schema: job.schema,
    payload: job.payload,
    attempt: job.attempts + 1,
    maxAttempts: job.max_attempts,
    priority: job.priority,
    orderingKey: job.ordering_key,
    leasedUntil: until,
    deadlineAt: job.deadline_at,
    trace: traceOf(job.trace),
    streamN: job.stream_n,
  }
}

export function traceOf(text: string | null): Trace | null {
  return text === null ? null : (parseJson(text) as Trace)
}

export function unknownJob(jobId: string): AppError {
  return new AppError('job.unknown', `There is no job ${jobId}, or it is no longer kept.`)
}
