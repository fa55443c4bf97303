import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, readdir, realpath, rename, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import { parseJson } from '@slipway/kit/json'
import type { FileReply } from '@slipway/runner/messages'
import { z } from 'zod'

const LARGEST_READ = 1024 * 1024
const MOST_NAMES = 100_000

const Question = z.object({
  type: z.literal('file'),
  op: z.enum(['stat', 'list', 'read', 'write', 'create', 'folder', 'truncate', 'rename', 'remove', 'unfolder']),
  path: z.string().max(4096),
  to: z.string().max(4096).default(''),
  offset: z.int().nonnegative().default(0),
  length: z.int().nonnegative().default(0),
  data: z.base64().default(''),
})
type Question = z.infer<typeof Question>

/**
 * Answers the file questions of an interpreter that has no files of its own.
 *
 * A path is taken apart into names, every folder on the way is looked at without following links, and the file itself
 * is opened without following one: what is a link does not exist here. Only plain files and folders are answered.
 */
export class FolderFiles {
  readonly #folder: string
  readonly #fileBytes: number

  constructor(folder: string, fileBytes: number) {
    this.#folder = folder
    this.#fileBytes = fileBytes
  }

  /** The answer to a line; undefined when the line is no question about files. */
  answer(line: string): Promise<string> | undefined {
    // A reply of a script is never parsed here: it may be large, and it starts differently.
    if (!line.startsWith('{"type":"file"')) return undefined
    return this.#answer(line).then(reply => JSON.stringify(reply))
  }

  async #answer(line: string): Promise<FileReply> {
    try {
      const question = Question.safeParse(parseJson(line))
      return question.success ? await this.#perform(question.data) : { error: 'EINVAL' }
    } catch (error) {
      return { error: errorName(error) }
    }
  }

  async #perform(question: Question): Promise<FileReply> {
    const path = await this.#resolve(question.path)
    switch (question.op) {
      case 'stat':
        return statReply(await plain(path))
      case 'list':
        return { names: (await readdir(path)).slice(0, MOST_NAMES) }
      case 'read':
        return this.#read(path, question)
      case 'write':
        return this.#write(path, question)
      case 'create':
        return this.#change(path, constants.O_CREAT | constants.O_EXCL, 0)
      case 'truncate':
        return this.#change(path, 0, question.length)
      case 'folder':
        return done(mkdir(path))
      case 'rename':
        return done(rename(path, await this.#resolve(question.to)))
      case 'remove':
        return done(unlink(path))
      case 'unfolder':
        return path === this.#folder ? { error: 'EBUSY' } : done(rmdir(path))
    }
  }

  /** The absolute path of a relative one, whose folders are all real folders inside the run's folder. */
  async #resolve(path: string): Promise<string> {
    const names = path.split('/').filter(name => name !== '' && name !== '.')
    if (names.includes('..') || path.includes('\0')) throw denied('EACCES')
    let at = await realpath(this.#folder)
    for (const name of names.slice(0, -1)) {
      at = join(at, name)
      if (!(await lstat(at)).isDirectory()) throw denied('ENOTDIR')
    }
    const last = names.at(-1)
    return last === undefined ? at : join(at, last)
  }

  async #read(path: string, { offset, length }: Question): Promise<FileReply> {
    await plain(path)
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(length, LARGEST_READ)), { position: offset })
    return { data: buffer.subarray(0, bytesRead).toString('base64') }
  }

  async #write(path: string, { offset, data }: Question): Promise<FileReply> {
    const bytes = Buffer.from(data, 'base64')
    if (offset + bytes.length > this.#fileBytes) return { error: 'EFBIG' }
    await plain(path)
    await using file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, offset)
    return { written: bytesWritten }
  }

  async #change(path: string, flags: number, length: number): Promise<FileReply> {
    if (length > this.#fileBytes) return { error: 'EFBIG' }
    if (flags === 0) await plain(path)
    await using file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | flags)
    if (flags === 0) await file.truncate(length)
    return { written: 0 }
  }
}

async function plain(path: string): Promise<Stats> {
  const found = await lstat(path)
  if (!found.isFile() && !found.isDirectory()) throw denied('ENOENT')
  return found
}

function statReply(found: Stats): FileReply {
  return { kind: found.isDirectory() ? 'folder' : 'file', size: found.size, modifiedMs: found.mtimeMs }
}

async function done(work: Promise<void>): Promise<FileReply> {
  await work
  return { written: 0 }
}

function denied(code: string): Error {
  return Object.assign(new Error(code), { code })
}

const TOLD = new Set([
  'EACCES',
  'EPERM',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ENOTEMPTY',
  'ENOSPC',
  'EFBIG',
  'EBUSY',
  'EXDEV',
  'ENAMETOOLONG',
  'EROFS',
  'EINVAL',
])

function errorName(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return code === 'ELOOP' ? 'ENOENT' : TOLD.has(code) ? code : 'EIO'
}
