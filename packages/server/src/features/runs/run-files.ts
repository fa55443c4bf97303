import { randomBytes } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import type { Readable } from 'node:stream'
import { provisionCandidates, type ProvisionDirs } from '@slipway/engine/plan/provisions'
import { AppError } from '@slipway/protocol/errors'

/** A file that is not there, or cannot be used as one: what a plan sees as Python's own error. */
export class FileError extends Error {
  override readonly name: string

  constructor(name: 'FileNotFoundError' | 'IsADirectoryError' | 'UnicodeDecodeError' | 'OSError', message: string) {
    super(message)
    this.name = name
  }
}

export interface Download {
  readonly name: string
  readonly size: number
  readonly stream: Readable
}

export interface RunFilesOptions {
  /** Absolute path of the run's copy of the package. */
  readonly root: string
  /** The plan's base folder in the package; relative paths start there. */
  readonly baseDir: string
  /** Kind of provision -> folder in the package, as the manifest registers them. */
  readonly provisionDirs: ProvisionDirs
}

// Whole files go into prompts and values; what is larger than this is no text of a plan.
const maxFileBytes = 64 * 1024 * 1024

/**
 * The files of one run. Nothing outside its folder is read or written: links are followed only where they stay inside,
 * also when a script of the plan has just made them.
 */
export class RunFiles {
  readonly #options: RunFilesOptions
  #realRoot: Promise<string> | null = null

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
    if (size > maxFileBytes) {
      throw new FileError('OSError', `${path} has ${size} bytes, more than the ${maxFileBytes} that a step may read`)
    }
    return handle.readFile()
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#find(path)) !== null
  }

  /** A file for download, of the size that it has now; null when there is none. Whoever takes it closes the stream. */
  async openDownload(path: string): Promise<Download | null> {
    try {
      const handle = await this.#openExisting(path)
      const { size } = await handle.stat()
      // Of a file that still grows, only what was promised.
      return { name: basename(path), size, stream: handle.createReadStream(size > 0 ? { end: size - 1 } : {}) }
    } catch (error) {
      if (error instanceof FileError || isMissing(error)) return null
      throw error
    }
  }

  /** Writes through a new file that then takes the name, so that nobody sees half of it. Gives the absolute path. */
  write(path: string, content: string): Promise<string> {
    return this.#put(path, handle => handle.writeFile(content))
  }

  /** As `write`, with what is in a file of the server's own. */
  copyIn(path: string, source: string): Promise<string> {
    return this.#put(path, handle => handle.writeFile(createReadStream(source)))
  }

  async #put(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<string> {
    const target = this.#inside(path)
    const folder = await this.#makeFolder(dirname(target), path)
    const temporary = join(folder, `.slipway-${randomBytes(6).toString('hex')}`)
    try {
      await using handle = await open(
        temporary,
        constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
        0o666,
      )
      await fill(handle)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
    await rename(temporary, join(folder, basename(target)))
    return target
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
    if (opened !== null && !isInside(await this.#root(), opened)) throw forbidden(path)
  }

  // The run's own folder keeps its place; only what is inside of it can change under the server's feet.
  #root(): Promise<string> {
    this.#realRoot ??= realpath(this.#options.root)
    return this.#realRoot
  }

  async #find(path: string): Promise<string | null> {
    const root = await this.#root()
    for (const candidate of [this.#inside(path), ...this.#provisions(path)]) {
      const real = await realpath(candidate).catch(() => null)
      if (real === null) continue
      if (!isInside(root, real)) throw forbidden(path)
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

  #provisions(path: string): string[] {
    return provisionCandidates(this.#options, path).map(candidate => join(this.#options.root, candidate))
  }

  async #makeFolder(folder: string, path: string): Promise<string> {
    const root = await this.#root()
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

  // A path as a plan writes it: relative to its base folder, or absolute as a script or an earlier write gave it.
  #inside(path: string): string {
    const { root, baseDir } = this.#options
    if (path.includes('\0')) throw forbidden(path)
    const target = resolve(root, baseDir, path.replaceAll('\\', '/'))
    if (!isInside(root, target)) throw forbidden(path)
    return target
  }
}

// No folder yet, a path through a file, or names that no file system takes.
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'ENXIO'].includes((error as { code?: string }).code ?? '')
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
