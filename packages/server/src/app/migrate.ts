import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { lockFolder } from '#db/folder-lock'
import { migrateDatabase, missingInDatabase } from '#db/migrate-database'
import { isPostgres } from '#db/place'
import { pathsOf, readConfig, type Paths } from './config.ts'
import { makeDataFolder } from './data-folder.ts'
import { endWith } from './end-with.ts'

/**
 * Brings the configured database to this release's schema. Exit codes: 0 done or nothing to do, 1 failed, or with
 * `--check` something is missing, 2 not possible with these settings.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, json: { type: 'boolean' } } })
  const paths = pathsOf((await readConfig()).settings)
  const missing = await missingIn(paths.database)
  const applied = values.check === true || missing.length === 0 ? [] : await migrate(paths)
  const left = values.check === true ? missing : []
  if (left.length > 0) process.exitCode = 1
  process.stdout.write(values.json === true ? `${JSON.stringify({ applied, missing: left })}\n` : told(applied, left))
}

function told(applied: readonly string[], missing: readonly string[]): string {
  if (missing.length > 0) return `The database lacks ${missing.join(', ')}.\n`
  return applied.length > 0 ? `Applied ${applied.join(', ')}.\n` : 'The database is up to date.\n'
}

// A SQLite file that is not there has nothing, and asking must not make it.
function missingIn(database: string): Promise<string[]> {
  return missingInDatabase(isPostgres(database) || existsSync(database) ? database : ':memory:')
}

async function migrate({ dataDir, database, lock }: Paths): Promise<string[]> {
  if (isPostgres(database)) return migrateDatabase(database)
  await makeDataFolder(dataDir)
  // No server may be at work on the file meanwhile.
  using _alone = lockFolder(lock)
  return await migrateDatabase(database)
}

main().catch((error: unknown) => endWith(error, 'The migration failed'))
