import { bulkTables, type BulkTable } from './tables.ts'
import type { ColumnKind } from './columns.ts'

/** Rows of one table that are written together. */
export interface BulkInsert {
  readonly table: BulkTable
  readonly rows: readonly object[]
  /** Leaves rows that are there already as they are, instead of failing. */
  readonly skipExisting: boolean
}

export interface BulkColumn {
  readonly name: string
  readonly kind: ColumnKind
}

const columns = new Map<BulkTable, readonly BulkColumn[]>(
  Object.entries(bulkTables).map(([table, kinds]) => [
    table as BulkTable,
    Object.entries(kinds).map(([name, kind]) => ({ name, kind })),
  ]),
)

/** The columns in the order in which a statement names them. */
export function columnsOf(table: BulkTable): readonly BulkColumn[] {
  return columns.get(table) ?? []
}

export function valueOf(row: object, { name }: BulkColumn): unknown {
  return (row as Readonly<Record<string, unknown>>)[name]
}
