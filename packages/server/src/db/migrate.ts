import { AppError } from '@slipway/protocol/errors'
import { sql, type Kysely, type Transaction } from 'kysely'
import type { Backend } from './backend.ts'
import { columnTypes } from './migrations/column-types.ts'
import { migrations, type Migration } from './migrations/all.ts'
import type { DialectName } from './columns.ts'
import type { Tables } from './tables.ts'

// Of all locks in the database this one is ours: the letters of `slip`.
const lockNumber = 0x736c6970

/** Names of the migrations that the database has not had yet. Throws `config.invalid` when a newer release wrote it. */
export async function missingMigrations({ kysely, dialect }: Backend): Promise<string[]> {
  return (await pending(kysely, dialect)).map(({ name }) => name)
}

/** Throws `config.invalid` unless the schema is this release's. */
export async function checkSchema(backend: Backend): Promise<void> {
  const missing = await missingMigrations(backend)
  if (missing.length === 0) return
  throw new AppError(
    'config.invalid',
    `The database lacks ${missing.join(', ')}. Run \`slipway migrate\` with the same settings, then start the server.`,
  )
}

/**
 * Brings the schema to this release's, all in one transaction, and gives the names of what it applied. Of several at
 * the same time one does it, and the others wait. Throws `config.invalid` when a newer release wrote the database.
 */
export async function migrate({ kysely, dialect }: Backend): Promise<string[]> {
  if ((await pending(kysely, dialect)).length === 0) return []
  return kysely.transaction().execute(async tx => {
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${lockNumber})`.execute(tx)
    const missing = await pending(tx, dialect)
    for (const migration of missing) await apply(tx, migration, dialect)
    return missing.map(({ name }) => name)
  })
}

async function apply(tx: Transaction<Tables>, migration: Migration, dialect: DialectName): Promise<void> {
  const types = columnTypes[dialect]
  await sql`create table if not exists migration (
    name ${types.text} primary key, applied_at ${types.integer} not null) ${types.strict}`.execute(tx)
  await migration.up(tx, types)
  await tx.insertInto('migration').values({ name: migration.name, applied_at: Date.now() }).execute()
}

async function pending(database: Kysely<Tables>, dialect: DialectName): Promise<readonly Migration[]> {
  const applied = (await hasMigrations(database, dialect))
    ? await database.selectFrom('migration').select('name').orderBy('name').execute()
    : []
  const stranger = applied.find(({ name }, index) => migrations[index]?.name !== name)
  if (stranger) {
    throw new AppError(
      'config.invalid',
      `The database was written by another release, newer than this one (it has ${stranger.name}). Start that release, or restore a backup.`,
    )
  }
  return migrations.slice(applied.length)
}

async function hasMigrations(database: Kysely<Tables>, dialect: DialectName): Promise<boolean> {
  const query =
    dialect === 'sqlite'
      ? sql`select 1 from sqlite_master where name = 'migration'`
      : // Asked of the table of tables: functions that look up names may still answer from before the lock was taken.
        sql`select 1 from pg_tables where schemaname = current_schema() and tablename = 'migration'`
  return (await query.execute(database)).rows.length > 0
}
