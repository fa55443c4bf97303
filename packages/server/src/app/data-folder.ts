import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import { AppError } from '@slipway/protocol/errors'

/** Makes the folder for this user alone. Throws `config.invalid` when it cannot be made or written. */
export async function makeDataFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AppError(
      'config.invalid',
      `The data folder cannot be used (${why}). Set SLIPWAY_DATA_DIR to a folder that this user may write in.`,
      { cause },
    )
  }
}
