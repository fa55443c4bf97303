import { cp, lstat, mkdir, open, opendir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Upload {
  /** Relative to the run's folder, forward slashes, made by the server. */
  readonly path: string
  readonly bytes: Uint8Array
}

/**
 * The folder of one run: `uploads/` holds the files that came with the request, `work/` is the run's own copy of the
 * package with the uploads in it, and the only thing the plan sees.
 */
export class RunFolder {
  readonly #folder: string

  constructor(runsDir: string, runId: string) {
    this.#folder = join(runsDir, runId)
  }

  get work(): string {
    return join(this.#folder, 'work')
  }

  get uploads(): string {
    return join(this.#folder, 'uploads')
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

  /** Copies the package and the uploads, once: the copy takes its name only when it is whole. */
  async prepare(packageFolder: string): Promise<void> {
    if (await exists(this.work)) return
    const copy = `${this.work}.new`
    await rm(copy, { recursive: true, force: true })
    await cp(packageFolder, copy, { recursive: true, preserveTimestamps: true })
    if (await exists(this.uploads)) await cp(this.uploads, copy, { recursive: true, preserveTimestamps: true })
    await rename(copy, this.work)
  }

  /**
   * The files that are in `work/` and were not in the package, or differ from it in size or time. A script may leave
   * any number of them: only the first `mostListed` that are found are listed.
   */
  async writtenFiles(packageFolder: string): Promise<{ path: string; size_bytes: number }[]> {
    const written: { path: string; size_bytes: number }[] = []
    for await (const path of filesIn(this.work)) {
      if (written.length >= mostListed) break
      const now = await lstat(join(this.work, path)).catch(() => null)
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
