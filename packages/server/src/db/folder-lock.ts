import { DatabaseSync } from 'node:sqlite'
import { AppError } from '@slipway/protocol/errors'

const busy = 5
// A server that was killed just now may need a moment until the system has taken away what it held.
const patienceMs = 1_000

/**
 * Keeps a second server from working in the same folder. The lock is the operating system's own, held through an open
 * file, so that it ends with the process however that ends. Throws `config.invalid` when another process has it.
 */
export function lockFolder(file: string): Disposable {
  const lock = new DatabaseSync(file, { timeout: patienceMs })
  try {
    lock.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    lock.close()
    if ((error as { errcode?: number }).errcode !== busy) throw error
    throw new AppError(
      'config.invalid',
      `Another server is working in this data folder (${file} is locked). Stop it, or set SLIPWAY_DATA_DIR to another folder.`,
    )
  }
  return { [Symbol.dispose]: () => lock.close() }
}
