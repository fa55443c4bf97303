import { randomUUIDv7 } from 'node:crypto'
import { failureSchema, streamSchema, type Envelope } from '@slipway/protocol/bus/envelope'
import { resultsOf, streamsOf } from '@slipway/protocol/bus/topics'
import type { Tx } from '#db/database'
import { jobDead, leaseLost } from '#observe/spine-log'
import { isOver, promoted, type Change, type Job } from './job-machine.ts'
import { deleteOldAttempts, lockNames, selectBlockedHeads, writeChanges, type OrderingKey } from './job-store.ts'
import { traceOf } from './job-view.ts'
import type { MessageDraft } from './message-store.ts'
import type { SpineParts } from './spine-parts.ts'
import type { JobResult } from './spine.ts'

const keptAttempts = 100

/** A change with the result that it brings. */
export interface Step extends Change {
  readonly result?: JobResult
}

/**
 * Writes what becomes of jobs that the transaction has locked, with all that follows: results, the end of streams, counts,
 * and the next job of an ordering key.
 */
export async function applySteps(tx: Tx, steps: readonly Step[], parts: SpineParts): Promise<void> {
  if (steps.length === 0) return
  const now = parts.now()
  await writeChanges(tx, steps, now)
  const outbox = parts.outboxes.of(tx)
  const freed: OrderingKey[] = []
  for (const step of steps) {
    const { before, after } = step
    outbox.due(after.due_at)
    outbox.changed.push(after.id)
    if (after.state === 'ready') outbox.ready.push(after)
    if (before.state === 'leased' && (after.state !== 'leased' || after.cancel_at !== before.cancel_at))
      outbox.leases.push(after.id)
    if (before.fence % keptAttempts === 0 && step.attempt)
      await deleteOldAttempts(tx, before.id, before.fence - keptAttempts)
    if (isOver(before.state) || !isOver(after.state)) continue
    outbox.count(after, after.state === 'dead' ? { open: -1, dead: 1 } : { open: -1, finished: 1 })
    parts.messages.append(tx, endMessages(step, now))
    if (after.ordering_key !== null && before.state !== 'blocked') freed.push(keyOf(after, after.ordering_key))
  }
  await promoteHeads(tx, freed, parts)
  tx.afterCommit(() => {
    for (const step of steps) tell(step, parts)
  })
}

export function keyOf({ organisation, topic }: Pick<Job, 'organisation' | 'topic'>, key: string): OrderingKey {
  return { organisation, topic, key }
}

/** Locks ordering keys, under which no job of theirs is published or promoted by anybody else. */
export function lockKeys(tx: Tx, keys: readonly OrderingKey[]): Promise<void> {
  return lockNames(
    tx,
    keys.map(({ organisation, topic, key }) => `order ${JSON.stringify([organisation, topic, key])}`),
  )
}

async function promoteHeads(tx: Tx, keys: readonly OrderingKey[], parts: SpineParts): Promise<void> {
  if (keys.length === 0) return
  await lockKeys(tx, keys)
  // On Postgres a head that somebody is just cancelling is passed over once; then the next one is the head.
  const enough = tx.dialect === 'postgres' ? 2 : 1
  for (let rounds = 0; rounds < enough; rounds++) {
    const heads = await selectBlockedHeads(tx, keys)
    const changes = heads.map(head => promoted(head, parts.now()))
    await writeChanges(tx, changes, parts.now())
    const outbox = parts.outboxes.of(tx)
    for (const { after } of changes) {
      outbox.due(after.due_at)
      outbox.changed.push(after.id)
      if (after.state === 'ready') outbox.ready.push(after)
    }
    if (heads.length === keys.length) return
  }
}

function endMessages(step: Step, now: number): MessageDraft[] {
  const { after, result } = step
  if (after.state === 'discarded') return []
  const status = after.state as NonNullable<Envelope['status']>
  const draft = { organisation: after.organisation, ts: now, jobId: after.id, status, trace: traceOf(after.trace) }
  const drafts: MessageDraft[] = []
  if (after.stream_n > 0)
    drafts.push({
      ...draft,
      id: randomUUIDv7(),
      topic: streamsOf(after.topic),
      type: 'stream_end',
      schema: streamSchema,
      payload: jsonBytes({ job_id: after.id, status, pieces: after.stream_n - 1 }),
      n: after.stream_n,
    })
  drafts.push({
    ...draft,
    id: randomUUIDv7(),
    topic: resultsOf(after.topic),
    type: 'job_result',
    schema: result?.schema ?? failureSchema,
    payload: result?.payload ?? jsonBytes({ job_id: after.id, status, error: after.reason }),
    n: null,
  })
  return drafts
}

export function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

function tell({ before, after, attempt }: Step, { counters, log }: SpineParts): void {
  const fields = { jobId: after.id, topic: after.topic, attempts: before.attempts }
  if (attempt?.outcome === 'failed' || attempt?.outcome === 'returned') counters.add(attempt.outcome)
  if (attempt?.outcome === 'lost') {
    counters.add('lost')
    leaseLost(log, fields)
  }
  if (after.state === before.state) return
  if (after.state === 'dead') jobDead(log, fields)
  if (after.state === 'done' || after.state === 'dead' || after.state === 'cancelled' || after.state === 'expired')
    counters.add(after.state)
}
