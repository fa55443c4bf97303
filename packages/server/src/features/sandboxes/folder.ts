import { stat } from 'node:fs/promises'
import { isAbsolute, normalize, parse } from 'node:path'

import { AppError } from '@slipway/protocol/errors'

/** Refuses what must never become visible to a script: a relative path, a missing folder, the whole machine. */
export async function checkFolder(folder: string): Promise<void> {
  const plain = isAbsolute(folder) && normalize(folder) === folder && !folder.endsWith('/')
  const found = plain && (await stat(folder).catch(() => undefined))?.isDirectory()
  if (!found || parse(folder).root === folder) {
    throw new AppError(
      'sandbox.unavailable',
      `The folder of a sandbox must be an existing absolute folder, not ${folder}.`,
    )
  }
}
