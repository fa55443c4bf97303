import { parseJson } from '@slipway/kit/json'
import type { JobAttempt, JobLogLine, JobState, JobView } from '@slipway/protocol/bus/jobs'
import { typeOfTopic, type Attempt, type Job, type JobError, type JobLog, type JobStatus } from '@slipway/protocol/jobs'

const statuses: Readonly<Record<JobState, JobStatus>> = {
  blocked: 'queued',
  delayed: 'queued',
  ready: 'queued',
  leased: 'running',
  done: 'succeeded',
  dead: 'failed',
  discarded: 'failed',
  cancelled: 'cancelled',
  expired: 'expired',
}

/** The states of a queue that mean the status. */
export function statesOf(status: JobStatus): JobState[] {
  return (Object.keys(statuses) as JobState[]).filter(state => statuses[state] === status)
}

/** A job of a queue as clients see it. */
export function jobOf(view: JobView): Job {
  return {
    jobId: view.id,
    type: typeOfTopic(view.topic),
    status: statuses[view.state],
    state: view.state,
    createdAt: isoTime(view.createdAt),
    updatedAt: isoTime(Math.max(view.createdAt, view.leasedAt ?? 0, view.finishedAt ?? 0)),
    startedAt: optionalTime(view.leasedAt),
    finishedAt: optionalTime(view.finishedAt),
    notBefore: statuses[view.state] === 'queued' ? isoTime(view.runAt) : null,
    deadline: optionalTime(view.deadlineAt),
    attempts: view.attempts,
    maxAttempts: view.maxAttempts,
    priority: view.priority,
    orderingKey: view.orderingKey,
    schema: view.schema,
    operator: view.operator,
    isCancelling: view.isCancelling,
    progress: progressOf(view.progress),
    error: errorOf(view),
  }
}

export function attemptOf({ fence, operator, startedAt, endedAt, outcome, reason }: JobAttempt): Attempt {
  return { n: fence, operator, startedAt: isoTime(startedAt), endedAt: optionalTime(endedAt), outcome, reason }
}

export function logOf({ n, fence, ts, text }: JobLogLine): JobLog {
  return { n, ts: isoTime(ts), attempt: fence, text }
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}

function optionalTime(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms)
}

function errorOf({ state, reason, isCancelling }: JobView): JobError | null {
  if (state === 'done' || (reason === null && statuses[state] !== 'failed')) return null
  const isOver = statuses[state] !== 'queued' && statuses[state] !== 'running'
  return { code: isOver ? state : isCancelling ? 'cancelling' : 'attempt_failed', message: reason ?? 'It failed.' }
}

/** Operators say it in words or as a JSON object; whatever else it is stays a text. */
function progressOf(text: string | null): unknown {
  if (text === null || !text.startsWith('{')) return text
  try {
    return parseJson(text)
  } catch {
    return text
  }
}
