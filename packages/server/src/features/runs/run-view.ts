import type { RunEnd, StuckStep } from '@slipway/engine/run/records'
import { unreachable } from '@slipway/kit/unreachable'
import { parseJson } from '@slipway/kit/json'
import type { Held, Run, RunError, RunProgress, TraceCall } from '@slipway/protocol/runs'
import { toPlain } from '@slipway/engine/value/codec'
import { decodeOutcome } from './call-record.ts'
import type { CallRow } from './journal-store.ts'
import type { RunRow } from './run-store.ts'
import type { ValueReader } from './run-values.ts'

/** What the memory knows of a run that its row does not. */
export interface LiveView {
  readonly queuePosition: number | null
  readonly progress: RunProgress | null
}

/** A run as clients see it. */
export function toRun(row: RunRow, live: LiveView): Run {
  return {
    run_id: row.id,
    plan_id: row.plan_id,
    plan_version: row.plan_version,
    plan_digest: row.plan_digest,
    status: row.status,
    mode: row.mode,
    agent: row.agent,
    max_cycles: row.max_cycles,
    created_at: isoTime(row.created_at),
    started_at: row.started_at === null ? null : isoTime(row.started_at),
    completed_at: row.completed_at === null ? null : isoTime(row.completed_at),
    queue_position: live.queuePosition,
    progress: live.progress ?? (parseJson(row.progress) as RunProgress),
    held: row.held === null ? null : (parseJson(row.held) as Held),
    forked_from: row.forked_from === null ? null : { run_id: row.forked_from, step: row.forked_at ?? 0 },
    deadline_at: row.deadline_at === null ? null : isoTime(row.deadline_at),
    error: row.error === null ? null : (parseJson(row.error) as RunError),
  } as Run
}

export function toTraceCall(row: CallRow, values: ValueReader): TraceCall {
  const outcome = decodeOutcome(values.text(row.outcome))
  return {
    n: row.n,
    key: row.key,
    flow_index: row.flow_index,
    concept_name: row.concept_name,
    type: row.type,
    inputs: parseJson(values.text(row.inputs)),
    output: outcome.ok ? toPlain(outcome.value) : null,
    error: outcome.ok ? null : { name: outcome.error.name, message: outcome.error.message },
    files: parseJson(row.files) as string[],
    started_at: isoTime(row.started_at),
    finished_at: isoTime(row.finished_at),
    duration_ms: Math.max(0, row.finished_at - row.started_at),
    agent: row.agent,
    provider: row.provider,
    model: row.model,
    input_tokens: row.input_tokens,
    output_tokens: row.output_tokens,
    attempts: row.attempts,
    repeated: row.repeated === 1,
  }
}

/** Why a run did not complete, in words; null for one that did. */
export function errorOf(end: RunEnd, conceptOf: (flowIndex: string) => string): RunError | null {
  if (end.status === 'completed') return null
  return {
    reason: end.reason,
    message: end.message,
    stuck: end.stuck.map(step => ({
      flow_index: step.flowIndex,
      concept_name: conceptOf(step.flowIndex),
      why: inWords(step.why),
    })),
  }
}

function inWords(why: StuckStep['why']): string {
  switch (why.type) {
    case 'failed':
      return why.message
    case 'waits_for_steps':
      return `waits for the steps ${why.flowIndexes.join(', ')}`
    case 'waits_for_concepts':
      return `waits for ${why.concepts.join(', ')}`
    case 'condition_undecided':
      return `its condition ${why.concept} was never decided`
    case 'unfinished':
      return 'did not finish'
    default:
      return unreachable(why)
  }
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
