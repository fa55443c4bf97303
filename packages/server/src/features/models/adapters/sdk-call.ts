import { ProviderFailure, type ProviderCall, type ProviderReply } from '../provider.ts'

export interface SdkOptions {
  /** Largest answer that is read, in bytes. */
  readonly maxReplyBytes: number
}

/** The part of a language model of the AI SDK that is used: one call, no repeats, no streams. */
interface SdkModel {
  doGenerate(options: {
    prompt: [{ role: 'system'; content: string }, { role: 'user'; content: [{ type: 'text'; text: string }] }]
    temperature?: number
    maxOutputTokens?: number
    responseFormat?: { type: 'json' }
    abortSignal: AbortSignal
  }): PromiseLike<SdkResult>
}

interface SdkResult {
  readonly content: readonly { readonly type: string; readonly text?: unknown }[]
  readonly finishReason: { readonly unified: string }
  readonly usage: {
    readonly inputTokens: { readonly total: number | undefined }
    readonly outputTokens: { readonly total: number | undefined }
  }
  readonly response?: { readonly modelId?: string | undefined } | undefined
}

/**
 * One attempt over a model of the AI SDK. `open` gets the `fetch` to use: it reads at most `maxReplyBytes` and follows
 * no redirect, since a key goes to the configured address or nowhere.
 */
export async function callSdk(
  call: ProviderCall,
  open: (fetch: typeof globalThis.fetch) => SdkModel,
  { maxReplyBytes }: SdkOptions,
): Promise<ProviderReply> {
  const reply = { tooLarge: false }
  const model = open(boundedFetch(maxReplyBytes, () => (reply.tooLarge = true)))
  try {
    const result = await model.doGenerate({
      prompt: [
        { role: 'system', content: call.system },
        { role: 'user', content: [{ type: 'text', text: call.prompt }] },
      ],
      ...(call.temperature === null ? {} : { temperature: call.temperature }),
      ...(call.maxOutputTokens === null ? {} : { maxOutputTokens: call.maxOutputTokens }),
      ...(call.json ? { responseFormat: { type: 'json' } } : {}),
      abortSignal: call.signal,
    })
    return replyOf(result, call.model)
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason
    if (reply.tooLarge) throw new ProviderFailure('refused', `the answer is larger than ${maxReplyBytes} bytes`)
    throw error instanceof ProviderFailure ? error : failureOf(error)
  }
}

function replyOf(result: SdkResult, model: string): ProviderReply {
  const text = result.content.map(part => (part.type === 'text' && typeof part.text === 'string' ? part.text : ''))
  const whole = text.join('')
  if (whole === '' && result.finishReason.unified !== 'stop') {
    throw new ProviderFailure('refused', `the model gave no text (it ended with ${result.finishReason.unified})`)
  }
  return {
    text: whole,
    model: result.response?.modelId ?? model,
    inputTokens: result.usage.inputTokens.total ?? null,
    outputTokens: result.usage.outputTokens.total ?? null,
  }
}

function boundedFetch(maxBytes: number, onTooLarge: () => void): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, redirect: 'manual' })
    if (response.body === null) return response
    let bytes = 0
    const limited = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          bytes += chunk.byteLength
          if (bytes <= maxBytes) return controller.enqueue(chunk)
          onTooLarge()
          controller.error(new Error('too large'))
        },
      }),
    )
    return new Response(limited, {
      status: response.status,
      statusText: response.statusText,
      headers: response.headers,
    })
  }
}

/** What is read of the SDK's errors: by shape, so that its error classes need not be loaded or be of one version. */
interface SdkError {
  readonly statusCode?: unknown
  readonly responseHeaders?: Readonly<Record<string, string>> | undefined
  readonly responseBody?: unknown
  readonly isRetryable?: unknown
}

function failureOf(error: unknown): ProviderFailure {
  const known = (error instanceof Error ? error : {}) as SdkError
  const said = wordsOf(error, known)
  const broken = known.isRetryable === true
  if (typeof known.statusCode !== 'number') {
    return new ProviderFailure(broken || error instanceof TypeError ? 'unreachable' : 'malformed', said)
  }
  const status = known.statusCode
  // A connection that breaks in the middle of an answer has the answer's good status.
  if (status < 300 && broken) return new ProviderFailure('unreachable', said, { status })
  if (status < 300) return new ProviderFailure('malformed', 'the answer is not a chat completion', { status })
  const retryAfterMs = retryAfter(known.responseHeaders ?? {})
  if (status === 429) return new ProviderFailure('limited', said, { status, retryAfterMs })
  if (status >= 500 || status === 408) return new ProviderFailure('broken', said, { status, retryAfterMs })
  return new ProviderFailure('refused', said, { status })
}

function wordsOf(error: unknown, known: SdkError): string {
  if (error instanceof Error && error.message !== '') return error.message
  return typeof known.responseBody === 'string' && known.responseBody !== '' ? known.responseBody : 'no reason given'
}

/** `Retry-After` is seconds or a date; some providers also say it in milliseconds. */
function retryAfter(headers: Readonly<Record<string, string>>): number | null {
  const exact = Number(headers['retry-after-ms'])
  if (Number.isFinite(exact) && exact > 0) return exact
  const text = headers['retry-after']
  if (text === undefined) return null
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000
  const until = Date.parse(text) - Date.now()
  return Number.isFinite(until) ? Math.max(until, 0) : null
}
