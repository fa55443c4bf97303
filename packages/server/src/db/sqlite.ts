import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'

// Enough for every statement the stores write; the rest are lists of varying length, which are not worth keeping.
const keptStatements = 500

/** Kysely's dialect over Node's own SQLite: WAL, and every commit is on disk before it returns. */
export function sqliteDialect(path: string): SqliteDialect {
  return new SqliteDialect({ database: () => Promise.resolve(openSqlite(path)) })
}

function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 10_000 })
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory')
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

type SqliteValue = null | number | bigint | string | Uint8Array

function wrap(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...(parameters as SqliteValue[])),
    run: parameters => statement.run(...(parameters as SqliteValue[])),
    iterate: parameters => statement.iterate(...(parameters as SqliteValue[])),
  }
}
