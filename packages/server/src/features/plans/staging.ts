import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@slipway/protocol/errors'

/** Packages that arrive at the same time; each may take its full size on the disk. */
const mostAtOnce = 4
/** No package takes as long as this to arrive. */
const longestMs = 24 * 60 * 60 * 1000

/** The folder where packages are until they are known to be good. */
export class Staging {
  readonly #folder: string
  #open = 0

  constructor(plansDir: string) {
    this.#folder = join(plansDir, '.incoming')
  }

  /** A path on the packages' own file system that nobody else uses. */
  newPath(): string {
    return join(this.#folder, randomBytes(8).toString('hex'))
  }

  /** Removes what a crash has left. Where other servers share the folder, only what none of them can be at work on. */
  async clear({ isShared }: { readonly isShared: boolean }): Promise<void> {
    await mkdir(this.#folder, { recursive: true })
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name)
      if (isShared && !(await isOld(path))) continue
      await rm(path, { recursive: true, force: true })
    }
  }

  /** An empty folder that is gone after `work`, however that ends. Throws `server.busy`. */
  async within<T>(work: (folder: string) => Promise<T>): Promise<T> {
    if (this.#open >= mostAtOnce) {
      throw new AppError('server.busy', `${mostAtOnce} packages are being deployed already. Try again in a moment.`)
    }
    this.#open += 1
    const folder = this.newPath()
    try {
      await mkdir(folder, { recursive: true })
      return await work(folder)
    } finally {
      this.#open -= 1
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function isOld(path: string): Promise<boolean> {
  try {
    return (await stat(path)).mtimeMs < Date.now() - longestMs
  } catch {
    // Its server has just removed it.
    return false
  }
}
