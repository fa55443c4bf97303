import { AppError } from '@slipway/protocol/errors'
import type { Backend } from './backend.ts'
import { isPostgres } from './place.ts'
import { openSqlite } from './sqlite.ts'

export interface BackendOptions {
  readonly poolSize?: number | undefined
  /** Whether statements may take as long as they like. */
  readonly isPatient?: boolean | undefined
}

const usualPoolSize = 10

export async function openBackend(place: string, options: BackendOptions): Promise<Backend> {
  if (!isPostgres(place)) return openSqlite(place)
  // Loaded where it is needed, so that a server on SQLite does not start later for it.
  const { openPostgres } = await import('./postgres.ts')
  const { poolSize = usualPoolSize, isPatient = false } = options
  return openPostgres({ url: place, poolSize, isPatient })
}

/** What a failure to use a Postgres is to the person who set it. Nothing in it tells the password. */
export function cannotBeUsed(place: string, cause: unknown): unknown {
  if (!isPostgres(place) || cause instanceof AppError || !(cause instanceof Error)) return cause
  return new AppError(
    'config.invalid',
    `Postgres cannot be used: ${cause.message.replace(/\.?$/, '.')} Start it, or correct SLIPWAY_DATABASE_URL.`,
    { cause },
  )
}
