import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import type { IncomingMessage } from 'node:http'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { AppError } from '@slipway/protocol/errors'

export interface UploadOptions {
  /** The field of a form that holds the file. */
  readonly field: string
  readonly maxBytes: number
  /** Where the file is put; it must not exist. */
  readonly target: string
  readonly signal: AbortSignal
  /** An upload of which nothing arrives for this long is given up; it would keep the place of others. */
  readonly stallMs?: number | undefined
}

const usualStallMs = 20_000

const zipTypes = ['application/zip', 'application/x-zip-compressed', 'application/octet-stream']

/**
 * Puts an uploaded zip on disk, chunk by chunk: a form with the file in `field`, or the file itself as the body.
 * Throws `body.unsupported`, `body.too_large`, `input.invalid`, and `cancelled` when the client goes away.
 */
export async function receiveZip(request: IncomingMessage, options: UploadOptions): Promise<void> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const declared = Number(request.headers['content-length'] ?? 0)
  if (type === 'multipart/form-data') return receiveForm(request, options)
  if (!zipTypes.includes(type)) throw unsupported(type, options.field)
  if (declared > options.maxBytes) throw tooLarge(options)
  await save(request, options)
}

async function receiveForm(request: IncomingMessage, options: UploadOptions): Promise<void> {
  const { default: busboy } = await import('@fastify/busboy')
  const form = openForm(
    () =>
      new busboy.Busboy({
        headers: { ...request.headers, 'content-type': request.headers['content-type'] ?? '' },
        limits: { files: 2, fields: 20, parts: 25, fieldSize: 1024, fieldNameSize: 200, headerPairs: 20 },
      }),
  )
  let saving: Promise<void> | null = null
  let problem: AppError | null = null
  form.on('file', (name, file) => {
    if (name === options.field && saving === null) {
      saving = save(file, options)
      // Looked at once the form has ended; a failure ends the form at once.
      saving.catch((error: unknown) => form.destroy(error as Error))
      return
    }
    problem ??= wrongFile(name, options.field)
    file.resume()
  })
  await pipeline(request, form, { signal: options.signal }).catch((error: unknown) => formProblem(error, options))
  await (saving as Promise<void> | null)
  if (problem) throw problem as AppError
  if (saving === null) {
    throw new AppError('input.invalid', `The form has no file in the field "${options.field}".`)
  }
}

export interface FilesOptions extends Omit<UploadOptions, 'target' | 'maxBytes'> {
  /** Of all files together. */
  readonly maxBytes: number
  readonly mostFiles: number
  /** Where the files are put, under names of their own. */
  readonly folder: string
}

export interface ReceivedFile {
  /** As the client calls it; nothing about it is checked. */
  readonly name: string
  readonly path: string
}

/**
 * Puts all files of a form on disk, chunk by chunk, in their order. Throws `body.unsupported`, `body.too_large`,
 * `input.invalid`, and `cancelled` when the client goes away.
 */
export async function receiveFiles(request: IncomingMessage, options: FilesOptions): Promise<readonly ReceivedFile[]> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (type !== 'multipart/form-data') throw noForm(type, options.field)
  const { default: busboy } = await import('@fastify/busboy')
  const { field, mostFiles, folder } = options
  const limits = { files: mostFiles + 1, fields: 20, parts: mostFiles + 25, fieldSize: 1024, fieldNameSize: 200 }
  const headers = { ...request.headers, 'content-type': request.headers['content-type'] ?? '' }
  const form = openForm(() => new busboy.Busboy({ headers, limits: { ...limits, headerPairs: 20 } }))
  const received: ReceivedFile[] = []
  const saving: Promise<void>[] = []
  const sum = { bytes: 0 }
  let problem: AppError | null = null
  form.on('file', (name, file, filename) => {
    if (name !== field || received.length >= mostFiles) {
      problem ??= name === field ? tooManyFiles(options) : wrongFile(name, field)
      file.resume()
      return
    }
    const path = join(folder, String(received.length))
    received.push({ name: filename ?? '', path })
    const saved = save(file, { ...options, target: path, sum })
    saved.catch((error: unknown) => form.destroy(error as Error))
    saving.push(saved)
  })
  await pipeline(request, form, { signal: options.signal }).catch((error: unknown) => formProblem(error, options))
  await Promise.all(saving)
  if (problem) throw problem as AppError
  if (received.length === 0) throw new AppError('input.invalid', `The form has no file in the field "${field}".`)
  return received
}

function openForm<T>(open: () => T): T {
  try {
    return open()
  } catch (cause) {
    throw new AppError('input.invalid', 'The form cannot be read: its Content-Type has no valid boundary.', { cause })
  }
}

function formProblem(error: unknown, { signal }: Pick<UploadOptions, 'signal'>): never {
  if (signal.aborted) throw signal.reason
  if (error instanceof AppError) throw error
  throw new AppError('input.invalid', 'The form cannot be read: it ends too early or is damaged.', { cause: error })
}

async function save(
  content: Readable,
  options: Omit<UploadOptions, 'field'> & { readonly sum?: { bytes: number } | undefined },
): Promise<void> {
  const sum = options.sum ?? { bytes: 0 }
  const stalled = setTimeout(() => counted.destroy(tooSlow()), options.stallMs ?? usualStallMs)
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      stalled.refresh()
      sum.bytes += chunk.length
      done(sum.bytes > options.maxBytes ? tooLarge(options) : null, chunk)
    },
  })
  try {
    await pipeline(content, counted, createWriteStream(options.target, { flags: 'wx', mode: 0o600 }), {
      signal: options.signal,
    })
  } catch (error) {
    if (options.signal.aborted) throw options.signal.reason
    throw error
  } finally {
    clearTimeout(stalled)
  }
}

function tooSlow(): AppError {
  return new AppError('input.invalid', 'The upload stopped arriving and was given up. Send it again.')
}

function tooLarge({ maxBytes }: Pick<UploadOptions, 'maxBytes'>): AppError {
  return new AppError('body.too_large', `The upload is larger than ${maxBytes} bytes (SLIPWAY_MAX_BODY_BYTES).`)
}

function wrongFile(name: string, field: string): AppError {
  return new AppError(
    'input.invalid',
    name === field
      ? `The form has several files in the field "${field}". Send one.`
      : `The form has a file in the field ${JSON.stringify(name.slice(0, 100))}; it belongs into "${field}".`,
  )
}

function tooManyFiles({ mostFiles }: FilesOptions): AppError {
  return new AppError('input.invalid', `The form has more than ${mostFiles} files.`)
}

function noForm(type: string, field: string): AppError {
  const given = type === '' ? 'no Content-Type' : JSON.stringify(type.slice(0, 100))
  return new AppError(
    'body.unsupported',
    `Files are sent as multipart/form-data in the field "${field}" (curl -F "${field}=@one.pdf"); this has ${given}.`,
  )
}

function unsupported(type: string, field: string): AppError {
  const given = type === '' ? 'no Content-Type' : JSON.stringify(type.slice(0, 100))
  return new AppError(
    'body.unsupported',
    `A package is sent as multipart/form-data with the zip in the field "${field}" ` +
      `(curl -F "${field}=@my-plan.zip"), or as application/zip with the zip as the body; this has ${given}.`,
  )
}
