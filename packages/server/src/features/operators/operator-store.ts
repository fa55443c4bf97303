import type { Selectable } from 'kysely'
import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import type { OperatorEventTable, OperatorEvidenceTable, OperatorTable } from '#db/tables/operators'

export type OperatorRow = Selectable<OperatorTable>
export type OperatorEventRow = Selectable<OperatorEventTable>

export interface OperatorKey {
  readonly organisation: string
  readonly id: string
}

/** An operator, and on how many jobs it works. */
export type CountedOperator = OperatorRow & { readonly held: number }

const lockStatement = new Statement<OperatorRow>(
  ({ take }) => `select * from operator where organisation = $1 and id = $2 ${take('operator')}`,
)

/** The row, locked until the end of the transaction. */
export async function lockOperator(tx: Tx, { organisation, id }: OperatorKey): Promise<OperatorRow | undefined> {
  const [row] = await lockStatement.run(tx, organisation, id)
  return row
}

export function findOperator(reader: Reader, { organisation, id }: OperatorKey): Promise<OperatorRow | undefined> {
  return reader
    .selectFrom('operator')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('id', '=', id)
    .executeTakeFirst()
}

/** By their ids, behind `after`. */
export function selectOperators(
  reader: Reader,
  organisation: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<CountedOperator[]> {
  return counted(reader, organisation).where('id', '>', after).orderBy('id').limit(limit).execute()
}

export function findCounted(reader: Reader, { organisation, id }: OperatorKey): Promise<CountedOperator | undefined> {
  return counted(reader, organisation).where('id', '=', id).executeTakeFirst()
}

function counted(reader: Reader, organisation: string) {
  return reader
    .selectFrom('operator')
    .selectAll()
    .select(eb =>
      eb
        .selectFrom('job')
        .select(job => job.fn.countAll<number>().as('held'))
        .where('job.state', '=', 'leased')
        .whereRef('job.operator', '=', 'operator.id')
        .whereRef('job.organisation', '=', 'operator.organisation')
        .$asScalar()
        .$notNull()
        .as('held'),
    )
    .where('organisation', '=', organisation)
}

/** What each operator of the organisation takes. */
export function selectTakers(reader: Reader, organisation: string): Promise<Pick<OperatorRow, 'topics' | 'schemas'>[]> {
  return reader.selectFrom('operator').select(['topics', 'schemas']).where('organisation', '=', organisation).execute()
}

export async function countOperators(tx: Tx, organisation: string): Promise<number> {
  const { count } = await tx.sql
    .selectFrom('operator')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('organisation', '=', organisation)
    .executeTakeFirstOrThrow()
  return count
}

/** True when it is new. Somebody else's row of the same key is left as it is. */
export async function insertOperator(tx: Tx, row: OperatorRow): Promise<boolean> {
  const result = await tx.sql
    .insertInto('operator')
    .values(row)
    .onConflict(conflict => conflict.columns(['organisation', 'id']).doNothing())
    .executeTakeFirst()
  return (result.numInsertedOrUpdatedRows ?? 0n) > 0n
}

export async function changeOperator(
  tx: Tx,
  { organisation, id }: OperatorKey,
  fields: Partial<Omit<OperatorRow, keyof OperatorKey>>,
): Promise<void> {
  await tx.sql
    .updateTable('operator')
    .set(fields)
    .where('organisation', '=', organisation)
    .where('id', '=', id)
    .execute()
}

export async function deleteOperatorRow(tx: Tx, { organisation, id }: OperatorKey): Promise<void> {
  await tx.sql.deleteFrom('operator').where('organisation', '=', organisation).where('id', '=', id).execute()
}

/** Notes that it was heard of, as long as this connection is its own. */
export async function touchOperator(
  tx: Tx,
  { organisation, id }: OperatorKey,
  { session, at }: { readonly session: string; readonly at: number },
): Promise<void> {
  await tx.sql
    .updateTable('operator')
    .set({ last_seen_at: at })
    .where('organisation', '=', organisation)
    .where('id', '=', id)
    .where('session', '=', session)
    .where('last_seen_at', '<', at)
    .execute()
}

/** Those that are connected and were not heard of since. */
export function selectSilent(
  reader: Reader,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<OperatorKey[]> {
  return reader
    .selectFrom('operator')
    .select(['organisation', 'id'])
    .where('session', 'is not', null)
    .where('last_seen_at', '<', before)
    .orderBy('last_seen_at')
    .limit(limit)
    .execute()
}

export async function insertEvent(tx: Tx, event: Omit<OperatorEventRow, 'position'>): Promise<void> {
  await tx.sql.insertInto('operator_event').values(event).execute()
}

/** Removes all but the newest ones of an operator. */
export async function trimEvents(tx: Tx, { organisation, id }: OperatorKey, keep: number): Promise<void> {
  const oldest = await tx.sql
    .selectFrom('operator_event')
    .select('position')
    .where('organisation', '=', organisation)
    .where('operator', '=', id)
    .orderBy('position', 'desc')
    .offset(keep)
    .limit(1)
    .executeTakeFirst()
  if (!oldest) return
  await tx.sql
    .deleteFrom('operator_event')
    .where('organisation', '=', organisation)
    .where('operator', '=', id)
    .where('position', '<=', oldest.position)
    .execute()
}

/** Newest first. */
export function selectEvents(
  reader: Reader,
  { organisation, id }: OperatorKey,
  limit: number,
): Promise<OperatorEventRow[]> {
  return reader
    .selectFrom('operator_event')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('operator', '=', id)
    .orderBy('position', 'desc')
    .limit(limit)
    .execute()
}

export type EvidenceRow = Selectable<OperatorEvidenceTable>

/** In the place of what the same check of the same configuration found before. */
export async function putEvidence(tx: Tx, row: EvidenceRow): Promise<void> {
  const { organisation: _o, operator: _i, digest: _d, check_name: _c, ...found } = row
  await tx.sql
    .insertInto('operator_evidence')
    .values(row)
    .onConflict(conflict => conflict.columns(['organisation', 'operator', 'digest', 'check_name']).doUpdateSet(found))
    .execute()
}

/** Newest first. */
export function selectEvidence(reader: Reader, { organisation, id }: OperatorKey): Promise<EvidenceRow[]> {
  return reader
    .selectFrom('operator_evidence')
    .selectAll()
    .where('organisation', '=', organisation)
    .where('operator', '=', id)
    .orderBy('at', 'desc')
    .orderBy('check_name')
    .limit(100)
    .execute()
}

export async function deleteEvidence(tx: Tx, { organisation, id }: OperatorKey): Promise<void> {
  await tx.sql
    .deleteFrom('operator_evidence')
    .where('organisation', '=', organisation)
    .where('operator', '=', id)
    .execute()
}
