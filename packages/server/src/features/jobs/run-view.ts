import { planType, type Attempt, type Job, type JobStatus } from '@slipway/protocol/jobs'
import type { Run, RunState } from '@slipway/protocol/runs'

/** What the request for a run is, and its result, as schemas of payloads. */
export const runSchema = 'arqonbus.plan.run.v1'
export const runResultSchema = 'arqonbus.plan.result.v1'

const planOperator = 'plan engine'

const statesByStatus: Readonly<Record<JobStatus, readonly RunState[]>> = {
  queued: ['pending'],
  running: ['running', 'pausing', 'stopping'],
  waiting: ['waiting', 'paused'],
  succeeded: ['completed'],
  failed: ['failed'],
  cancelled: ['failed'],
  expired: ['failed'],
}

/** The states of runs among which those of the status are. */
export function runStatesOf(status: JobStatus): readonly RunState[] {
  return statesByStatus[status]
}

export function statusOfRun({ status, error }: Pick<Run, 'status' | 'error'>): JobStatus {
  switch (status) {
    case 'pending':
      return 'queued'
    case 'waiting':
    case 'paused':
      return 'waiting'
    case 'completed':
      return 'succeeded'
    case 'failed':
      return error?.reason === 'cancelled' ? 'cancelled' : error?.reason === 'timeout' ? 'expired' : 'failed'
    case 'running':
    case 'pausing':
    case 'stopping':
      return 'running'
  }
}

/** A run as a job. */
export function jobOfRun(run: Run): Job {
  return {
    jobId: run.run_id,
    type: planType,
    status: statusOfRun(run),
    state: run.status,
    createdAt: run.created_at,
    updatedAt: run.completed_at ?? run.started_at ?? run.created_at,
    startedAt: run.started_at,
    finishedAt: run.completed_at,
    notBefore: null,
    deadline: run.deadline_at,
    attempts: run.started_at === null ? 0 : 1,
    maxAttempts: 1,
    priority: 0,
    orderingKey: null,
    schema: runSchema,
    operator: run.started_at === null ? null : planOperator,
    isCancelling: run.status === 'stopping',
    progress: run.progress,
    error: run.error && { code: run.error.reason, message: run.error.message, details: run.error.stuck },
  }
}

const outcomes: Readonly<Record<JobStatus, Attempt['outcome']>> = {
  queued: 'working',
  running: 'working',
  waiting: 'working',
  succeeded: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
}

export function attemptsOfRun(run: Run): Attempt[] {
  if (run.started_at === null) return []
  const reason = run.error?.message ?? null
  const outcome = outcomes[statusOfRun(run)]
  return [{ n: 1, operator: planOperator, startedAt: run.started_at, endedAt: run.completed_at, outcome, reason }]
}
