import type { EventName, RunEvent } from '@slipway/protocol/events'
import type { Job, JobOutcome, StreamFrame } from '@slipway/protocol/jobs'
import type { Frames } from './job-kind.ts'
import { isoTime } from './queue-view.ts'

export interface RunSource {
  /** As it is now. */
  readonly job: () => Promise<Job>
  readonly outcome: () => Promise<JobOutcome>
}

/** Events that say how the run stands; all others tell what it does. */
const statusEvents: ReadonlySet<EventName> = new Set([
  'run:queued',
  'run:started',
  'run:completed',
  'run:failed',
  'run:recovered',
  'run:forked',
  'run:imported',
  'execution:progress',
  'execution:paused',
  'execution:resumed',
  'execution:stopped',
  'execution:waiting',
  'execution:stalled',
])

/** A run as the stream of a job: its events by their numbers, and at last its result or error. */
export async function* runFrames(events: AsyncIterable<RunEvent>, { job, outcome }: RunSource): Frames {
  const { result: _result, ...now } = (await job()) as Job & { readonly result?: unknown }
  yield { type: 'status', ts: now.updatedAt, payload: now }
  for await (const event of events) yield frameOf(event)
  const { finishedAt, updatedAt } = await job()
  // Left, and not over.
  if (finishedAt === null) return 'finished'
  const { jobId, status, error, ...content } = await outcome()
  const ts = finishedAt ?? updatedAt
  if (status === 'succeeded') yield { type: 'result', ts, payload: { jobId, status, ...content } }
  else yield { type: 'error', ts, payload: { ended: true, jobId, status, ...error } }
  return 'finished'
}

function frameOf({ seq, ts, run_id: jobId, id: _id, ...event }: RunEvent): StreamFrame {
  const type = statusEvents.has(event.event) ? 'status' : 'log'
  return { type, ts: isoTime(ts), n: String(seq), payload: { kind: 'event', jobId, ...event } }
}
