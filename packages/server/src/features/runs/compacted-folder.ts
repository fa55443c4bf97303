import { createReadStream } from 'node:fs'
import { cp, lstat, mkdir, open, readFile, rename, rm, rmdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { z } from 'zod'
import { walkFiles } from './file-walk.ts'

/** Where a run's own copy of its package is, in the run's folder and in exports. */
export const workspaceName = 'workspace'

/**
 * A run's copy of its package without what it has in common with it. A note beside it says which files of the package
 * the run had removed; all others that are missing come back from the package before the run goes on.
 */
const Note = z.object({ format: z.literal(1), removed: z.array(z.string()) })

// A run that has more files than this keeps them all.
const mostVisited = 100_000

/** Files of the package that the run had removed; null when the copy is whole. */
export async function readNote(runFolder: string): Promise<readonly string[] | null> {
  const text = await readFile(notePath(runFolder), 'utf8').catch(() => null)
  return text === null ? null : Note.parse(parseJson(text)).removed
}

/** Says that the copy lacks what the package has. On disk before anything is taken away. */
export async function writeNote(runFolder: string, removed: readonly string[]): Promise<void> {
  const fresh = `${notePath(runFolder)}.new`
  {
    await using file = await open(fresh, 'w')
    await file.writeFile(JSON.stringify({ format: 1, removed }))
    await file.sync()
  }
  await rename(fresh, notePath(runFolder))
}

export interface Copies {
  /** The run's folder, with the copy in `workspace/`. */
  readonly runFolder: string
  readonly packageFolder: string
}

/** Takes away what the copy has in common with the package. Nobody may use the run meanwhile. */
export async function compact(copies: Copies): Promise<void> {
  const { runFolder } = copies
  // What an interrupted compaction has left is whole again only after `restore`.
  if ((await readNote(runFolder)) !== null) return
  const found = await compare(copies)
  if (found === null || found.same.length === 0) return
  await writeNote(runFolder, found.removed)
  const folders = new Set<string>()
  for (const path of found.same) {
    await rm(join(runFolder, workspaceName, path), { force: true })
    for (let at = dirname(path); at !== '.'; at = dirname(at)) folders.add(at)
  }
  const deepestFirst = [...folders].sort((a, b) => b.length - a.length)
  for (const folder of deepestFirst) await rmdir(join(runFolder, workspaceName, folder)).catch(() => undefined)
}

/** Makes the copy whole again. */
export async function restore({ runFolder, packageFolder }: Copies): Promise<void> {
  const removed = new Set(await readNote(runFolder))
  const fresh = join(runFolder, 'restored.new')
  for await (const { path } of walkFiles(packageFolder)) {
    const target = join(runFolder, workspaceName, path)
    if (removed.has(path) || (await isThere(target))) continue
    await mkdir(dirname(target), { recursive: true })
    await rm(fresh, { force: true })
    await cp(join(packageFolder, path), fresh, { preserveTimestamps: true })
    await rename(fresh, target)
  }
  await rm(notePath(runFolder), { force: true })
}

/** Which files the copy has as the package has them, and which of the package it lacks; null when it has too many. */
async function compare(
  copies: Copies,
): Promise<{ readonly same: readonly string[]; readonly removed: readonly string[] } | null> {
  const same: string[] = []
  const seen = new Set<string>()
  for await (const { path, kind } of walkFiles(join(copies.runFolder, workspaceName))) {
    if (seen.size >= mostVisited) return null
    seen.add(path)
    if (kind === 'file' && (await isOriginal(copies, path))) same.push(path)
  }
  const removed: string[] = []
  for await (const { path } of walkFiles(copies.packageFolder)) if (!seen.has(path)) removed.push(path)
  return { same, removed }
}

/** Files of the package that the run has removed, whether its copy is whole or not. */
export async function removedFiles(copies: Copies): Promise<readonly string[]> {
  const noted = await readNote(copies.runFolder)
  if (noted !== null) return noted
  const removed: string[] = []
  for await (const { path } of walkFiles(copies.packageFolder))
    if (!(await isThere(join(copies.runFolder, workspaceName, path)))) removed.push(path)
  // What is missing may have been taken away by a compaction meanwhile.
  return (await readNote(copies.runFolder)) ?? removed
}

/** Whether a plain file of the copy is still the one of the package: its size, time and content. */
export async function isOriginal({ runFolder, packageFolder }: Copies, path: string): Promise<boolean> {
  const [own, original] = [join(runFolder, workspaceName, path), join(packageFolder, path)]
  const [is, was] = [await lstat(own), await stat(original).catch(() => null)]
  // Copies keep the time of their original to the millisecond.
  if (!was?.isFile() || was.size !== is.size || Math.abs(was.mtimeMs - is.mtimeMs) >= 2) return false
  return haveSameContent(own, original)
}

async function haveSameContent(a: string, b: string): Promise<boolean> {
  const others = chunksOf(b)
  for await (const chunk of chunksOf(a)) {
    const other = await others.next()
    if (other.done === true || !chunk.equals(other.value)) {
      await others.return(undefined)
      return false
    }
  }
  return (await others.next()).done === true
}

async function* chunksOf(path: string): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: 65_536 })) yield chunk as Buffer
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

function notePath(runFolder: string): string {
  return join(runFolder, 'compacted.json')
}
