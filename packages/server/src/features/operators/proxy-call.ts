import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { JobFailure, JobResult, LeasedJob } from '#features/spine/spine'
import { HttpFailure, type GuardedHttp, type HttpAnswer, type HttpCall } from './adapters/guarded-http.ts'
import type { ProxyConfig } from './proxy-file.ts'

export type ProxyOutcome =
  | { readonly type: 'done'; readonly result: JobResult }
  /** `isFault`: the service is not well, as far as that says something of it. */
  | { readonly type: 'failed'; readonly failure: JobFailure; readonly isFault: boolean }

export interface CallOptions {
  readonly http: GuardedHttp
  /** The value of the header that the service asks for. */
  readonly secret: string | null
  readonly signal: AbortSignal
}

/**
 * Does a job by calling the service: 2xx is its result; a time-out, a broken connection, 429 and 5xx may be repeated, and
 * everything else would fail again. Rejects with the signal's reason alone.
 */
export async function callService(proxy: ProxyConfig, job: LeasedJob, options: CallOptions): Promise<ProxyOutcome> {
  try {
    const call = await requestOf(proxy, job, options)
    const answer = await options.http.call(call)
    return await outcomeOf(proxy, job, answer)
  } catch (error) {
    options.signal.throwIfAborted()
    if (error instanceof HttpFailure) {
      const isFault = error.kind === 'timeout' || error.kind === 'unreachable'
      return failed(error.message, { isRetryable: isFault, isFault })
    }
    if (error instanceof AppError) return failed(error.message, { isRetryable: false, isFault: false })
    throw error
  }
}

async function requestOf(proxy: ProxyConfig, job: LeasedJob, { secret, signal }: CallOptions): Promise<HttpCall> {
  const payload = jsonOf(job.payload)
  const names = { job: factsOf(job) }
  const url = new URL(proxy.url)
  if (proxy.query) {
    const query = await proxy.query.evaluate(payload, names)
    for (const [name, value] of Object.entries(query ?? {}))
      url.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value))
  }
  const hasBody = proxy.method !== 'GET'
  const body = proxy.body ? bytesOf(await proxy.body.evaluate(payload, names)) : job.payload
  return {
    url,
    method: proxy.method,
    headers: {
      accept: 'application/json',
      ...proxy.headers,
      ...(hasBody && { 'content-type': payload === undefined ? 'application/octet-stream' : 'application/json' }),
      'idempotency-key': job.id,
      ...(job.trace?.['traceparent'] !== undefined && { traceparent: job.trace['traceparent'] }),
      ...(proxy.auth && secret !== null && { [proxy.auth.header]: proxy.auth.prefix + secret }),
    },
    body: hasBody ? body : null,
    timeoutMs: proxy.timeout_ms,
    maxBytes: proxy.max_response_bytes,
    signal,
  }
}

async function outcomeOf(proxy: ProxyConfig, job: LeasedJob, answer: HttpAnswer): Promise<ProxyOutcome> {
  const { status, body } = answer
  if (status < 200 || status > 299) {
    const isRetryable = status === 429 || status >= 500
    return failed(`The service answered with status ${status}.`, { isRetryable, isFault: isRetryable })
  }
  const value = jsonOf(body)
  if (proxy.result === null) {
    const payload = value === undefined ? bytesOf(textOf(body)) : body
    return { type: 'done', result: { schema: proxy.result_schema, payload } }
  }
  const names = { job: factsOf(job), payload: jsonOf(job.payload), status }
  const result = await proxy.result.evaluate(value === undefined ? textOf(body) : value, names)
  return { type: 'done', result: { schema: proxy.result_schema, payload: bytesOf(result) } }
}

function factsOf({ id, topic, schema, attempt, organisation }: LeasedJob): Record<string, unknown> {
  return { id, topic, schema, attempt, organisation }
}

function failed(
  reason: string,
  { isRetryable, isFault }: { readonly isRetryable: boolean; readonly isFault: boolean },
): ProxyOutcome {
  return { type: 'failed', failure: { reason, isRetryable }, isFault }
}

/** Undefined for what is no JSON. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
