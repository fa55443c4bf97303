import type { Generated } from 'kysely'

export interface RunTable {
  /** The order in which runs were accepted, and so the order of the queue. */
  readonly position: Generated<number>
  readonly id: string
  readonly plan_id: string
  readonly plan_version: string
  readonly plan_digest: string
  readonly status: string
  readonly mode: string
  readonly agent: string
  readonly max_cycles: number
  /** The resolved inputs by concept name, in the engine's lossless form. */
  readonly inputs: string
  readonly idempotency_key: string | null
  /** Hash of the request, so that a reused key with another request is noticed. */
  readonly request_hash: string
  readonly created_at: number
  readonly started_at: number | null
  readonly completed_at: number | null
  readonly cancel_reason: string | null
  /** How many decisions of the engine are on disk, with their events; a replay repeats none of these. */
  readonly advances: number
  readonly progress: string
  readonly node_statuses: string
  readonly error: string | null
  /** The final concepts of a finished run. */
  readonly result: string | null
}

export interface RunCallTable {
  readonly run_id: string
  readonly n: number
  readonly key: string
  readonly flow_index: string
  readonly concept_name: string
  readonly type: string
  readonly inputs: string
  /** The outcome in the engine's lossless form: what a replay hands back. */
  readonly outcome: string
  /** Files that a script wrote, a JSON list. */
  readonly files: string
  readonly started_at: number
  readonly finished_at: number
  readonly agent: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly attempts: number
}

export interface RunStepTable {
  readonly run_id: string
  readonly n: number
  readonly record: string
}

export interface InputTable {
  readonly id: string
  readonly run_id: string
  readonly plan_id: string
  readonly key: string
  readonly flow_index: string
  readonly type: string
  readonly prompt: string
  readonly initial_text: string | null
  readonly asked_at: number
  readonly answer: string | null
}
