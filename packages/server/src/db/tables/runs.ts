import type { Generated } from 'kysely'
import type { ColumnKinds } from '../columns.ts'

/** What changes with every commit of a run stands here, and so nothing large does. */
export interface RunTable {
  /** The order in which runs were accepted, and so the order of the queue. */
  readonly position: Generated<number>
  readonly id: string
  /** Whose it is, with everything that its id or its family is part of. */
  readonly organisation: string
  /** The oldest ancestor of a fork, or the run itself: whose values it shares. */
  readonly family: string
  /** What the ids of its signs are made from: its id, or the one that an imported run had where it was made. */
  readonly seed: string
  readonly plan_id: string
  readonly plan_version: string
  readonly plan_digest: string
  readonly status: string
  readonly mode: string
  readonly agent: string
  readonly max_cycles: number
  readonly idempotency_key: string | null
  /** Hash of the request, so that a reused key with another request is noticed. */
  readonly request_hash: string
  readonly created_at: number
  readonly started_at: number | null
  readonly completed_at: number | null
  /** The last event number of the run. */
  readonly seq: number
  /** Numbered entries of the journal: answered calls and applied commands. */
  readonly entries: number
  /** Step records, events of the engine and started executions that are on disk; a replay writes none of them again. */
  readonly records: number
  readonly emitted: number
  readonly starts: number
  readonly progress: string
  readonly error: string | null
  /** Where a debugging command keeps the run, JSON. */
  readonly held: string | null
  /** Flow indices, a JSON list. */
  readonly breakpoints: string
  readonly forked_from: string | null
  readonly forked_at: number | null
  readonly step_timeout_ms: number | null
  readonly input_timeout_ms: number | null
  readonly deadline_at: number | null
  /** The server that drives the run, until when by the database's clock, and the number that fences off earlier ones. */
  readonly owner: string | null
  readonly lease: number
  readonly lease_until: number | null
  /** When it came here from elsewhere. */
  readonly imported_at: number | null
  /** When its folder was last rid of what its package has. */
  readonly compacted_at: number | null
}

/** A run that was deleted and of which parts may still be there. Nobody may have its id before they are gone. */
export interface RunRemainsTable {
  readonly run_id: string
  readonly family: string
  readonly plan_digest: string
  readonly deleted_at: number
}

/** The large parts of a run. */
export interface RunContentTable {
  readonly run_id: string
  /** The resolved inputs by concept name, in the engine's lossless form. */
  readonly inputs: string
  /** The state that a fork begins with; null for runs that begin with their inputs alone. */
  readonly origin: string | null
  readonly node_statuses: string
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
  /** JSON text, or `#` and the hash of a value that has it. */
  readonly inputs: string
  /** The outcome in the engine's lossless form, kept like `inputs`: what a replay hands back. */
  readonly outcome: string
  /** Characters of both. */
  readonly size: number
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
  /** 1 when it had been under way before a server ended. */
  readonly repeated: number
}

export const runCallColumns = {
  run_id: 'text',
  n: 'integer',
  key: 'text',
  flow_index: 'text',
  concept_name: 'text',
  type: 'text',
  inputs: 'text',
  outcome: 'text',
  size: 'integer',
  files: 'text',
  started_at: 'real',
  finished_at: 'real',
  agent: 'text',
  provider: 'text',
  model: 'text',
  input_tokens: 'integer',
  output_tokens: 'integer',
  attempts: 'integer',
  repeated: 'integer',
} as const satisfies ColumnKinds<RunCallTable>

/** What people did to a run; waits here until the run takes it up. */
export interface RunCommandTable {
  readonly id: string
  readonly run_id: string
  /** Its number in the journal and the executions started before it, once it was applied. */
  readonly n: number | null
  readonly starts: number | null
  readonly type: string
  /** In the engine's lossless form. */
  readonly command: string
  readonly by: string
  readonly asked_at: number
  readonly applied_at: number | null
  /** Why the run refused it. */
  readonly refusal: string | null
}

export interface RunStepTable {
  readonly run_id: string
  readonly n: number
  readonly at: number
  readonly kind: string
  readonly cycle: number
  readonly flow_index: string | null
  readonly record: string
}

export const runStepColumns = {
  run_id: 'text',
  n: 'integer',
  at: 'real',
  kind: 'text',
  cycle: 'integer',
  flow_index: 'text',
  record: 'text',
} as const satisfies ColumnKinds<RunStepTable>

/** The newest snapshot of a run; it only makes loading shorter. */
export interface RunSnapshotTable {
  readonly run_id: string
  /** Entries of the journal that it contains, and the last event before it: no call begun before was open then. */
  readonly entries: number
  readonly seq: number
  readonly data: string
}

/** Values by content, once in a family of runs. */
export interface RunValueTable {
  readonly family: string
  readonly hash: string
  readonly data: string
}

export const runValueColumns = {
  family: 'text',
  hash: 'text',
  data: 'text',
} as const satisfies ColumnKinds<RunValueTable>

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
  readonly expires_at: number | null
  readonly answer: string | null
  /** Set when it was closed without an answer: `cancelled` or `expired`, with the reason in `answer`. */
  readonly closed: string | null
}
