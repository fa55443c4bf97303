import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import { unzipSync } from 'fflate'

/** What editors and systems leave behind in a folder and no plan needs. */
const skipped = new Set(['.git', '.svn', '.DS_Store', 'Thumbs.db', '__pycache__', 'node_modules'])
const maxFiles = 20_000
const maxOpenedBytes = 500_000_000

export type FoundPackage =
  | { readonly type: 'folder'; readonly files: ReadonlyMap<string, Uint8Array> }
  | { readonly type: 'archive'; readonly bytes: Uint8Array }

/** Reads a plan package: the files of a folder by path with forward slashes, or the bytes of an archive. */
export async function readPackage(path: string): Promise<FoundPackage> {
  if (!(await stat(path)).isDirectory()) return { type: 'archive', bytes: await readFile(path) }
  const files = new Map<string, Uint8Array>()
  await readInto(files, { root: path, folder: '' })
  if (files.size === 0)
    throw new AppError('input.invalid', `${path} holds no files. A plan package needs at least its repositories.`)
  return { type: 'folder', files }
}

/** The files of a package wherever they are: in a folder, or in an archive, which is then opened. */
export async function packageFiles(path: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = await readPackage(path)
  return found.type === 'folder' ? found.files : opened(found.bytes, path)
}

function opened(bytes: Uint8Array, path: string): ReadonlyMap<string, Uint8Array> {
  let total = 0
  try {
    const files = unzipSync(bytes, {
      filter({ name, originalSize }) {
        total += originalSize
        if (total > maxOpenedBytes)
          throw new AppError('archive.too_large', `${path} unpacks to more than ${maxOpenedBytes / 1_000_000} MB.`)
        return !name.endsWith('/')
      },
    })
    return new Map(Object.entries(files))
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('archive.invalid', `${path} is no zip file that can be read. Name a folder or a zip.`, {
      cause: error,
    })
  }
}

async function readInto(
  files: Map<string, Uint8Array>,
  { root, folder }: { root: string; folder: string },
): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  // Sorted by code unit, so that the order does not depend on the system or its language.
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (skipped.has(entry.name)) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) await readInto(files, { root, folder: path })
    else if (entry.isFile()) files.set(path, await readFile(join(root, path)))
    else
      throw new AppError(
        'archive.forbidden',
        `${join(root, path)} is a link or a device. A plan package holds plain files only.`,
      )
    if (files.size > maxFiles)
      throw new AppError('input.invalid', `${root} holds more than ${maxFiles} files. Is it the folder of a plan?`)
  }
}
