import { createHash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { PlanFiles } from '@slipway/engine/plan/files'
import { parseJson } from '@slipway/kit/json'
import { Digest } from '@slipway/protocol/plans'
import { z } from 'zod'

/** What stands beside the files of a package and never changes, as they never do. */
export interface PackageNotes {
  readonly format: 1
  /** The dialect it was deployed with, whatever the server's default becomes. */
  readonly dialect: '2026-01' | '2026-01-strict' | '2026-03'
  readonly files: readonly PackageFile[]
}

const PackageNotes = z.object({
  format: z.literal(1),
  dialect: z.enum(['2026-01', '2026-01-strict', '2026-03']),
  files: z.array(z.object({ path: z.string(), size_bytes: z.number().int() })),
})

export interface PackageFile {
  readonly path: string
  readonly size_bytes: number
}

/**
 * The files of an unpacked package. They stay on disk: a plan reads a few small ones, and what its runs read may be
 * large.
 */
export class FolderFiles implements PlanFiles {
  readonly #folder: string
  readonly #paths: ReadonlySet<string>

  constructor(folder: string, paths: Iterable<string>) {
    this.#folder = folder
    this.#paths = new Set(paths)
  }

  get size(): number {
    return this.#paths.size
  }

  has(path: string): boolean {
    return this.#paths.has(path)
  }

  get(path: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#paths.has(path) ? readFileSync(join(this.#folder, path)) : undefined
  }

  keys(): SetIterator<string> {
    return this.#paths.keys()
  }

  *values(): MapIterator<Uint8Array> {
    for (const path of this.#paths) yield this.#read(path)
  }

  *entries(): MapIterator<[string, Uint8Array]> {
    for (const path of this.#paths) yield [path, this.#read(path)]
  }

  [Symbol.iterator](): MapIterator<[string, Uint8Array]> {
    return this.entries()
  }

  forEach(visit: (bytes: Uint8Array, path: string, all: PlanFiles) => void): void {
    for (const [path, bytes] of this) visit(bytes, path, this)
  }

  #read(path: string): Uint8Array {
    return readFileSync(join(this.#folder, path))
  }
}

/** The sizes of the files, by path in code unit order. */
export async function listing(folder: string, paths: readonly string[]): Promise<readonly PackageFile[]> {
  const files: PackageFile[] = []
  for (const path of [...paths].sort()) {
    files.push({ path, size_bytes: (await stat(join(folder, path))).size })
  }
  return files
}

/** SHA-256 over the files in code unit order: path, a zero byte, size, a newline, the bytes. */
export async function digestOf(folder: string, files: readonly PackageFile[]): Promise<Digest> {
  const hash = createHash('sha256')
  for (const { path, size_bytes: size } of files) {
    hash.update(`${path}\0${size}\n`)
    for await (const chunk of createReadStream(join(folder, path))) hash.update(chunk as Buffer)
  }
  return Digest.parse(`sha256:${hash.digest('hex')}`)
}

/** The folder's name of a package among the packages. */
export function folderName(digest: string): string {
  return digest.replace(/^sha256:/, '')
}

export function digestOfFolder(name: string): string | null {
  return /^[0-9a-f]{64}$/.test(name) ? `sha256:${name}` : null
}

export function filesFolder(packageFolder: string): string {
  return join(packageFolder, 'files')
}

export async function readNotes(packageFolder: string): Promise<PackageNotes> {
  return PackageNotes.parse(parseJson(await readFile(notesFile(packageFolder), 'utf8')))
}

/**
 * Gives a new package its final name, at once and on disk: its files first, then the name. Somebody else's package of
 * the same content is as good.
 */
export async function publish(from: string, to: string, notes: PackageNotes): Promise<void> {
  const text = await open(notesFile(from), 'wx', 0o644)
  try {
    await text.writeFile(JSON.stringify(notes))
    await text.sync()
  } finally {
    await text.close()
  }
  await syncFiles(from, notes)
  await rename(from, to)
  await syncFolder(dirname(to))
}

/**
 * Takes the name away first, so that no half of a package is ever found under it. When it turns out that somebody else
 * has begun to need it meanwhile, it gets the name back.
 */
export async function removePackage(
  packageFolder: string,
  { trash, isNeeded }: { readonly trash: string; readonly isNeeded: () => Promise<boolean> },
): Promise<void> {
  await rename(packageFolder, trash)
  if (await isNeeded()) await rename(trash, packageFolder).catch(() => undefined)
  await rm(trash, { recursive: true, force: true })
}

function notesFile(packageFolder: string): string {
  return join(packageFolder, 'package.json')
}

const syncsAtOnce = 8

async function syncFiles(packageFolder: string, { files }: PackageNotes): Promise<void> {
  const paths = files.map(({ path }) => join(filesFolder(packageFolder), path))
  const waiting = paths.values()
  const worker = async (): Promise<void> => {
    for (const path of waiting) await syncFile(path)
  }
  await Promise.all(Array.from({ length: syncsAtOnce }, worker))
  for (const folder of new Set([...paths.map(path => dirname(path)), packageFolder])) await syncFolder(folder)
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

// Some systems cannot open a folder; there its entries are as safe as the system makes them.
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => null)
  try {
    await folder?.sync()
  } catch {
    return
  } finally {
    await folder?.close()
  }
}
