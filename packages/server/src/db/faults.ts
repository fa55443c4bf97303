import { AppError } from '@slipway/protocol/errors'

/** The database did not answer: not there, gone while it worked, or silent for too long. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
}

// SQLite's primary result codes: busy, locked, read-only, input or output error, full, cannot open.
const passingResults = new Set([5, 6, 8, 10, 13, 14])

// Postgres' SQLSTATEs: connection trouble, no space or memory or connections left, shut down or starting, cancelled by a
// time limit, a deadlock or conflict between transactions, a lock that others kept, read-only after a failover, disk errors.
const passingClasses = new Set(['08', '53', '58'])
const passingStates = new Set([
  '25006',
  '25P03',
  '25P04',
  '40001',
  '40P01',
  '55P03',
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
])

/** Whether the database could not be used just now, through no fault of the statement: the same may work later. */
export function isStorageFault(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true
  const { errcode, code } = (error ?? {}) as { readonly errcode?: unknown; readonly code?: unknown }
  if (typeof errcode === 'number') return passingResults.has(errcode & 0xff)
  return typeof code === 'string' && isPassingState(code)
}

/** Such a fault as whoever asked for something is told of it; null for anything else. */
export function storageTrouble(error: unknown): AppError | null {
  if (!isStorageFault(error)) return null
  return new AppError(
    'server.busy',
    'The database does not answer just now, so that nobody knows whether this was done. Try again, with the same idempotency key where there is one.',
    { cause: error },
  )
}

function isPassingState(state: string): boolean {
  return state.length === 5 && (passingStates.has(state) || passingClasses.has(state.slice(0, 2)))
}
