import type { Kysely, Transaction } from 'kysely'
import type { BulkInsert } from './bulk.ts'
import type { DialectName } from './columns.ts'
import type { Tables } from './tables.ts'

/** What each of the two databases does in its own way. */
export interface Backend {
  readonly dialect: DialectName
  readonly kysely: Kysely<Tables>
  /** Writes many rows without building a query for them. */
  insert(transaction: Transaction<Tables>, insert: BulkInsert): Promise<void>
}
