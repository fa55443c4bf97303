import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { Backend } from './backend.ts'
import { columnsOf, valueOf, type BulkInsert } from './bulk.ts'
import { Handlers } from './handlers.ts'
import type { Tables } from './tables.ts'

// Enough for every statement the stores write; the rest are lists of varying length, which are not worth keeping.
const keptStatements = 500

/** Node's own SQLite: WAL, and every commit is on disk before it returns. `path` is a file, or `:memory:`. */
export function openSqlite(path: string): Backend {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 10_000 })
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory')
  const inserts = new Map<string, StatementSync>()
  const kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: forKysely(database) }) })
  const handlers = new Handlers()
  return {
    dialect: 'sqlite',
    kysely,
    insert: (_transaction, insert) => {
      const sql = insertStatement(insert)
      const statement = inserts.get(sql) ?? database.prepare(sql)
      inserts.set(sql, statement)
      const columns = columnsOf(insert.table)
      for (const row of insert.rows) statement.run(...columns.map(column => valueOf(row, column) as SQLInputValue))
      return Promise.resolve()
    },
    // One server works on the file, so that all listeners are in this process.
    notify: (tx, { channel, payload }) => {
      tx.afterCommit(() => handlers.tell(channel, payload))
      return Promise.resolve()
    },
    listen: (channel, handler) => handlers.add(channel, handler),
    close: () => kysely.destroy(),
  }
}

function insertStatement({ table, skipExisting }: BulkInsert): string {
  const columns = columnsOf(table)
  const places = columns.map(() => '?').join(', ')
  const conflict = skipExisting ? ' on conflict do nothing' : ''
  return `insert into ${table} (${columns.map(({ name }) => name).join(', ')}) values (${places})${conflict}`
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
