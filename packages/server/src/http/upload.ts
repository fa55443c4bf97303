import { createWriteStream } from 'node:fs'
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

function openForm<T>(open: () => T): T {
  try {
    return open()
  } catch (cause) {
    throw new AppError('input.invalid', 'The form cannot be read: its Content-Type has no valid boundary.', { cause })
  }
}

function formProblem(error: unknown, { signal }: UploadOptions): never {
  if (signal.aborted) throw signal.reason
  if (error instanceof AppError) throw error
  throw new AppError('input.invalid', 'The form cannot be read: it ends too early or is damaged.', { cause: error })
}

async function save(content: Readable, options: UploadOptions): Promise<void> {
  let bytes = 0
  const stalled = setTimeout(() => counted.destroy(tooSlow()), options.stallMs ?? usualStallMs)
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      stalled.refresh()
      bytes += chunk.length
      done(bytes > options.maxBytes ? tooLarge(options) : null, chunk)
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

function tooLarge({ maxBytes }: UploadOptions): AppError {
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

function unsupported(type: string, field: string): AppError {
  const given = type === '' ? 'no Content-Type' : JSON.stringify(type.slice(0, 100))
  return new AppError(
    'body.unsupported',
    `A package is sent as multipart/form-data with the zip in the field "${field}" ` +
      `(curl -F "${field}=@my-plan.zip"), or as application/zip with the zip as the body; this has ${given}.`,
  )
}
