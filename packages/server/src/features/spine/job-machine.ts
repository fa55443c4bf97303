import { delayMs, type Backoff } from '@slipway/kit/backoff'
import { unreachable } from '@slipway/kit/unreachable'
import type { JobAttempt, JobState } from '@slipway/protocol/bus/jobs'

/** A job as its row has it, as far as it decides what happens next. Times are milliseconds since 1970. */
export interface Job {
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly schema: string
  readonly priority: number
  readonly ordering_key: string | null
  readonly state: JobState
  readonly attempts: number
  readonly max_attempts: number
  readonly backoff_first_ms: number
  readonly backoff_ceiling_ms: number
  readonly fence: number
  readonly created_at: number
  readonly run_at: number
  readonly deadline_at: number | null
  readonly due_at: number | null
  readonly finished_at: number | null
  readonly operator: string | null
  readonly leased_at: number | null
  readonly leased_until: number | null
  readonly cancel_at: number | null
  readonly stream_n: number
  readonly stream_fence: number
  readonly log_n: number
  readonly progress: string | null
  readonly reason: string | null
  readonly trace: string | null
}

/** What becomes of a job, and of the hand-out that ends with it. */
export interface Change {
  readonly before: Job
  readonly after: Job
  readonly attempt: { readonly outcome: JobAttempt['outcome']; readonly reason: string | null } | null
}

export interface Failure {
  readonly reason: string
  readonly isRetryable: boolean
  /** The least time before the next hand-out. */
  readonly waitMs?: number | undefined
}

const overStates: ReadonlySet<JobState> = new Set(['done', 'dead', 'cancelled', 'expired', 'discarded'])

export function isOver(state: JobState): boolean {
  return overStates.has(state)
}

/** When something happens to the job by itself: a lease, a wait or its time ends. Null where nothing does. */
export function dueAt(
  job: Pick<Job, 'state' | 'run_at' | 'deadline_at' | 'leased_until' | 'cancel_at'>,
): number | null {
  switch (job.state) {
    case 'leased':
      return earliest(job.leased_until, job.deadline_at, job.cancel_at)
    case 'delayed':
      return earliest(job.run_at, job.deadline_at)
    case 'ready':
    case 'blocked':
      return job.deadline_at
    case 'done':
    case 'dead':
    case 'cancelled':
    case 'expired':
    case 'discarded':
      return null
    default:
      return unreachable(job.state)
  }
}

function earliest(...times: readonly (number | null)[]): number | null {
  const set = times.filter(time => time !== null)
  return set.length === 0 ? null : Math.min(...set)
}

/** Whoever works on it still does. */
export function extended(
  job: Job,
  now: number,
  beat: { readonly leaseMs: number; readonly progress: string | null; readonly lines: number; readonly pieces: number },
): Change {
  return changed(job, {
    leased_until: Math.max(job.leased_until ?? 0, now + beat.leaseMs),
    progress: beat.progress ?? job.progress,
    log_n: job.log_n + beat.lines,
    stream_n: job.stream_n + beat.pieces,
    stream_fence: beat.pieces > 0 ? job.fence : job.stream_fence,
  })
}

export function done(job: Job, now: number): Change {
  return over(job, 'done', { now, reason: null })
}

/** The hand-out failed: the job waits for the next one, or is dead. One that is being cancelled is cancelled. */
export function failed(job: Job, now: number, failure: Failure & { readonly random: number }): Change {
  const { reason, isRetryable, random } = failure
  const attempt = { outcome: 'failed', reason } as const
  if (job.cancel_at !== null) return { ...cancelledAt(job, now), attempt }
  if (!isRetryable || job.attempts >= job.max_attempts) return { ...over(job, 'dead', { now, reason }), attempt }
  const waitMs = Math.max(delayMs(backoffOf(job), job.attempts, random), failure.waitMs ?? 0)
  return { ...again(job, now, { waitMs, reason }), attempt }
}

