import { type Kysely, sql } from 'kysely'
import { migrations } from './migrations/all.ts'
import type { Tables } from './tables.ts'

/** Brings the schema to this release's, one transaction a step. A database of a newer release is refused. */
export async function migrate(database: Kysely<Tables>): Promise<void> {
  await sql`create table if not exists migration (name text primary key, applied_at integer not null default (unixepoch() * 1000))`.execute(
    database,
  )
  const applied = await database.selectFrom('migration').select('name').orderBy('name').execute()
  const known = new Set(migrations.map(migration => migration.name))
  const stranger = applied.find(row => !known.has(row.name))
  if (stranger) {
    throw new Error(
      `The database was written by a newer release (it has ${stranger.name}). Start that release, or restore a backup.`,
    )
  }
  const done = new Set(applied.map(row => row.name))
  for (const migration of migrations.filter(candidate => !done.has(candidate.name))) {
    await database.transaction().execute(async tx => {
      await migration.up(tx)
      await tx.insertInto('migration').values({ name: migration.name }).execute()
    })
  }
}
