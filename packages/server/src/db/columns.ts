import type { ColumnType, SelectType } from 'kysely'

/** Which of the two databases a server works on. What differs between them stands side by side under these names. */
export type DialectName = 'sqlite' | 'postgres'

type KindOf<Value> = Value extends string ? 'text' : Value extends Uint8Array ? 'bytes' : 'integer' | 'real'

type Written<Table> = {
  [Name in keyof Table]: Table[Name] extends ColumnType<infer _Selected, infer Inserted, infer _Updated>
    ? undefined extends Inserted
      ? never
      : Name
    : Name
}[keyof Table]

/**
 * What each column of a table holds, for inserts of many rows. Every column but those whose value the database gives
 * has a line; a constant of this type stands beside the table's interface.
 */
export type ColumnKinds<Table> = { readonly [Name in Written<Table>]: KindOf<NonNullable<SelectType<Table[Name]>>> }

/** A row as inserts of many rows take it: each column of `ColumnKinds`, null where it may be null. */
export type NewRow<Table> = { readonly [Name in Written<Table>]: SelectType<Table[Name]> }

export type ColumnKind = 'text' | 'integer' | 'real' | 'bytes'
