import { sql, type Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import type { InputTable, RunCallTable, RunStepTable, RunTable } from '#db/tables/runs'

export type RunRow = Selectable<RunTable>
export type CallRow = RunCallTable
export type StepRow = RunStepTable
export type InputRow = InputTable
export type NewRun = Omit<RunTable, 'position'>

export type RunChange = Partial<
  Pick<
    RunTable,
    | 'status'
    | 'started_at'
    | 'completed_at'
    | 'cancel_reason'
    | 'advances'
    | 'progress'
    | 'node_statuses'
    | 'error'
    | 'result'
  >
>

const runColumns = [
  'position',
  'id',
  'plan_id',
  'plan_version',
  'plan_digest',
  'status',
  'mode',
  'agent',
  'max_cycles',
  'inputs',
  'idempotency_key',
  'request_hash',
  'created_at',
  'started_at',
  'completed_at',
  'cancel_reason',
  'advances',
  'progress',
  'node_statuses',
  'error',
  'result',
] as const satisfies readonly (keyof RunTable)[]

// What lists show; inputs and results may be large.
const listColumns = runColumns.filter(column => !['inputs', 'result', 'node_statuses'].includes(column))

const callColumns = [
  'run_id',
  'n',
  'key',
  'flow_index',
  'concept_name',
  'type',
  'inputs',
  'outcome',
  'files',
  'started_at',
  'finished_at',
  'agent',
  'provider',
  'model',
  'input_tokens',
  'output_tokens',
  'attempts',
] as const satisfies readonly (keyof RunCallTable)[]

const inputColumns = [
  'id',
  'run_id',
  'plan_id',
  'key',
  'flow_index',
  'type',
  'prompt',
  'initial_text',
  'asked_at',
  'answer',
] as const satisfies readonly (keyof InputTable)[]

// SQLite takes 32,766 bound values in a statement.
const rowsPerInsert = 1000

export async function insertRun(tx: Tx, run: NewRun): Promise<void> {
  await tx.sql.insertInto('run').values(run).execute()
}

export async function updateRun(tx: Tx, runId: string, change: RunChange): Promise<void> {
  await tx.sql.updateTable('run').set(change).where('id', '=', runId).execute()
}

/** As `updateRun`, but only while the run has one of these states. False when it has another by now. */
export async function updateRunIf(
  tx: Tx,
  { runId, from }: { readonly runId: string; readonly from: readonly string[] },
  change: RunChange,
): Promise<boolean> {
  const result = await tx.sql
    .updateTable('run')
    .set(change)
    .where('id', '=', runId)
    .where('status', 'in', from)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}

export async function insertCalls(tx: Tx, calls: readonly CallRow[]): Promise<void> {
  for (const part of chunks(calls)) await tx.sql.insertInto('run_call').values(part).execute()
}

export async function insertSteps(tx: Tx, steps: readonly StepRow[]): Promise<void> {
  for (const part of chunks(steps)) await tx.sql.insertInto('run_step').values(part).execute()
}

function* chunks<T>(rows: readonly T[]): Generator<T[]> {
  for (let start = 0; start < rows.length; start += rowsPerInsert) yield rows.slice(start, start + rowsPerInsert)
}

export function findRun(reader: Reader, runId: string): Promise<RunRow | undefined> {
  return reader.selectFrom('run').select(runColumns).where('id', '=', runId).executeTakeFirst()
}

export function findRunByKey(reader: Reader, idempotencyKey: string): Promise<RunRow | undefined> {
  return reader.selectFrom('run').select(runColumns).where('idempotency_key', '=', idempotencyKey).executeTakeFirst()
}

export interface RunFilter {
  readonly planId?: string | undefined
  readonly statuses?: readonly string[] | undefined
  /** Runs accepted before this position. */
  readonly before?: number | undefined
  readonly limit: number
}

export type RunListRow = Omit<RunRow, 'inputs' | 'result' | 'node_statuses'>

/** Newest first. */
export function selectRuns(reader: Reader, filter: RunFilter): Promise<RunListRow[]> {
  return reader
    .selectFrom('run')
    .select(listColumns)
    .$if(filter.planId !== undefined, query => query.where('plan_id', '=', filter.planId ?? ''))
    .$if(filter.statuses !== undefined, query => query.where('status', 'in', filter.statuses ?? []))
    .$if(filter.before !== undefined, query => query.where('position', '<', filter.before ?? 0))
    .orderBy('position', 'desc')
    .limit(filter.limit)
    .execute()
}

const unfinished = ['pending', 'running', 'pausing', 'paused', 'stopping']

/** In the order in which they were accepted. */
export function selectUnfinished(reader: Reader): Promise<{ id: string; status: string }[]> {
  return reader
    .selectFrom('run')
    .select(['id', 'status'])
    .where('status', 'in', unfinished)
    .orderBy('position')
    .execute()
}

export function selectActiveOfPlan(reader: Reader, planId: string): Promise<{ id: string }[]> {
  return reader.selectFrom('run').select('id').where('plan_id', '=', planId).where('status', 'in', unfinished).execute()
}

export async function isDigestInUse(reader: Reader, digest: string): Promise<boolean> {
  const row = await reader
    .selectFrom('run')
    .select('id')
    .where('plan_digest', '=', digest)
    .where('status', 'in', unfinished)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

export interface CallFilter {
  readonly after: number
  readonly limit: number
  readonly type?: string | undefined
  readonly flowIndex?: string | undefined
}

/** Numbers of the calls that fit the filter, with how many characters each has; not the calls themselves. */
export function selectCallSizes(
  reader: Reader,
  runId: string,
  filter: CallFilter,
): Promise<{ n: number; size: number }[]> {
  return reader
    .selectFrom('run_call')
    .select(['n', sql<number>`length(inputs) + length(outcome)`.as('size')])
    .where('run_id', '=', runId)
    .where('n', '>', filter.after)
    .$if(filter.type !== undefined, query => query.where('type', '=', filter.type ?? ''))
    .$if(filter.flowIndex !== undefined, query => query.where('flow_index', '=', filter.flowIndex ?? ''))
    .orderBy('n')
    .limit(filter.limit)
    .execute()
}

export function selectCalls(reader: Reader, runId: string, filter: CallFilter): Promise<CallRow[]> {
  return reader
    .selectFrom('run_call')
    .select(callColumns)
    .where('run_id', '=', runId)
    .where('n', '>', filter.after)
    .$if(filter.type !== undefined, query => query.where('type', '=', filter.type ?? ''))
    .$if(filter.flowIndex !== undefined, query => query.where('flow_index', '=', filter.flowIndex ?? ''))
    .orderBy('n')
    .limit(filter.limit)
    .execute()
}

/** The answered calls of a run in the order of their answers: what a replay hands back. */
export function selectOutcomes(reader: Reader, runId: string): Promise<{ n: number; key: string; outcome: string }[]> {
  return reader
    .selectFrom('run_call')
    .select(['n', 'key', 'outcome'])
    .where('run_id', '=', runId)
    .orderBy('n')
    .execute()
}

export async function insertInput(tx: Tx, input: InputRow): Promise<void> {
  await tx.sql.insertInto('run_input').values(input).execute()
}

export function findInput(reader: Reader, where: { readonly id: string }): Promise<InputRow | undefined> {
  return reader.selectFrom('run_input').select(inputColumns).where('id', '=', where.id).executeTakeFirst()
}

export function findInputByKey(reader: Reader, runId: string, key: string): Promise<InputRow | undefined> {
  return reader
    .selectFrom('run_input')
    .select(inputColumns)
    .where('run_id', '=', runId)
    .where('key', '=', key)
    .executeTakeFirst()
}

/** Questions without an answer whose run is not over, oldest first. */
export function selectOpenInputs(reader: Reader, runId: string | undefined): Promise<InputRow[]> {
  return reader
    .selectFrom('run_input')
    .innerJoin('run', 'run.id', 'run_input.run_id')
    .select(inputColumns.map(column => `run_input.${column}` as const))
    .where('run_input.answer', 'is', null)
    .where('run.status', 'in', unfinished)
    .$if(runId !== undefined, query => query.where('run_input.run_id', '=', runId ?? ''))
    .orderBy('run_input.asked_at')
    .execute()
}

/** False when the question has an answer already. */
export async function answerInput(tx: Tx, id: string, answer: string): Promise<boolean> {
  const result = await tx.sql
    .updateTable('run_input')
    .set({ answer })
    .where('id', '=', id)
    .where('answer', 'is', null)
    .executeTakeFirst()
  return result.numUpdatedRows > 0n
}
