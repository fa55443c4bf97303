import type { Kysely, Transaction } from 'kysely'
import type { Backend } from './backend.ts'
import type { BulkInsert } from './bulk.ts'
import type { DialectName, NewRow } from './columns.ts'
import { migrate } from './migrate.ts'
import { openSqlite } from './sqlite.ts'
import type { BulkTable, Tables } from './tables.ts'

export type Reader = Kysely<Tables>

/** A transaction; what depends on its success waits for `afterCommit`. */
export interface Tx {
  readonly sql: Transaction<Tables>
  /** Writes rows of a table of `bulkTables`, each with all its columns: many times faster than a built query. */
  insertAll<Table extends BulkTable>(table: Table, rows: readonly NewRow<Tables[Table]>[]): Promise<void>
  /** As `insertAll`, but leaves rows whose key is there already as they are. */
  insertMissing<Table extends BulkTable>(table: Table, rows: readonly NewRow<Tables[Table]>[]): Promise<void>
  /**
   * Runs as the last part of the transaction, in order. For what holds a lock that every writer needs, so that it is
   * held briefly, and taken after all others by everybody.
   */
  beforeCommit(action: () => Promise<void>): void
  /** Runs once the transaction is on disk, in order; not at all when it fails. */
  afterCommit(action: () => void): void
}

export class Database implements AsyncDisposable {
  readonly dialect: DialectName
  readonly read: Reader
  readonly #backend: Backend

  constructor(backend: Backend) {
    this.#backend = backend
    this.dialect = backend.dialect
    this.read = backend.kysely
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const open = new OpenTransaction(this.#backend)
    const result = await this.read.transaction().execute(sql => open.run(sql, work))
    open.committed()
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.read.destroy()
  }
}

class OpenTransaction {
  readonly #backend: Backend
  readonly #last: (() => Promise<void>)[] = []
  readonly #after: (() => void)[] = []
  #isOver = false

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async run<T>(sql: Transaction<Tables>, work: (tx: Tx) => Promise<T>): Promise<T> {
    try {
      const value = await work({
        sql,
        insertAll: (table, rows) => this.#insert(sql, { table, rows, skipExisting: false }),
        insertMissing: (table, rows) => this.#insert(sql, { table, rows, skipExisting: true }),
        beforeCommit: action => this.#last.push(action),
        afterCommit: action => this.#after.push(action),
      })
      for (const action of this.#last) await action()
      return value
    } finally {
      this.#isOver = true
    }
  }

  committed(): void {
    for (const action of this.#after) action()
  }

  async #insert(sql: Transaction<Tables>, insert: BulkInsert): Promise<void> {
    if (this.#isOver) throw new Error('A transaction was used after its end.')
    if (insert.rows.length > 0) await this.#backend.insert(sql, insert)
  }
}

/** Opens and migrates the database. `path` is a file, or `:memory:` for tests. */
export async function openDatabase(path: string): Promise<Database> {
  const backend = openSqlite(path)
  await migrate(backend)
  return new Database(backend)
}
