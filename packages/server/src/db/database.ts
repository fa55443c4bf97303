import { Kysely, type Transaction } from 'kysely'
import { migrate } from './migrate.ts'
import { sqliteDialect } from './sqlite.ts'
import type { Tables } from './tables.ts'

export type Reader = Kysely<Tables>

/** A transaction; what depends on its success waits for `afterCommit`. */
export interface Tx {
  readonly sql: Transaction<Tables>
  /** Runs once the transaction is on disk, in order; not at all when it fails. */
  afterCommit(action: () => void): void
}

export class Database implements AsyncDisposable {
  readonly read: Reader

  constructor(kysely: Kysely<Tables>) {
    this.read = kysely
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const actions: (() => void)[] = []
    const result = await this.read
      .transaction()
      .execute(sql => work({ sql, afterCommit: action => actions.push(action) }))
    for (const action of actions) action()
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.read.destroy()
  }
}

/** Opens and migrates the database. `path` is a file, or `:memory:` for tests. */
export async function openDatabase(path: string): Promise<Database> {
  const kysely = new Kysely<Tables>({ dialect: sqliteDialect(path) })
  await migrate(kysely)
  return new Database(kysely)
}
