import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { Backend } from './backend.ts'
import { columnsOf, valueOf, type BulkColumn, type BulkInsert } from './bulk.ts'
import { turns } from './turns.ts'
import { Handlers } from './handlers.ts'
import type { Tables } from './tables.ts'

// Enough for every statement the stores write; the rest are lists of varying length, which are not worth keeping.
const keptStatements = 500

/** Node's own SQLite: WAL, and every commit is on disk before it returns. `path` is a file, or `:memory:`. */
export function openSqlite(path: string): Backend {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 10_000 })
  // Free pages can be given back only where that was said before the first table.
  database.exec('pragma auto_vacuum = incremental; pragma journal_mode = wal')
  database.exec('pragma synchronous = full; pragma temp_store = memory')
  database.exec(`pragma wal_autocheckpoint = ${pagesPerCheckpoint}`)
  const inserters = new Map<string, Inserter>()
  const kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: forKysely(database) }) })
  const handlers = new Handlers()
  const joined = new Set<string>()
  return {
    dialect: 'sqlite',
    kysely,
    insert: (_transaction, { table, rows, skipExisting }) => {
      const key = `${table} ${skipExisting}`
      const inserter = inserters.get(key) ?? new Inserter(database, { table, skipExisting })
      inserters.set(key, inserter)
      inserter.insert(rows)
      return Promise.resolve()
    },
    exclusive: turns(),
    // One server works on the file, so that all listeners are in this process.
    notify: (tx, { channel, payload }) => {
      tx.afterCommit(() => handlers.tell(channel, payload))
      return Promise.resolve()
    },
    listen: (channel, handler) => handlers.add(channel, handler),
    join: server => Promise.resolve(void joined.add(server)),
    gone: servers => Promise.resolve(servers.filter(server => !joined.has(server))),
    // Behind all transactions under way: a log in use cannot be cut.
    reclaim: () => kysely.connection().execute(() => Promise.resolve(reclaim(database))),
    close: () => kysely.destroy(),
  }
}

// At the usual size of a page 16 MB: a page that was changed again and again goes into the file once.
const pagesPerCheckpoint = 4000

// At the usual size of a page 2 MB, a few milliseconds.
const pagesAtOnce = 500

function reclaim(database: DatabaseSync): boolean {
  database.exec(`pragma incremental_vacuum(${pagesAtOnce})`)
  const { freelist_count: left } = database.prepare('pragma freelist_count').get() as { freelist_count: number }
  if (left === 0) database.exec('pragma wal_checkpoint(truncate)')
  return left > 0
}

// Eight rows a statement take three quarters of the time that eight statements take; more gain nothing.
const rowsPerStatement = 8

/** The statements that insert rows into one table. */
class Inserter {
  readonly #columns: readonly BulkColumn[]
  readonly #one: StatementSync
  readonly #many: StatementSync

  constructor(database: DatabaseSync, { table, skipExisting }: Omit<BulkInsert, 'rows'>) {
    this.#columns = columnsOf(table)
    const names = this.#columns.map(({ name }) => name).join(', ')
    const places = `(${this.#columns.map(() => '?').join(', ')})`
    const statement = (rows: number): string =>
      `insert into ${table} (${names}) values ${Array<string>(rows).fill(places).join(', ')}` +
      (skipExisting ? ' on conflict do nothing' : '')
    this.#one = database.prepare(statement(1))
    this.#many = database.prepare(statement(rowsPerStatement))
  }

  insert(rows: readonly object[]): void {
    const inStatements = rows.length - (rows.length % rowsPerStatement)
    for (let start = 0; start < inStatements; start += rowsPerStatement)
      this.#many.run(...this.#values(rows.slice(start, start + rowsPerStatement)))
    for (let index = inStatements; index < rows.length; index++)
      this.#one.run(...this.#values(rows.slice(index, index + 1)))
  }

  #values(rows: readonly object[]): SQLInputValue[] {
    const values: SQLInputValue[] = []
    for (const row of rows) for (const column of this.#columns) values.push(valueOf(row, column) as SQLInputValue)
    return values
  }
}

function forKysely(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    close: () => database.close(),
    prepare: sql => {
      const known = statements.get(sql)
      if (known) return known
      const statement = sql === 'rollback' ? rollbackOf(database) : wrap(database.prepare(sql))
      if (statements.size < keptStatements) statements.set(sql, statement)
      return statement
    },
  }
}

// After a full disk and the like SQLite has rolled back by itself, and a second time is an error that hides the first.
function rollbackOf(database: DatabaseSync): SqliteStatement {
  return {
    reader: false,
    all: () => [],
    iterate: () => [].values(),
    run: () => {
      if (database.isTransaction) database.exec('rollback')
      return { changes: 0, lastInsertRowid: 0 }
    },
  }
}

function wrap(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...(parameters as SQLInputValue[])),
    run: parameters => statement.run(...(parameters as SQLInputValue[])),
    iterate: parameters => statement.iterate(...(parameters as SQLInputValue[])),
  }
}
