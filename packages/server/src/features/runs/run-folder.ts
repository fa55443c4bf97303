import { cp, lstat, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, posix, relative } from 'node:path'
import { sleep } from '@slipway/kit/abort'
import {
  compact,
  isOriginal,
  readNote,
  removedFiles,
  restore,
  workspaceName,
  writeNote,
  type Copies,
} from './compacted-folder.ts'

export interface Upload {
  /** Relative to the run's folder, forward slashes, made by the server. */
  readonly path: string
  readonly bytes: Uint8Array
}

/**
 * The folder of one run: `uploads/` holds the files that came with the request, `workspace/` is the run's own copy of the
 * package with the uploads in it, and the only thing the plan sees.
 */
export class RunFolder {
  readonly #folder: string

  constructor(runsDir: string, runId: string) {
    this.#folder = join(runsDir, runId)
  }

  get path(): string {
    return this.#folder
  }

  get workspace(): string {
    return join(this.#folder, workspaceName)
  }

  get uploads(): string {
    return join(this.#folder, 'uploads')
  }

  /** Whether nothing of the run is on disk: it has no uploads, and has had no use for a copy of its package. */
  async isEmpty(): Promise<boolean> {
    return !(await exists(this.#folder))
  }

  /** Puts the uploads on disk, before the run is acknowledged. */
  async saveUploads(uploads: readonly Upload[]): Promise<void> {
    for (const { path, bytes } of uploads) {
      const target = join(this.uploads, path)
      await mkdir(dirname(target), { recursive: true })
      await using handle = await open(target, 'w')
      await handle.writeFile(bytes)
      await handle.sync()
    }
  }

  /**
   * Takes over what another run has written and removed, and its uploads, where this one has none of that name; the rest
   * comes from its own package.
   */
  async copyFrom(source: RunFolder, packageFolder: string): Promise<void> {
    const keepOwn = { recursive: true, force: false, preserveTimestamps: true }
    if (await exists(source.uploads)) await cp(source.uploads, this.uploads, keepOwn)
    if (!(await source.isPrepared())) return
    const copies: Copies = { runFolder: source.path, packageFolder }
    await mkdir(this.path, { recursive: true })
    await writeNote(this.path, await removedFiles(copies))
    const filter = async (from: string): Promise<boolean> => {
      const found = await lstat(from).catch(() => null)
      // What has just been taken away is as in the package.
      return (
        found !== null &&
        (found.isDirectory() || !(await isOriginal(copies, relative(source.workspace, from)).catch(() => true)))
      )
    }
    const copy = `${this.workspace}.new`
    await rm(copy, { recursive: true, force: true })
    await cp(source.workspace, copy, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true, filter })
    if (await exists(this.uploads)) await cp(this.uploads, copy, { recursive: true, preserveTimestamps: true })
    await rename(copy, this.workspace)
  }

  /** Copies the package and the uploads, once: the copy takes its name only when it is whole. */
  async prepare(packageFolder: string): Promise<void> {
    if ((await readNote(this.path)) !== null) return restore({ runFolder: this.path, packageFolder })
    if (await exists(this.workspace)) return
    const copy = `${this.workspace}.new`
    await rm(copy, { recursive: true, force: true })
    await cp(packageFolder, copy, { recursive: true, preserveTimestamps: true })
    if (await exists(this.uploads)) await cp(this.uploads, copy, { recursive: true, preserveTimestamps: true })
    await rename(copy, this.workspace)
  }

  /** Whether the run has needed its files. */
  isPrepared(): Promise<boolean> {
    return exists(this.workspace)
  }

  /** Resolves once no copy of the package is being made. */
  async whenSettled(): Promise<void> {
    // What is there for longer was left by a crash, and is made anew.
    for (let waits = 0; waits < 500 && (await exists(`${this.workspace}.new`)); waits++) await sleep(20)
  }

  /** Takes away what `workspace/` has in common with the package, until it is prepared again. */
  compact(packageFolder: string): Promise<void> {
    return compact({ runFolder: this.path, packageFolder })
  }

  /** Whether `workspace/` lacks this file only because the package has it. */
  async isInPackage(path: string): Promise<boolean> {
    const removed = await readNote(this.path)
    return removed !== null && !removed.includes(posix.normalize(path))
  }

  /**
   * The files that are in `workspace/` and were not in the package, or differ from it in size or time. A script may leave
   * any number of them: only the first `mostListed` that are found are listed.
   */
  async writtenFiles(packageFolder: string): Promise<{ path: string; size_bytes: number }[]> {
    const written: { path: string; size_bytes: number }[] = []
    for await (const path of filesIn(this.workspace)) {
      if (written.length >= mostListed) break
      const now = await lstat(join(this.workspace, path)).catch(() => null)
      if (!now?.isFile()) continue
      const before = await stat(join(packageFolder, path)).catch(() => null)
      // Copies keep the time of their original to the millisecond.
      if (before?.size === now.size && Math.abs(before.mtimeMs - now.mtimeMs) < 2) continue
      written.push({ path: path.replaceAll('\\', '/'), size_bytes: now.size })
    }
    return written.sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

const mostListed = 10_000
const mostVisited = 100_000

/** Paths of the plain files below a folder, without following links; an unreadable folder has none. */
async function* filesIn(folder: string): AsyncGenerator<string> {
  let visited = 0
  const folders = ['']
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    const entries = await opendir(join(folder, at)).catch(() => null)
    if (entries === null) continue
    for await (const entry of entries) {
      if (++visited > mostVisited) return
      if (entry.isDirectory()) folders.push(join(at, entry.name))
      else if (entry.isFile()) yield join(at, entry.name)
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
