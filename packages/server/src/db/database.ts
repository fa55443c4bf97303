import { orAbort } from '@slipway/kit/abort'
import { sql, type Kysely, type Transaction } from 'kysely'
import type { Backend, Channel, NoticeHandler } from './backend.ts'
import type { BulkInsert } from './bulk.ts'
import type { DialectName, NewRow } from './columns.ts'
import { checkSchema, migrate } from './migrate.ts'
import { cannotBeUsed, openBackend } from './open-backend.ts'
import type { BulkTable, Tables } from './tables.ts'

export type Reader = Kysely<Tables>

/** What a transaction takes last, because all others wait for it. */
export type LastLock = (typeof lastLocks)[number]

const lastLocks = ['jobs', 'counts', 'messages', 'events'] as const

/** A transaction; what depends on its success waits for `afterCommit`. */
export interface Tx {
  readonly sql: Transaction<Tables>
  readonly dialect: DialectName
  /** Writes rows of a table of `bulkTables`, each with all its columns, with statements that were prepared once. */
  insertAll<Table extends BulkTable>(table: Table, rows: readonly NewRow<Tables[Table]>[]): Promise<void>
  /** As `insertAll`, but leaves rows whose key is there already as they are. */
  insertMissing<Table extends BulkTable>(table: Table, rows: readonly NewRow<Tables[Table]>[]): Promise<void>
  /**
   * Runs as the last part of the transaction, in order. For what holds a lock that every writer needs, so that it is
   * held briefly, and taken after all others by everybody. Of several such locks everybody takes them in this order:
   * `jobs`, `counts`, `messages`, `events`.
   */
  beforeCommit(lock: LastLock, action: () => Promise<void>): void
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

  /** Runs `work` while no server on this database runs other work of this name. It may take connections of its own. */
  exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.#backend.exclusive(name, work)
  }

  /** Rejects when the database does not answer within `withinMs`. */
  async ping({ withinMs }: { readonly withinMs: number }): Promise<void> {
    await orAbort(sql`select 1`.execute(this.read), AbortSignal.timeout(withinMs))
  }

  /** Tells `payload` (at most 7,999 bytes) to whoever listens, on all servers, once the transaction is on disk. */
  notify(tx: Tx, channel: Channel, payload: string): Promise<void> {
    return this.#backend.notify(tx, { channel, payload })
  }

  /**
   * Calls `handler` with each payload that was told, this server's own included. With null when some may have gone by
   * unheard, the beginning on Postgres included: then look for yourself.
   */
  listen(channel: Channel, handler: NoticeHandler): Disposable {
    return this.#backend.listen(channel, handler)
  }

  /**
   * Shows all servers of this database, for as long as this process lives and its connection holds, that the server of
   * this name is there. Resolves once they can see it.
   */
  join(server: string): Promise<void> {
    return this.#backend.join(server)
  }

  /**
   * Those of these servers that are not there: ended, or without a connection at this moment. One that stands still is
   * there. None when this server has lost its own connection and cannot tell.
   */
  gone(servers: readonly string[]): Promise<string[]> {
    return servers.length === 0 ? Promise.resolve([]) : this.#backend.gone(servers)
  }

  /** Gives a portion of what deleted rows took back to the disk. False when nothing is left. */
  reclaim(): Promise<boolean> {
    return this.#backend.reclaim()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend.close()
  }
}

class OpenTransaction {
  readonly #backend: Backend
  readonly #last = new Map<LastLock, (() => Promise<void>)[]>()
  readonly #after: (() => void)[] = []
  #isOver = false

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async run<T>(sql: Transaction<Tables>, work: (tx: Tx) => Promise<T>): Promise<T> {
    try {
      const value = await work({
        sql,
        dialect: this.#backend.dialect,
        insertAll: (table, rows) => this.#insert(sql, { table, rows, skipExisting: false }),
        insertMissing: (table, rows) => this.#insert(sql, { table, rows, skipExisting: true }),
        beforeCommit: (lock, action) => void this.#last.set(lock, [...(this.#last.get(lock) ?? []), action]),
        afterCommit: action => this.#after.push(action),
      })
      for (const lock of lastLocks) for (const action of this.#last.get(lock) ?? []) await action()
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

export interface DatabaseOptions {
  /** Most connections to Postgres at a time. */
  readonly poolSize?: number | undefined
  /** How long a statement on Postgres may take, in milliseconds; the other times of the connection follow from it. */
  readonly timeoutMs?: number | undefined
}

/**
 * Opens the database at `place`: a SQLite file, `:memory:`, or the URL of a Postgres. SQLite is brought to this
 * release's schema. On Postgres other servers may be at work: it must have that schema already. Throws `config.invalid`
 * when it has not, or cannot be reached.
 */
export async function openDatabase(place: string, options: DatabaseOptions = {}): Promise<Database> {
  const backend = await openBackend(place, options)
  try {
    await (backend.dialect === 'sqlite' ? migrate(backend) : checkSchema(backend))
    return new Database(backend)
  } catch (error) {
    await backend.close()
    throw cannotBeUsed(place, error)
  }
}
