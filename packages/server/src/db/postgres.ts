import { CompiledQuery, Kysely, PostgresDialect, sql } from 'kysely'
import type { Backend } from './backend.ts'
import { columnsOf, valueOf, type BulkColumn, type BulkInsert } from './bulk.ts'
import type { ColumnKind } from './columns.ts'
import { lockOf, PostgresListener } from './postgres-listener.ts'
import { answeredByCommit, listenerOptions, openPool, type PostgresOptions } from './postgres-pool.ts'
import { Sockets } from './postgres-sockets.ts'
import type { Tables } from './tables.ts'
import { turns } from './turns.ts'

/** Postgres 13 or later. Connects when it is first used. */
export function openPostgres(options: PostgresOptions): Backend {
  const sockets = new Sockets()
  const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: openPool(options, sockets) }) })
  const turn = turns()
  const listener = new PostgresListener(listenerOptions(options, sockets), options)
  return {
    dialect: 'postgres',
    kysely,
    insert: async (transaction, insert) => {
      const statement = insertStatement(insert)
      for (const lists of portions(columnsOf(insert.table), insert.rows))
        await transaction.executeQuery(CompiledQuery.raw(statement, lists))
    },
    exclusive: (name, work) => turn(name, () => withLock(kysely, name, work)),
    notify: async (tx, { channel, payload }) => {
      await tx.sql.executeQuery(CompiledQuery.raw(`select pg_notify($1, $2) ${answeredByCommit}`, [channel, payload]))
    },
    listen: (channel, handler) => listener.listen(channel, handler),
    join: server => listener.join(server),
    gone: servers => (listener.tells ? withoutLock(kysely, servers) : Promise.resolve([])),
    // Postgres does it by itself.
    reclaim: () => Promise.resolve(false),
    close: () => sockets.closeAfter(Promise.all([listener[Symbol.asyncDispose](), kysely.destroy()])),
  }
}

// The lock lives as long as the connection, and so not longer than this server. Its number is made from its name.
function withLock<T>(kysely: Kysely<Tables>, name: string, work: () => Promise<T>): Promise<T> {
  return kysely.connection().execute(async connection => {
    await sql`select pg_advisory_lock(hashtextextended(${name}, 0))`.execute(connection)
    try {
      return await work()
    } finally {
      // Where this fails the connection is broken, and the lock gone with it.
      await sql`select pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(connection).catch(() => undefined)
    }
  })
}

/** Those of these servers whose lock is free. */
async function withoutLock(kysely: Kysely<Tables>, servers: readonly string[]): Promise<string[]> {
  const query = `select server from unnest($1::text[]) server where pg_try_advisory_xact_lock(${lockOf('server')})`
  const { rows } = await kysely.executeQuery<{ server: string }>(CompiledQuery.raw(query, [servers]))
  return rows.map(({ server }) => server)
}

const arrays: Readonly<Record<ColumnKind, string>> = {
  text: 'text[]',
  integer: 'bigint[]',
  real: 'double precision[]',
  bytes: 'bytea[]',
}

// One statement for any number of rows, so that it is prepared once: a list per column, put side by side.
function insertStatement({ table, skipExisting }: BulkInsert): string {
  const columns = columnsOf(table)
  const names = columns.map(({ name }) => name).join(', ')
  const conflict = skipExisting ? ' on conflict do nothing' : ''
  const lists = columns.map(({ kind }, index) => `$${index + 1}::${arrays[kind]}`).join(', ')
  return `insert into ${table} (${names}) select * from unnest(${lists})${conflict} ${answeredByCommit}`
}

// A message to Postgres ends at 1 GB, and is whole in memory on both sides.
const charactersPerStatement = 8_000_000

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  // In a list, bytes travel as two digits each.
  return value instanceof Uint8Array ? value.byteLength * 2 : 8
}

/** The columns' lists of values, in as many portions as their size asks for. */
function* portions(columns: readonly BulkColumn[], rows: readonly object[]): Generator<unknown[][]> {
  let lists = columns.map((): unknown[] => [])
  let characters = 0
  for (const row of rows) {
    columns.forEach((column, index) => {
      const value = valueOf(row, column)
      lists[index]?.push(value)
      characters += sizeOf(value)
    })
    if (characters < charactersPerStatement) continue
    yield lists
    lists = columns.map(() => [])
    characters = 0
  }
  if (lists[0] !== undefined && lists[0].length > 0) yield lists
}
