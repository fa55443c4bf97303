import { sql } from 'kysely'
import type { Backend } from './backend.ts'
import { columnTypes } from './migrations/column-types.ts'
import { migrations } from './migrations/all.ts'

/** Brings the schema to this release's, one transaction a step. A database of a newer release is refused. */
export async function migrate({ kysely: database, dialect }: Backend): Promise<void> {
  const types = columnTypes[dialect]
  await sql`create table if not exists migration (name ${types.text} primary key, applied_at ${types.integer} not null)`.execute(
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
      await migration.up(tx, types)
      await tx.insertInto('migration').values({ name: migration.name, applied_at: Date.now() }).execute()
    })
  }
}
