import { randomUUIDv7 } from 'node:crypto'
import { unreachable } from '@slipway/kit/unreachable'
import { streamSchema } from '@slipway/protocol/bus/envelope'
import { streamsOf } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import type { Tx } from '#db/database'
import { lateResultRefused } from '#observe/spine-log'
import type { Outcome } from './group-commit.ts'
import { applySteps, jsonBytes, type Step } from './job-ends.ts'
import { done, extended, failed, returned, type Job } from './job-machine.ts'
import { deleteOldLines, findDone, selectHeld, type LeaseRef } from './job-store.ts'
import { traceOf } from './job-view.ts'
import { deleteOldPieces, readResult, type MessageDraft } from './message-store.ts'
import type { SpineParts } from './spine-parts.ts'
import type { JobFailure, JobResult, StreamPieces } from './spine.ts'

/** What somebody says who works on a job. */
export type HeldWord =
  | {
      readonly type: 'beat'
      readonly ref: LeaseRef
      readonly leaseMs: number
      readonly progress: string | null
      readonly lines: readonly string[]
    }
  | { readonly type: 'append'; readonly ref: LeaseRef; readonly pieces: StreamPieces; readonly leaseMs: number }
  | { readonly type: 'ack'; readonly ref: LeaseRef; readonly result: JobResult }
  | { readonly type: 'nack'; readonly ref: LeaseRef; readonly failure: JobFailure }
  | { readonly type: 'return'; readonly ref: LeaseRef }

/** Writes what is said of jobs, each job once; gives them as they are then. Late words are refused. */
export async function sayAll(tx: Tx, words: readonly HeldWord[], parts: SpineParts): Promise<Outcome<Job>[]> {
  const held = new Map(
    (
      await selectHeld(
        tx,
        words.map(({ ref }) => ref),
      )
    ).map(job => [job.id, job]),
  )
  const steps: Step[] = []
  const outcomes: Outcome<Job>[] = []
  for (const word of words) {
    const job = held.get(word.ref.jobId)
    const before = job === undefined ? await endedBefore(tx, word) : null
    if (before !== null) {
      outcomes.push({ ok: true, value: before })
      continue
    }
    if (job === undefined) {
      outcomes.push({ ok: false, error: late(word.ref) })
      tx.afterCommit(() => refuse(word, parts))
      continue
    }
    const step = await stepOf(tx, word, { job, parts })
    steps.push(step)
    outcomes.push({ ok: true, value: step.after })
  }
  await applySteps(tx, steps, parts)
  return outcomes
}

/**
 * The job that this very acknowledgement has ended already: whoever sends it has not heard that. Null for any other word.
 */
async function endedBefore(tx: Tx, word: HeldWord): Promise<Job | null> {
  if (word.type !== 'ack') return null
  const job = await findDone(tx, word.ref)
  const known = job && (await readResult(tx.sql, job.organisation, job.id))
  if (!known || known.schema !== word.result.schema) return null
  return Buffer.compare(known.payload, word.result.payload) === 0 ? job : null
}

async function stepOf(
  tx: Tx,
  word: HeldWord,
  { job, parts }: { readonly job: Job; readonly parts: SpineParts },
): Promise<Step> {
  const now = parts.now()
  switch (word.type) {
    case 'beat': {
      await writeLines(tx, word.lines, { job, parts })
      return extended(job, now, { ...word, lines: word.lines.length, pieces: 0 })
    }
    case 'append': {
      const pieces = await writePieces(tx, word.pieces, { job, parts })
      return extended(job, now, { leaseMs: word.leaseMs, progress: null, lines: 0, pieces })
    }
    case 'ack':
      return { ...done(job, now), result: word.result }
    case 'nack':
      return failed(job, now, { ...word.failure, random: parts.random() })
    case 'return':
      return returned(job, now)
    default:
      return unreachable(word)
  }
}

async function writeLines(
  tx: Tx,
  lines: readonly string[],
  { job, parts }: { readonly job: Job; readonly parts: SpineParts },
): Promise<void> {
  if (lines.length === 0) return
  const ts = parts.now()
  const rows = lines.map((text, index) => ({ job_id: job.id, n: job.log_n + 1 + index, fence: job.fence, ts, text }))
  await tx.insertAll('job_log', rows)
  const excess = job.log_n + lines.length - parts.bounds.logLines
  if (excess > 0) await deleteOldLines(tx, job.id, excess)
}

/**
 * Adds the pieces to the stream, and the start before the first of a hand-out; gives how many. None where the stream has
 * gone on behind `after`: then this is sent for the second time.
 */
async function writePieces(
  tx: Tx,
  { schema, payloads, after }: StreamPieces,
  { job, parts }: { readonly job: Job; readonly parts: SpineParts },
): Promise<number> {
  if (payloads.length === 0 || (after !== undefined && after < job.stream_n)) return 0
  const draft = {
    organisation: job.organisation,
    topic: streamsOf(job.topic),
    ts: parts.now(),
    jobId: job.id,
    status: null,
    trace: traceOf(job.trace),
  }
  const drafts: MessageDraft[] = []
  const add = (type: 'stream_start' | 'stream_chunk', piece: { schema: string; payload: Uint8Array }): void => {
    drafts.push({ ...draft, ...piece, id: randomUUIDv7(), type, n: job.stream_n + drafts.length + 1 })
  }
  if (job.stream_fence !== job.fence)
    add('stream_start', { schema: streamSchema, payload: jsonBytes({ job_id: job.id, attempt: job.attempts, schema }) })
  for (const payload of payloads) add('stream_chunk', { schema, payload })
  parts.messages.append(tx, drafts)
  const excess = job.stream_n + drafts.length - parts.bounds.streamPieces
  if (excess > 0) await deleteOldPieces(tx, job.id, excess)
  return drafts.length
}

function late({ jobId }: LeaseRef): AppError {
  return new AppError(
    'lease.lost',
    `The lease on the job ${jobId} is no longer yours: it ended, or the job did. Stop working on it.`,
  )
}

function refuse({ type, ref }: HeldWord, { counters, log }: SpineParts): void {
  if (type !== 'ack' && type !== 'nack') return
  counters.add('lateResults')
  lateResultRefused(log, { jobId: ref.jobId, fence: ref.fence })
}
