import { AppError } from '@slipway/protocol/errors'
import type { Backend } from './backend.ts'
import { isStorageFault } from './faults.ts'
import { isPostgres } from './place.ts'
import { openSqlite } from './sqlite.ts'

export interface BackendOptions {
  readonly poolSize?: number | undefined
  /** Whether statements may take as long as they like. */
  readonly isPatient?: boolean | undefined
  /** How long any other statement may take, in milliseconds. */
  readonly timeoutMs?: number | undefined
}

const usualPoolSize = 10
const usualTimeoutMs = 30_000

export async function openBackend(place: string, options: BackendOptions): Promise<Backend> {
  if (!isPostgres(place)) return openSqlite(place)
  // Loaded where it is needed, so that a server on SQLite does not start later for it.
  const { openPostgres } = await import('./postgres.ts')
  const { poolSize = usualPoolSize, isPatient = false, timeoutMs = usualTimeoutMs } = options
  return openPostgres({ url: place, poolSize, isPatient, timeoutMs })
}

/** What a failure to use a Postgres is to the person who set it. Nothing in it tells the password. */
export function cannotBeUsed(place: string, cause: unknown): unknown {
  if (!isPostgres(place) || !(cause instanceof Error)) return cause
  if (!isStorageFault(cause) && !isRefusal(cause)) return cause
  const why = cause.message.replace(/\.?$/, '.')
  const toDo = 'Start it, or correct SLIPWAY_DATABASE_URL.'
  return new AppError('config.invalid', `Postgres cannot be used: ${why} ${toDo}`, { cause })
}

// SQLSTATEs: a wrong user or password, no such database, no right to do it.
const refusals = ['28000', '28P01', '3D000', '42501']

function isRefusal(error: Error): boolean {
  return 'code' in error && refusals.includes(String(error.code))
}
