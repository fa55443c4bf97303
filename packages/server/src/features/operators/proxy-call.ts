import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { Mappings } from '#features/mappings/mappings'
import type { JobFailure, JobResult, LeasedJob } from '#features/spine/spine'
import { HttpFailure, type GuardedHttp, type HttpAnswer, type HttpCall } from './adapters/guarded-http.ts'
import type { ProxyConfig } from './proxy-file.ts'

export type ProxyOutcome =
  | { readonly type: 'done'; readonly result: JobResult }
  /** `isFault`: the service is not well, as far as that says something of it. */
  | { readonly type: 'failed'; readonly failure: JobFailure; readonly isFault: boolean }

export interface CallOptions {
  readonly http: GuardedHttp
  readonly mappings: Mappings
  /** The value of the header that the service asks for. */
  readonly secret: string | null
  readonly signal: AbortSignal
}

/**
 * Does a job by calling the service: 2xx is its result; a time-out, a broken connection, 429 and 5xx may be repeated, and so
 * may what this server has no time for; everything else would fail again. Rejects with the signal's reason alone.
 */
export async function callService(proxy: ProxyConfig, job: LeasedJob, options: CallOptions): Promise<ProxyOutcome> {
  try {
    const call = await requestOf(proxy, job, options)
    const answer = await options.http.call(call)
    return await outcomeOf(proxy, job, { answer, mappings: options.mappings })
  } catch (error) {
    options.signal.throwIfAborted()
    if (error instanceof HttpFailure) {
      const isFault = error.kind === 'timeout' || error.kind === 'unreachable'
      return failed(error.message, { isRetryable: isFault, isFault })
    }
    if (error instanceof AppError) return failed(error.message, { isRetryable: error.retryable, isFault: false })
    throw error
  }
}

async function requestOf(proxy: ProxyConfig, job: LeasedJob, options: CallOptions): Promise<HttpCall> {
  const { mappings, signal } = options
  const given = { input: job.payload, notJson: 'nothing', names: { job: factsOf(job) } } as const
  const url = new URL(proxy.url)
  if (proxy.query !== undefined) {
    const query = jsonOf(await mappings.evaluate(job.organisation, proxy.query, given))
    for (const [name, value] of Object.entries(query ?? {}))
      url.searchParams.set(name, typeof value === 'string' ? value : JSON.stringify(value))
  }
  const content = proxy.body === undefined ? job.payload : await mappings.evaluate(job.organisation, proxy.body, given)
  const body = proxy.method === 'GET' ? null : content
  return {
    url,
    method: proxy.method,
    headers: headersOf(proxy, job, { body, secret: options.secret }),
    body,
    timeoutMs: proxy.timeout_ms,
    maxBytes: proxy.max_response_bytes,
    signal,
  }
}

function headersOf(
  { headers, auth }: ProxyConfig,
  { id, trace }: LeasedJob,
  { body, secret }: { readonly body: Uint8Array | null; readonly secret: string | null },
): Record<string, string> {
  const isJson = body !== null && jsonOf(body) !== undefined
  return {
    accept: 'application/json',
    ...headers,
    ...(body !== null && { 'content-type': isJson ? 'application/json' : 'application/octet-stream' }),
    'idempotency-key': id,
    ...(trace?.['traceparent'] !== undefined && { traceparent: trace['traceparent'] }),
    ...(auth && secret !== null && { [auth.header]: auth.prefix + secret }),
  }
}

async function outcomeOf(
  proxy: ProxyConfig,
  job: LeasedJob,
  { answer, mappings }: { readonly answer: HttpAnswer; readonly mappings: Mappings },
): Promise<ProxyOutcome> {
  const { status, body } = answer
  if (status < 200 || status > 299) {
    const isRetryable = status === 429 || status >= 500
    const asksToWait = status === 429 || status === 503
    const waitMs = asksToWait ? Math.min(answer.retryAfterMs ?? 0, proxy.longest_wait_ms) : 0
    return failed(`The service answered with status ${status}.`, { isRetryable, isFault: isRetryable, waitMs })
  }
  const schema = proxy.result_schema
  if (proxy.result === undefined) {
    const payload = jsonOf(body) === undefined ? bytesOf(new TextDecoder().decode(body)) : body
    return { type: 'done', result: { schema, payload } }
  }
  const names = { job: factsOf(job), payload: job.payload, status }
  const payload = await mappings.evaluate(job.organisation, proxy.result, { input: body, notJson: 'text', names })
  return { type: 'done', result: { schema, payload } }
}

function factsOf({ id, topic, schema, attempt, organisation }: LeasedJob): Record<string, unknown> {
  return { id, topic, schema, attempt, organisation }
}

function failed(
  reason: string,
  { isFault, ...further }: Omit<JobFailure, 'reason'> & { readonly isFault: boolean },
): ProxyOutcome {
  return { type: 'failed', failure: { reason, ...further }, isFault }
}

/** Undefined for what is no JSON. */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

function bytesOf(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
