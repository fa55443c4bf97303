import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '@slipway/protocol/errors'

/** Packages that arrive at the same time; each may take its full size on the disk. */
const mostAtOnce = 4

/** The folder where packages are until they are known to be good. What is in it at a start is what a crash has left. */
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

  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await mkdir(this.#folder, { recursive: true })
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
