import { sql, type Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { RunCallTable, RunCommandTable, RunSnapshotTable, RunStepTable, RunValueTable } from '#db/tables/runs'

export type CallRow = RunCallTable
export type StepRow = RunStepTable
export type ValueRow = RunValueTable
export type CommandRow = Selectable<RunCommandTable>
export type SnapshotRow = RunSnapshotTable

/** How far a run is on disk after a commit, under the lease of whoever wrote it. */
export interface PositionRow {
  readonly id: string
  readonly lease: number
  /** The last event number before this, and with it. */
  readonly before: number
  readonly seq: number
  readonly entries: number
  readonly records: number
  readonly emitted: number
  readonly starts: number
}

const positionColumns = {
  id: 'text',
  lease: 'integer',
  before: 'integer',
  seq: 'integer',
  entries: 'integer',
  records: 'integer',
  emitted: 'integer',
  starts: 'integer',
} as const satisfies { readonly [Name in keyof PositionRow]: 'text' | 'integer' }

const positionNames = Object.keys(positionColumns) as (keyof PositionRow)[]

const positionStatement = new Statement<{ readonly id: string }>(
  ({ rows }) => `
    update run set seq = p.seq, entries = p.entries, records = p.records, emitted = p.emitted, starts = p.starts
    from ${rows('$1', positionColumns)} as p
    where run.id = p.id and run.lease = p.lease and run.seq = p.before returning run.id`,
)

/** Writes the positions; gives how many runs still had these leases and stood where these begin. */
export async function writePositions(tx: Tx, positions: readonly PositionRow[]): Promise<number> {
  const rows = positions.map(position => positionNames.map(name => position[name]))
  const written = await positionStatement.run(tx, JSON.stringify(rows))
  return written.length
}

export async function writeSnapshot(tx: Tx, snapshot: SnapshotRow): Promise<void> {
  const { run_id: _runId, ...changed } = snapshot
  await tx.sql
    .insertInto('run_snapshot')
    .values(snapshot)
    .onConflict(conflict => conflict.column('run_id').doUpdateSet(changed))
    .execute()
}

export function findSnapshot(reader: Reader, runId: string): Promise<SnapshotRow | undefined> {
  return reader.selectFrom('run_snapshot').selectAll().where('run_id', '=', runId).executeTakeFirst()
}

export async function deleteSnapshot(tx: Tx, runId: string): Promise<void> {
  await tx.sql.deleteFrom('run_snapshot').where('run_id', '=', runId).execute()
}

export async function insertCommand(tx: Tx, command: CommandRow): Promise<void> {
  await tx.sql.insertInto('run_command').values(command).execute()
}

export interface AppliedCommand {
  readonly id: string
  readonly n: number | null
  readonly starts: number | null
  readonly applied_at: number
  readonly refusal: string | null
}

export async function markCommand(tx: Tx, { id, ...applied }: AppliedCommand): Promise<void> {
  await tx.sql.updateTable('run_command').set(applied).where('id', '=', id).execute()
}

/** What a run has not taken up yet, in the order in which it was asked. */
export function selectWaitingCommands(reader: Reader, runId: string): Promise<CommandRow[]> {
  return reader
    .selectFrom('run_command')
    .selectAll()
    .where('run_id', '=', runId)
    .where('applied_at', 'is', null)
    .orderBy('asked_at')
    .orderBy('id')
    .execute()
}

export function selectCommands(reader: Reader, runId: string): Promise<CommandRow[]> {
  return reader
    .selectFrom('run_command')
    .selectAll()
    .where('run_id', '=', runId)
    .orderBy('asked_at')
    .orderBy('id')
    .execute()
}

export function findCommand(reader: Reader, id: string): Promise<CommandRow | undefined> {
  return reader.selectFrom('run_command').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Applied commands behind an entry of the journal: what a replay carries out again. */
export function selectAppliedCommands(reader: Reader, runId: string, after: number): Promise<CommandRow[]> {
  return reader
    .selectFrom('run_command')
    .selectAll()
    .where('run_id', '=', runId)
    .where('n', '>', after)
    .orderBy('n')
    .execute()
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
    .select(['n', 'size'])
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
    .selectAll()
    .where('run_id', '=', runId)
    .where('n', '>', filter.after)
    .$if(filter.type !== undefined, query => query.where('type', '=', filter.type ?? ''))
    .$if(filter.flowIndex !== undefined, query => query.where('flow_index', '=', filter.flowIndex ?? ''))
    .orderBy('n')
    .limit(filter.limit)
    .execute()
}

/** Answered calls behind an entry of the journal, in the order of their answers: what a replay hands back. */
export function selectOutcomes(
  reader: Reader,
  runId: string,
  after: number,
): Promise<{ n: number; key: string; outcome: string }[]> {
  return reader
    .selectFrom('run_call')
    .select(['n', 'key', 'outcome'])
    .where('run_id', '=', runId)
    .where('n', '>', after)
    .orderBy('n')
    .execute()
}

export interface StepFilter {
  readonly after: number
  readonly limit: number
  readonly flowIndex?: string | undefined
  readonly cycle?: number | undefined
  readonly newestFirst?: boolean | undefined
}

/** Records of a run in their order; with `newestFirst` those before `after`, if it is not 0. */
export function selectSteps(reader: Reader, runId: string, filter: StepFilter): Promise<StepRow[]> {
  const { after, flowIndex, cycle, newestFirst = false } = filter
  return reader
    .selectFrom('run_step')
    .selectAll()
    .where('run_id', '=', runId)
    .$if(!newestFirst, query => query.where('n', '>', after))
    .$if(newestFirst && after > 0, query => query.where('n', '<', after))
    .$if(flowIndex !== undefined, query => query.where('flow_index', '=', flowIndex ?? ''))
    .$if(cycle !== undefined, query => query.where('cycle', '=', cycle ?? 0))
    .orderBy('n', newestFirst ? 'desc' : 'asc')
    .limit(filter.limit)
    .execute()
}

/** Which record of its cycle each of these is, from 1. */
export async function selectPlacesInCycle(
  reader: Reader,
  runId: string,
  steps: readonly Pick<StepRow, 'cycle'>[],
): Promise<ReadonlyMap<number, number>> {
  const cycles = [...new Set(steps.map(({ cycle }) => cycle))]
  if (cycles.length === 0) return new Map()
  const rows = await reader
    .selectFrom('run_step')
    .select(['n', sql<number>`row_number() over (partition by cycle order by n)`.as('place')])
    .where('run_id', '=', runId)
    .where('cycle', 'in', cycles)
    .execute()
  return new Map(rows.map(({ n, place }) => [n, Number(place)]))
}

/** The record with this place in its cycle, from 1, or with 0 the last one of the cycle; null when there is none. */
export async function findStepOfCycle(
  reader: Reader,
  runId: string,
  { cycle, place }: { readonly cycle: number; readonly place: number },
): Promise<number | null> {
  const row = await reader
    .selectFrom('run_step')
    .select('n')
    .where('run_id', '=', runId)
    .where('cycle', '=', cycle)
    .orderBy('n', place === 0 ? 'desc' : 'asc')
    .limit(1)
    .offset(Math.max(0, place - 1))
    .executeTakeFirst()
  return row?.n ?? null
}

/** Values of a family by hash. SQLite takes 32,766 bound values in a statement. */
export async function selectValues(
  reader: Reader,
  family: string,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (let start = 0; start < hashes.length; start += 1000) {
    const rows = await reader
      .selectFrom('run_value')
      .select(['hash', 'data'])
      .where('family', '=', family)
      .where('hash', 'in', hashes.slice(start, start + 1000))
      .execute()
    for (const { hash, data } of rows) found.set(hash, data)
  }
  return found
}
