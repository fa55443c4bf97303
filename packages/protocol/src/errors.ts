import { z } from 'zod'

/** Every code that leaves the server, with its HTTP status and whether the same request may succeed later. */
export const errorCodes = {
  'input.invalid': { status: 400, retryable: false },
  'input.unknown': { status: 400, retryable: false },
  'auth.required': { status: 401, retryable: false },
  'auth.forbidden': { status: 403, retryable: false },
  'token.unknown': { status: 404, retryable: false },
  'host.forbidden': { status: 403, retryable: false },
  'origin.forbidden': { status: 403, retryable: false },
  'route.unknown': { status: 404, retryable: false },
  'plan.unknown': { status: 404, retryable: false },
  'plan.invalid': { status: 422, retryable: false },
  'plan.conflict': { status: 409, retryable: false },
  'plan.busy': { status: 409, retryable: true },
  'plan.requirements': { status: 422, retryable: false },
  'plan.file_unknown': { status: 404, retryable: false },
  'archive.invalid': { status: 400, retryable: false },
  'archive.forbidden': { status: 400, retryable: false },
  'archive.too_large': { status: 413, retryable: false },
  'run.unknown': { status: 404, retryable: false },
  'run.conflict': { status: 409, retryable: false },
  'run.not_finished': { status: 409, retryable: true },
  'run.state': { status: 409, retryable: false },
  'run.command': { status: 409, retryable: false },
  'run.lost': { status: 503, retryable: true },
  'job.unknown': { status: 404, retryable: false },
  'job.conflict': { status: 409, retryable: false },
  'job.state': { status: 409, retryable: false },
  'job.not_finished': { status: 409, retryable: true },
  'lease.lost': { status: 409, retryable: false },
  'queue.full': { status: 429, retryable: true },
  'payload.invalid': { status: 422, retryable: false },
  'operator.unknown': { status: 404, retryable: false },
  'operator.offline': { status: 409, retryable: true },
  'operator.online': { status: 409, retryable: true },
  'operator.evidence': { status: 409, retryable: false },
  'operator.limit': { status: 409, retryable: false },
  'circuit.unknown': { status: 404, retryable: false },
  'circuit.invalid': { status: 422, retryable: false },
  'mapping.invalid': { status: 400, retryable: false },
  'mapping.failed': { status: 422, retryable: false },
  'mapping.limit': { status: 422, retryable: false },
  'mapping.memory': { status: 422, retryable: false },
  'mapping.timeout': { status: 503, retryable: true },
  'mapping.busy': { status: 503, retryable: true },
  'frame.invalid': { status: 400, retryable: false },
  'frame.too_large': { status: 413, retryable: false },
  'frame.text': { status: 415, retryable: false },
  'subscription.conflict': { status: 409, retryable: false },
  'subscription.unknown': { status: 404, retryable: false },
  'policy.unknown': { status: 404, retryable: false },
  'policy.invalid': { status: 422, retryable: false },
  'policy.denied': { status: 403, retryable: false },
  'policy.missing': { status: 503, retryable: true },
  'policy.failed': { status: 503, retryable: false },
  'policy.memory': { status: 503, retryable: false },
  'policy.timeout': { status: 503, retryable: true },
  'policy.crashed': { status: 503, retryable: true },
  'policy.busy': { status: 503, retryable: true },
  'broker.unsupported': { status: 503, retryable: false },
  'schedule.unknown': { status: 404, retryable: false },
  'schema.unknown': { status: 404, retryable: false },
  'schema.conflict': { status: 409, retryable: false },
  'schema.invalid': { status: 400, retryable: false },
  'checkpoint.unknown': { status: 404, retryable: false },
  'concept.unknown': { status: 404, retryable: false },
  'step.unknown': { status: 404, retryable: false },
  'step.timeout': { status: 504, retryable: false },
  'question.unknown': { status: 404, retryable: false },
  'input.cancelled': { status: 409, retryable: false },
  'input.expired': { status: 409, retryable: false },
  'call.not_repeated': { status: 409, retryable: false },
  'agent.unknown': { status: 400, retryable: false },
  'config.invalid': { status: 500, retryable: false },
  'body.too_large': { status: 413, retryable: false },
  'body.unsupported': { status: 415, retryable: false },
  'reader.slow': { status: 503, retryable: true },
  'rate.limited': { status: 429, retryable: true },
  'server.stopping': { status: 503, retryable: true },
  'server.busy': { status: 503, retryable: true },
  'server.unreachable': { status: 503, retryable: true },
  'tool.disabled': { status: 403, retryable: false },
  'sandbox.unavailable': { status: 503, retryable: false },
  'sandbox.timeout': { status: 500, retryable: false },
  'sandbox.memory': { status: 500, retryable: false },
  'sandbox.crashed': { status: 500, retryable: false },
  'file.forbidden': { status: 403, retryable: false },
  'model.unavailable': { status: 503, retryable: true },
  'model.refused': { status: 502, retryable: false },
  'model.timeout': { status: 504, retryable: true },
  'model.key_missing': { status: 500, retryable: false },
  cancelled: { status: 499, retryable: false },
  internal: { status: 500, retryable: false },
} as const satisfies Record<string, { readonly status: number; readonly retryable: boolean }>

export type ErrorCode = keyof typeof errorCodes

/** A failure a caller can act on. Anything else that is thrown is a bug and leaves the server as `internal`. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly code: ErrorCode
  readonly retryable: boolean
  /** Further facts for machines: problems of a plan, the model provider's status, what was expected. */
  readonly details: unknown

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.retryable = errorCodes[code].retryable
    this.details = options.details
  }
}

/** The body of every reply with a status of 400 or more. */
export const ErrorReply = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    details: z.unknown().optional(),
    provider: z.string().optional(),
    correlationId: z.string(),
  }),
})
export type ErrorReply = z.infer<typeof ErrorReply>
