import { opendir } from 'node:fs/promises'
import { join } from 'node:path'

export interface FoundFile {
  /** Below the folder, with forward slashes. */
  readonly path: string
  /** `other` is a link, a pipe or the like. */
  readonly kind: 'file' | 'other'
}

/** Everything below a folder but folders, in the order of the names; links are never followed. */
export async function* walkFiles(folder: string): AsyncGenerator<FoundFile> {
  const waiting = [{ path: '', isFolder: true, isFile: false }]
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (!at.isFolder) {
      yield { path: at.path, kind: at.isFile ? 'file' : 'other' }
      continue
    }
    const inside = await entriesOf(join(folder, at.path))
    const prefix = at.path === '' ? '' : `${at.path}/`
    // Taken from the end, so the last name first.
    inside.sort((a, b) => (a.name < b.name ? 1 : -1))
    for (const { name, ...kind } of inside) waiting.push({ path: `${prefix}${name}`, ...kind })
  }
}

interface Named {
  readonly name: string
  readonly isFolder: boolean
  readonly isFile: boolean
}

/** A folder that cannot be read, or is not there, has nothing in it. */
async function entriesOf(folder: string): Promise<Named[]> {
  const found: Named[] = []
  const entries = await opendir(folder).catch(() => null)
  if (entries === null) return found
  for await (const entry of entries)
    found.push({ name: entry.name, isFolder: entry.isDirectory(), isFile: entry.isFile() })
  return found
}