/** Whoever had it gives it back untouched: the hand-out does not count. */
export function returned(job: Job, now: number): Change {
  const attempt = { outcome: 'returned', reason: null } as const
  if (job.cancel_at !== null) return { ...cancelledAt(job, now), attempt }
  return { ...again({ ...job, attempts: job.attempts - 1 }, now, { waitMs: 0, reason: job.reason }), attempt }
}

/** Asks whoever works on it to stop, who has until the end of the grace; a job that nobody works on is over at once. */
export function cancelling(job: Job, now: number, { graceMs, reason }: { graceMs: number; reason: string }): Change {
  if (job.state !== 'leased') return over(job, 'cancelled', { now, reason })
  return changed(job, { cancel_at: job.cancel_at ?? now + graceMs, reason })
}

/** What happens by itself at this time; null when nothing is due. */
export function dueChange(job: Job, now: number, random: number): Change | null {
  if (isOver(job.state)) return null
  const isLeased = job.state === 'leased'
  if (job.deadline_at !== null && job.deadline_at <= now) {
    const expired = over(job, 'expired', { now, reason: 'Its deadline has passed.' })
    return isLeased ? { ...expired, attempt: { outcome: 'expired', reason: null } } : expired
  }
  if (isLeased && job.cancel_at !== null && job.cancel_at <= now) return cancelledAt(job, now)
  if (isLeased && (job.leased_until ?? 0) <= now) return lost(job, now, random)
  return job.state === 'delayed' && job.run_at <= now ? changed(job, { state: 'ready' }) : null
}

/** From the dead letters to the end of its queue, with all its attempts. */
export function redriven(job: Job, now: number, state: 'ready' | 'blocked'): Change {
  return changed(job, { state, attempts: 0, run_at: now, deadline_at: null, finished_at: null, reason: null })
}

export function discarded(job: Job): Change {
  return changed(job, { state: 'discarded' })
}

/** The first of its ordering key now; it may still have to wait for its time. */
export function promoted(job: Job, now: number): Change {
  return changed(job, { state: job.run_at > now ? 'delayed' : 'ready' })
}

function lost(job: Job, now: number, random: number): Change {
  const reason = 'Its lease ended without an answer.'
  const attempt = { outcome: 'lost', reason } as const
  if (job.cancel_at !== null) return { ...cancelledAt(job, now), attempt }
  if (job.attempts >= job.max_attempts) return { ...over(job, 'dead', { now, reason }), attempt }
  return { ...again(job, now, { waitMs: delayMs(backoffOf(job), job.attempts, random), reason }), attempt }
}

function cancelledAt(job: Job, now: number): Change {
  const attempt = job.state === 'leased' ? ({ outcome: 'cancelled', reason: job.reason } as const) : null
  return { ...over(job, 'cancelled', { now, reason: job.reason }), attempt }
}

function again(job: Job, now: number, { waitMs, reason }: { waitMs: number; reason: string | null }): Change {
  const state = waitMs > 0 ? 'delayed' : 'ready'
  return changed(job, { state, attempts: job.attempts, run_at: now + waitMs, leased_until: null, reason })
}

function over(
  job: Job,
  state: 'done' | 'dead' | 'cancelled' | 'expired',
  { now, reason }: { readonly now: number; readonly reason: string | null },
): Change {
  // The end of a stream is a piece of it.
  const stream_n = job.stream_n > 0 ? job.stream_n + 1 : 0
  return changed(job, { state, finished_at: now, leased_until: null, cancel_at: null, stream_n, reason })
}

function changed(before: Job, fields: Partial<Job>): Change {
  const after = { ...before, ...fields }
  return { before, after: Object.assign(after, { due_at: dueAt(after) }), attempt: null }
}

function backoffOf(job: Job): Backoff {
  return { firstMs: job.backoff_first_ms, ceilingMs: job.backoff_ceiling_ms }
}
