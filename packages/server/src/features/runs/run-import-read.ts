import { createReadStream, existsSync } from 'node:fs'
import { hash } from 'node:crypto'
import { open, readFile, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { z } from 'zod'
import { ArchivedRun, lists, notARun, runFile } from './run-archive.ts'
import type { ValueSource } from './run-values.ts'

type ListName = keyof typeof lists
type LineOf<Name extends ListName> = z.infer<(typeof lists)[Name]['line']>

// Larger than the longest value, written out, can be.
const longestLine = 256 * 1024 * 1024
const longestRunFile = 256 * 1024 * 1024
const mostValues = 1_000_000

interface Place {
  readonly start: number
  readonly bytes: number
}

/** An unpacked archive. Every line is checked when it is read, and values are looked up where they are. */
export class RunArchiveReader implements AsyncDisposable {
  readonly #folder: string
  readonly document: ArchivedRun
  readonly #places: ReadonlyMap<string, Place>
  readonly #values: FileHandle

  private constructor(folder: string, parts: Pick<RunArchiveReader, 'document'> & OpenValues) {
    this.#folder = folder
    this.document = parts.document
    this.#places = parts.places
    this.#values = parts.handle
  }

  /** Throws `archive.invalid` when a part is missing or is not what it should be. */
  static async open(folder: string): Promise<RunArchiveReader> {
    for (const { file } of Object.values(lists))
      if (!existsSync(join(folder, file))) throw notARun(`${file} is missing`)
    const document = await readDocument(join(folder, runFile))
    const values = await openValues(join(folder, lists.values.file))
    return new RunArchiveReader(folder, { document, ...values })
  }

  async *lines<Name extends ListName>(name: Name): AsyncGenerator<LineOf<Name>> {
    const { file, line } = lists[name]
    for await (const { text, number } of linesOf(join(this.#folder, file)))
      yield checked(line as unknown as z.ZodType<LineOf<Name>>, text, `line ${number} of ${file}`)
  }

  /** The values that the archive has of those asked for. */
  readonly values: ValueSource = async hashes => {
    const found = new Map<string, string>()
    for (const key of hashes) {
      const place = this.#places.get(key)
      if (place) found.set(key, await this.#valueAt(place))
    }
    return found
  }

  hasValue(key: string): boolean {
    return this.#places.has(key)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#values.close()
  }

  async #valueAt({ start, bytes }: Place): Promise<string> {
    const buffer = Buffer.alloc(bytes)
    await this.#values.read(buffer, 0, bytes, start)
    return checked(lists.values.line, buffer.toString(), 'a value').data
  }
}

interface OpenValues {
  readonly places: ReadonlyMap<string, Place>
  readonly handle: FileHandle
}

async function readDocument(file: string): Promise<ArchivedRun> {
  const { size } = await stat(file).catch(() => {
    throw notARun(`${runFile} is missing`)
  })
  if (size > longestRunFile) throw tooLong(runFile)
  return checked(ArchivedRun, await readFile(file, 'utf8'), runFile)
}

async function openValues(file: string): Promise<OpenValues> {
  const places = new Map<string, Place>()
  for await (const { text, number, start, bytes } of linesOf(file)) {
    const value = checked(lists.values.line, text, `line ${number} of ${lists.values.file}`)
    if (hash('sha256', value.data, 'base64url') !== value.hash)
      throw notARun(`the value in line ${number} of ${lists.values.file} is not the one that its hash is of`)
    places.set(value.hash, { start, bytes })
    if (places.size > mostValues) throw new AppError('archive.too_large', `A run may have ${mostValues} values.`)
  }
  return { places, handle: await open(file) }
}

function checked<T>(schema: z.ZodType<T>, text: string, where: string): T {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw notARun(`${where} is not JSON`, cause)
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw notARun(`${where} is wrong at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
}

interface Line extends Place {
  readonly text: string
  /** From 1. */
  readonly number: number
}

const newline = 0x0a

async function* linesOf(file: string): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let [start, bytes, number] = [0, 0, 0]
  const taken = (): Line => {
    const line = { text: Buffer.concat(parts).toString(), number: ++number, start, bytes }
    start += bytes + 1
    parts = []
    bytes = 0
    return line
  }
  for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      parts.push(chunk.subarray(from, end))
      bytes += end - from
      from = end + 1
      yield taken()
    }
    parts.push(chunk.subarray(from))
    bytes += chunk.length - from
    if (bytes > longestLine) throw tooLong('A line')
  }
  if (bytes > 0) yield taken()
}

function tooLong(what: string): AppError {
  return new AppError('archive.too_large', `${what} of the archive is longer than any run writes.`)
}
