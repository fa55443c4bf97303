import { AppError, errorCodes, type ErrorCode, type ErrorReply } from '@slipway/protocol/errors'

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorReply
  readonly headers: Readonly<Record<string, string>>
  /** A bug of the server, to be logged with its stack; everything else is the caller's to act on. */
  readonly isBug: boolean
}

/** What an error of another part of the server is to a caller; null where it is nothing to them. */
export type Explain = (error: unknown) => AppError | null

/** The one place where an error becomes a reply. What is no `AppError` says nothing of itself to the outside. */
export function errorAnswer(error: unknown, correlationId: string, explain: Explain = () => null): ErrorAnswer {
  const trouble = error instanceof AppError ? null : isDiskFull(error) ? diskFull(error) : explain(error)
  const known = error instanceof AppError ? error : (trouble ?? fromFramework(error))
  const code = known?.code ?? 'internal'
  const body: ErrorReply = {
    error: {
      code,
      message: known?.message ?? `Something went wrong in the server. Its log says more under ${correlationId}.`,
      ...(known?.details === undefined ? {} : { details: known.details }),
      ...providerOf(known?.details),
      correlationId,
    },
  }
  return {
    status: errorCodes[code].status,
    body,
    headers: headersOf(code, known),
    // What keeps the server from its work is for whoever runs it to hear of, too.
    isBug: !known || code === 'internal' || trouble !== null,
  }
}

function headersOf(code: ErrorCode, error: AppError | null): Readonly<Record<string, string>> {
  if (code === 'auth.required') return { 'www-authenticate': 'Bearer' }
  if (errorCodes[code].status === 429) return { 'retry-after': String(retryAfterOf(error?.details) ?? 1) }
  return errorCodes[code].status === 503 && errorCodes[code].retryable ? { 'retry-after': '1' } : {}
}

function providerOf(details: unknown): { readonly provider?: string } {
  const provider = fieldOf(details, 'provider')
  return typeof provider === 'string' ? { provider } : {}
}

function retryAfterOf(details: unknown): number | null {
  const seconds = fieldOf(details, 'retryAfterSeconds')
  return typeof seconds === 'number' ? Math.max(1, Math.ceil(seconds)) : null
}

function fieldOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[key] : undefined
}

const sqliteFull = 13

function isDiskFull(error: unknown): boolean {
  const code = fieldOf(error, 'code')
  return code === 'ENOSPC' || code === 'EDQUOT' || fieldOf(error, 'errcode') === sqliteFull
}

function diskFull(cause: unknown): AppError {
  return new AppError('server.busy', "The server's disk is full. Nothing was kept; try again when there is room.", {
    cause,
  })
}

/** What the HTTP layer itself refuses before a handler sees the request. */
function fromFramework(error: unknown): AppError | null {
  const code = fieldOf(error, 'code')
  const status = fieldOf(error, 'statusCode')
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new AppError('body.too_large', 'The request body is larger than SLIPWAY_MAX_BODY_BYTES allows.')
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new AppError('body.unsupported', 'Send the body as JSON, with "Content-Type: application/json".')
  }
  if (code === 'FST_ERR_CTP_INVALID_CONTENT_LENGTH') {
    return new AppError('input.invalid', 'The body has another length than its Content-Length says.')
  }
  return typeof status === 'number' && status >= 400 && status < 500 && error instanceof Error
    ? new AppError('input.invalid', error.message)
    : null
}
