import type { Backend } from './backend.ts'
import { migrate, missingMigrations } from './migrate.ts'
import { cannotBeUsed, openBackend } from './open-backend.ts'

/** Brings the database at `place` to this release's schema; gives what it applied. Throws `config.invalid`. */
export function migrateDatabase(place: string): Promise<string[]> {
  return onDatabase(place, migrate)
}

/** What the database at `place` lacks of this release's schema. Throws `config.invalid`. */
export function missingInDatabase(place: string): Promise<string[]> {
  return onDatabase(place, missingMigrations)
}

async function onDatabase<T>(place: string, work: (backend: Backend) => Promise<T>): Promise<T> {
  const backend = await openBackend(place, { isPatient: true })
  try {
    return await work(backend)
  } catch (error) {
    throw cannotBeUsed(place, error)
  } finally {
    await backend.close()
  }
}
