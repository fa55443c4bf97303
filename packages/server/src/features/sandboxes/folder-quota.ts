import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@slipway/protocol/errors'

export interface FolderQuota {
  /** Of all files together. */
  readonly folderBytes: number
  /** Files and folders. */
  readonly folderFiles: number
}

const everyMs = 500

/** Why a folder is fuller than it may be; null when it is not. Links are counted and not followed. */
export async function overQuota(folder: string, quota: FolderQuota): Promise<AppError | null> {
  const sum = { bytes: 0, files: 0 }
  const folders = [folder]
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    // Scripts may remove what is just being looked at.
    const entries = await opendir(at).catch(() => null)
    if (entries === null) continue
    for await (const entry of entries) {
      if (++sum.files > quota.folderFiles) return full(`${quota.folderFiles} files`)
      const path = join(at, entry.name)
      if (entry.isDirectory()) folders.push(path)
      else sum.bytes += (await lstat(path).catch(() => null))?.size ?? 0
      if (sum.bytes > quota.folderBytes) return full(`${quota.folderBytes} bytes`)
    }
  }
  return null
}

/** Looks at the folder again and again, and tells once it is too full. */
export function watchQuota(folder: string, quota: FolderQuota, onFull: (reason: AppError) => void): Disposable {
  let isLooking = false
  const timer = setInterval(() => {
    if (isLooking) return
    isLooking = true
    overQuota(folder, quota)
      .then(reason => void (reason && onFull(reason)))
      .catch(() => undefined)
      .finally(() => (isLooking = false))
  }, everyMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

function full(limit: string): AppError {
  return new AppError(
    'sandbox.crashed',
    `The script was ended because the run's folder holds more than ${limit}. Remove files that are not needed any more.`,
  )
}
