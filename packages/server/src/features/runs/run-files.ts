import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { candidatePaths } from '@slipway/engine/run/provision-paths'
import { AppError } from '@slipway/protocol/errors'

/** A file that is not there, or cannot be used as one: what a plan sees as Python's own error. */
export class FileError extends Error {
  override readonly name: string

  constructor(name: 'FileNotFoundError' | 'IsADirectoryError' | 'UnicodeDecodeError' | 'OSError', message: string) {
    super(message)
    this.name = name
  }
}

export interface RunFilesOptions {
  /** Absolute path of the run's folder. */
  readonly root: string
  /** How the plan and its scripts name that folder, for example `/plan`. */
  readonly shownAs: string
  /** Kind of provision -> folder in the package, as the manifest registers them. */
  readonly provisionDirs: ReadonlyMap<string, string>
  readonly maxFileBytes: number
}

/**
 * The files of one run. Nothing outside its folder is read or written: links are followed only where they stay inside,
 * also when a script of the plan has just made them.
 */
export class RunFiles {
  readonly #options: RunFilesOptions

  constructor(options: RunFilesOptions) {
    this.#options = options
  }

  async read(path: string): Promise<string> {
    const bytes = await this.readBytes(path)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new FileError('UnicodeDecodeError', `'utf-8' codec can't decode ${path}: invalid start byte`)
    }
  }

  async readBytes(path: string): Promise<Uint8Array> {
    await using handle = await this.#openExisting(path)
    const { size } = await handle.stat()
    if (size > this.#options.maxFileBytes) {
      throw new FileError(
        'OSError',
        `${path} has ${size} bytes, more than the ${this.#options.maxFileBytes} a step may read`,
      )
    }
    return handle.readFile()
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#find(path)) !== null
  }

  /** Writes through a new file that then takes the name, so that nobody sees half of it. Gives the path as the plan may name it. */
  async write(path: string, content: string): Promise<string> {
    const target = this.#inside(path)
    const folder = await this.#makeFolder(dirname(target), path)
    const temporary = join(folder, `.slipway-${randomBytes(6).toString('hex')}`)
    try {
      await using handle = await open(
        temporary,
        constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
        0o666,
      )
      await handle.writeFile(content)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    const final = join(folder, target.slice(dirname(target).length + 1))
    await rename(temporary, final)
    return `${this.#options.shownAs}/${relative(this.#options.root, target).split(sep).join('/')}`
  }

  async #openExisting(path: string): Promise<FileHandle> {
    const found = await this.#find(path)
    if (found === null) throw new FileError('FileNotFoundError', `[Errno 2] No such file or directory: '${path}'`)
    // Not blocking, so that a pipe a script has put there cannot hold the server.
    const handle = await open(found, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if (!(await handle.stat()).isFile())
        throw new FileError('IsADirectoryError', `[Errno 21] Is a directory: '${path}'`)
      await this.#checkOpened(handle, path)
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  // The path was checked before; on Linux the opened file itself is asked too, in case a script swapped a folder since.
  async #checkOpened(handle: FileHandle, path: string): Promise<void> {
    const opened = await readlink(`/proc/self/fd/${handle.fd}`).catch(() => null)
    if (opened !== null && !isInside(await realpath(this.#options.root), opened)) throw forbidden(path)
  }

  async #find(path: string): Promise<string | null> {
    for (const candidate of candidatePaths(path, this.#options.provisionDirs)) {
      const real = await realpath(this.#inside(candidate)).catch(() => null)
      if (real === null) continue
      if (!isInside(await realpath(this.#options.root), real)) throw forbidden(path)
      if (
        await stat(real).then(
          found => found.isFile() || found.isDirectory(),
          () => false,
        )
      )
        return real
    }
    return null
  }

  async #makeFolder(folder: string, path: string): Promise<string> {
    const root = await realpath(this.#options.root)
    let existing = folder
    for (;;) {
      const real = await realpath(existing).catch(() => null)
      if (real === null) {
        existing = dirname(existing)
        continue
      }
      if (!isInside(root, real)) throw forbidden(path)
      const wanted = join(real, relative(existing, folder))
      await mkdir(wanted, { recursive: true })
      return wanted
    }
  }

  #inside(path: string): string {
    const { root, shownAs } = this.#options
    if (path.includes('\0')) throw forbidden(path)
    const plain = path.replaceAll('\\', '/')
    const own = plain === shownAs || plain.startsWith(`${shownAs}/`) ? plain.slice(shownAs.length + 1) : plain
    const target = resolve(root, own)
    if (!isInside(root, target)) throw forbidden(path)
    return target
  }
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root + sep)
}

function forbidden(path: string): AppError {
  return new AppError(
    'file.forbidden',
    `The plan asked for ${path}, which is outside of the run's folder. Use a path inside of the package.`,
  )
}
