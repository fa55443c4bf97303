import { openAsBlob } from 'node:fs'
import { access, constants } from 'node:fs/promises'

/** A file that is read while it is sent. Rejects with the file system's own error when it cannot be read. */
export async function fileBlob(path: string): Promise<Blob> {
  // A blob of a file that is not there says nothing of the reason.
  await access(path, constants.R_OK)
  return openAsBlob(path)
}
