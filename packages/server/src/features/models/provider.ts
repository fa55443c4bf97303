/** One chat completion as a provider's adapter gets it. The prompt is whole; nothing is left to look up. */
export interface ProviderCall {
  readonly model: string
  readonly system: string
  readonly prompt: string
  /** Ask for the provider's JSON mode, or for the nearest thing it has. */
  readonly json: boolean
  /** `null` sends none: some models accept only their own. */
  readonly temperature: number | null
  /** `null` leaves it to the provider. */
  readonly maxOutputTokens: number | null
  /** Address of the API without the operation's path; the provider's own where none is configured. */
  readonly baseUrl: string | null
  readonly apiKey: string | null
  readonly signal: AbortSignal
}

export interface ProviderReply {
  readonly text: string
  /** The model that answered, in the provider's words. */
  readonly model: string
  /** Tokens as the provider counted them, `null` where it did not say. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

/**
 * A place that completes prompts. An adapter makes one attempt, never repeats it, ends soon after `signal` aborts, and
 * throws {@link ProviderFailure} for everything the provider or the network did wrong.
 */
export interface ModelProvider {
  readonly name: string
  generate(call: ProviderCall): Promise<ProviderReply>
}

/**
 * What one attempt came to: `refused` will be refused again, `limited` and `broken` may go well later, `unreachable`
 * is a connection that failed, `malformed` an answer that is none.
 */
export type FailureKind = 'refused' | 'limited' | 'broken' | 'unreachable' | 'malformed'

/**
 * One failed attempt. It carries no cause on purpose: the errors of provider libraries hold the whole request,
 * prompt and headers included, and would end up in a log.
 */
export class ProviderFailure extends Error {
  override readonly name = 'ProviderFailure'
  readonly kind: FailureKind
  readonly status: number | null
  /** How long the provider asked to wait, in milliseconds. */
  readonly retryAfterMs: number | null

  constructor(
    kind: FailureKind,
    message: string,
    options: { status?: number | null; retryAfterMs?: number | null } = {},
  ) {
    super(message)
    this.kind = kind
    this.status = options.status ?? null
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}
