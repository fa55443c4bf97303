import { sql, type Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { CircuitTable, CircuitVersionTable } from '#db/tables/circuits'

export type CircuitRow = Selectable<CircuitTable>
export type CircuitVersionRow = Selectable<CircuitVersionTable>

export interface CircuitKey {
  readonly organisation: string
  readonly name: string
}

const lockStatement = new Statement<CircuitRow>(
  ({ take }) => `select * from circuit where organisation = $1 and name = $2 ${take('circuit')}`,
)

/** The row, locked until the end of the transaction. */
export async function lockCircuit(tx: Tx, { organisation, name }: CircuitKey): Promise<CircuitRow | undefined> {
  const [row] = await lockStatement.run(tx, organisation, name)
  return row
}

/** By their names. */
export function selectCircuits(reader: Reader, organisation: string): Promise<CircuitRow[]> {
  return reader.selectFrom('circuit').selectAll().where('organisation', '=', organisation).orderBy('name').execute()
}

export function findCircuit(reader: Reader, { organisation, name }: CircuitKey): Promise<CircuitRow | undefined> {
  return reader
    .selectFrom('circuit')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .executeTakeFirst()
}

/** Of all organisations. */
export function selectEnabled(reader: Reader): Promise<CircuitRow[]> {
  return reader.selectFrom('circuit').selectAll().where('state', '=', 'enabled').execute()
}

export async function putCircuitRow(tx: Tx, row: CircuitRow): Promise<void> {
  const { organisation: _o, name: _n, ...fields } = row
  await tx.sql
    .insertInto('circuit')
    .values(row)
    .onConflict(conflict => conflict.columns(['organisation', 'name']).doUpdateSet(fields))
    .execute()
}

/** With all that it was. */
export async function deleteCircuitRow(tx: Tx, { organisation, name }: CircuitKey): Promise<void> {
  await deleteVersions(tx, { organisation, name }, Number.MAX_SAFE_INTEGER)
  await tx.sql.deleteFrom('circuit').where('organisation', '=', organisation).where('name', '=', name).execute()
}

export async function insertVersion(tx: Tx, row: CircuitVersionRow): Promise<void> {
  await tx.sql.insertInto('circuit_version').values(row).execute()
}

/** Those up to this one. */
export async function deleteVersions(tx: Tx, { organisation, name }: CircuitKey, version: number): Promise<void> {
  await tx.sql
    .deleteFrom('circuit_version')
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .where('version', '<=', version)
    .execute()
}

/** Newest first. */
export function selectVersions(
  reader: Reader,
  { organisation, name }: CircuitKey,
  { before, limit }: { readonly before: number | undefined; readonly limit: number },
): Promise<CircuitVersionRow[]> {
  return reader
    .selectFrom('circuit_version')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .$if(before !== undefined, query => query.where('version', '<', before ?? 0))
    .orderBy('version', 'desc')
    .limit(limit)
    .execute()
}

export function findVersion(
  reader: Reader,
  { organisation, name }: CircuitKey,
  version: number,
): Promise<CircuitVersionRow | undefined> {
  return reader
    .selectFrom('circuit_version')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst()
}

export interface Progress {
  readonly seq: number
  readonly handedOn: number
  readonly heldBack: number
  readonly failed: number
  readonly cut: number
  readonly problem: string | null
}

/** Notes what became of a message, as part of the transaction that hands it on. */
export async function writeProgress(tx: Tx, { organisation, name }: CircuitKey, progress: Progress): Promise<void> {
  await tx.sql
    .updateTable('circuit')
    .set({
      seq: progress.seq,
      handed_on: sql`handed_on + ${progress.handedOn}`,
      held_back: sql`held_back + ${progress.heldBack}`,
      failed: sql`failed + ${progress.failed}`,
      cut: sql`cut + ${progress.cut}`,
      ...(progress.problem !== null && { last_problem: progress.problem.slice(0, 1_000) }),
    })
    .where('organisation', '=', organisation)
    .where('name', '=', name)
    .execute()
}
