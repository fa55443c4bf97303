import { AppError, ErrorReply, errorCodes, type ErrorCode } from '@slipway/protocol/errors'
import type { BodyInputOf, ParamsOf, QueryInputOf, ReplyOf, Route } from '@slipway/protocol/route'
import { readJson, writeJson } from './json.ts'

export interface ClientOptions {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string
  /** Bearer token, where the server asks for one. */
  readonly token?: string | undefined
  readonly fetch?: typeof fetch | undefined
  /** Ends every call of this client. */
  readonly signal?: AbortSignal | undefined
  /** Longest wait for one reply in milliseconds; 30,000 unless said otherwise. */
  readonly timeoutMs?: number | undefined
}

export interface Waiting {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/** One page of a list. `next` goes into `after` of the following request; null at the end. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

export type AnyRoute = Route

interface Upload {
  readonly field: string
  readonly name: string
  /** Media type of the content. */
  readonly type: string
  readonly content: Uint8Array | Blob
}

/** What a route is called with. Which parts it needs is said by the route; the server refuses what is missing. */
export interface CallInput<R extends AnyRoute> {
  readonly params?: ParamsOf<R> | undefined
  readonly query?: Partial<QueryInputOf<R>> | undefined
  readonly body?: BodyInputOf<R> | undefined
  readonly uploads?: readonly Upload[] | undefined
}

type ItemOf<List> = List extends readonly (infer Item)[] ? Item : never

export interface Transport {
  readonly url: string
  readonly call: <R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting) => Promise<ReplyOf<R>>
  readonly page: <R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting) => Promise<Page<ItemOf<ReplyOf<R>>>>
  readonly download: <R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting) => Promise<Uint8Array>
  /** A reply of any size as it arrives; the time limit is for silence, not for the whole. */
  readonly stream: <R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting) => Promise<ReadableStream<Uint8Array>>
}

const defaultTimeoutMs = 30_000
export const uploadTimeoutMs = 300_000

export function createTransport(options: ClientOptions): Transport {
  const url = checkedUrl(options.url)
  const start = async (route: AnyRoute, input: CallInput<AnyRoute> & Waiting): Promise<Exchange> => {
    const limitMs = input.timeoutMs ?? options.timeoutMs ?? defaultTimeoutMs
    const silence = silenceAfter(limitMs)
    const asked = [options.signal, input.signal].filter(signal => signal !== undefined)
    const attempt: Attempt = { url, timeout: silence.signal, limitMs, signals: asked }
    try {
      const response = await (options.fetch ?? fetch)(url + pathOf(route, input), {
        method: route.method,
        ...requestBody(input, options.token),
        signal: AbortSignal.any([silence.signal, ...asked]),
        redirect: 'error',
      })
      if (!response.ok) throw await errorOf(response)
      return { response, attempt, silence }
    } catch (error) {
      silence.end()
      throw explained(error, attempt)
    }
  }
  const send = async <T>(
    route: AnyRoute,
    input: CallInput<AnyRoute> & Waiting,
    read: (response: Response) => Promise<T>,
  ): Promise<T> => {
    const { response, attempt, silence } = await start(route, input)
    try {
      return await read(response)
    } catch (error) {
      throw explained(error, attempt)
    } finally {
      silence.end()
    }
  }
  const json = <R extends AnyRoute>(route: R, response: Response): Promise<ReplyOf<R>> =>
    response.text().then(text => checkedReply(route, text))
  return {
    url,
    call: (route, input = {}) => send(route, input, response => json(route, response)),
    page: (route, input = {}) =>
      send(route, input, async response => {
        const items = await json(route, response)
        return { items: (Array.isArray(items) ? items : []) as ItemOf<typeof items>[], next: nextOf(response.headers) }
      }),
    download: (route, input = {}) => send(route, input, async response => new Uint8Array(await response.arrayBuffer())),
    stream: async (route, input = {}) => arriving(await start(route, input)),
  }
}

interface Exchange {
  readonly response: Response
  readonly attempt: Attempt
  readonly silence: Silence
}

interface Silence {
  /** Aborted when nothing was heard for too long. */
  readonly signal: AbortSignal
  readonly heard: () => void
  readonly end: () => void
}

function silenceAfter(ms: number): Silence {
  const controller = new AbortController()
  const tooLong = (): void => controller.abort(new DOMException('No answer in time', 'TimeoutError'))
  let timer = setTimeout(tooLong, ms)
  return {
    signal: controller.signal,
    heard() {
      clearTimeout(timer)
      timer = setTimeout(tooLong, ms)
    },
    end: () => clearTimeout(timer),
  }
}

function arriving({ response, attempt, silence }: Exchange): ReadableStream<Uint8Array> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = response.body?.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      // A reader that takes its time is no silence of the server.
      silence.heard()
      try {
        const next = await reader?.read()
        silence.end()
        if (next === undefined || next.done) return controller.close()
        controller.enqueue(next.value)
      } catch (error) {
        silence.end()
        controller.error(explained(error, attempt))
      }
    },
    cancel: reason => {
      silence.end()
      return reader?.cancel(reason)
    },
  })
}

function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed?.protocol !== 'http:' && parsed?.protocol !== 'https:')
    throw new AppError('input.invalid', `"${url}" is no address of a server. Write it like http://127.0.0.1:8000.`)
  return url.replace(/\/+$/, '')
}

function pathOf(route: AnyRoute, input: CallInput<AnyRoute>): string {
  const params = (input.params ?? {}) as Readonly<Record<string, string | undefined>>
  const path = route.path
    .split('/')
    .map(part => {
      if (part === '*') return (params['*'] ?? '').split('/').map(encodeURIComponent).join('/')
      return part.startsWith(':') ? encodeURIComponent(params[part.slice(1)] ?? '') : part
    })
    .join('/')
  const query = new URLSearchParams()
  for (const [name, given] of Object.entries(input.query ?? {}))
    for (const value of (Array.isArray(given) ? given : [given]) as readonly unknown[])
      if (value !== undefined && value !== null)
        query.append(name, typeof value === 'string' ? value : writeJson(value))
  return query.size === 0 ? path : `${path}?${query.toString()}`
}

function requestBody(
  input: CallInput<AnyRoute>,
  token: string | undefined,
): { readonly headers: Record<string, string>; readonly body?: string | FormData } {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`
  if (input.uploads) {
    const form = new FormData()
    for (const { field, name, type, content } of input.uploads) {
      // A copy of bytes, because a Blob does not take those of a shared buffer.
      form.append(field, content instanceof Blob ? content : new Blob([Uint8Array.from(content)], { type }), name)
    }
    return { headers, body: form }
  }
  if (input.body === undefined) return { headers }
  headers['content-type'] = 'application/json'
  return { headers, body: writeJson(input.body) }
}

function checkedReply<R extends AnyRoute>(route: R, text: string): ReplyOf<R> {
  const parsed = route.reply.safeParse(jsonOrUndefined(text))
  if (parsed.success) return parsed.data as ReplyOf<R>
  throw new AppError(
    'internal',
    `The reply to ${route.method} ${route.path} does not have the agreed form. Is this a Slipway server of the same version?`,
    { details: parsed.error.issues, cause: parsed.error },
  )
}

async function errorOf(response: Response): Promise<AppError> {
  const parsed = ErrorReply.safeParse(jsonOrUndefined(await response.text()))
  if (!parsed.success)
    return new AppError(
      'internal',
      `The server answered with status ${response.status} and no error that this client can read. Is a Slipway server at this address?`,
    )
  const { code, message, details, correlationId } = parsed.data.error
  const known = isErrorCode(code)
  const where =
    !known || code === 'internal' ? ` (${known ? '' : `code ${code}, `}correlation id ${correlationId})` : ''
  return new AppError(known ? code : 'internal', message + where, { details })
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code)
}

function jsonOrUndefined(text: string): unknown {
  try {
    return readJson(text)
  } catch {
    return undefined
  }
}

interface Attempt {
  readonly url: string
  readonly timeout: AbortSignal
  readonly limitMs: number
  readonly signals: readonly (AbortSignal | undefined)[]
}

function explained(error: unknown, attempt: Attempt): Error {
  const aborted = attempt.signals.find(signal => signal?.aborted)
  if (aborted) return aborted.reason as Error
  if (error instanceof AppError) return error
  if (attempt.timeout.aborted)
    return new AppError('server.unreachable', `${attempt.url} did not answer within ${attempt.limitMs / 1000} s.`, {
      cause: error,
    })
  return new AppError(
    'server.unreachable',
    `No server answers at ${attempt.url} (${reasonOf(error)}). Start one with \`slipway up\`, or name another address.`,
    { cause: error },
  )
}

/** `fetch` hides why it failed in the cause: `ECONNREFUSED`, `ENOTFOUND` and the like. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (cause instanceof Error) return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
  return error instanceof Error ? error.message : String(error)
}

/** The `after` of the page that a `Link` header names as next. */
function nextOf(headers: Headers): string | null {
  const links = (headers.get('link') ?? '').matchAll(/<([^>]*)>\s*;([^,]*)/g)
  for (const [, target, parameters] of links) {
    if (!/\brel="?next"?(?:;|\s|$)/.test(parameters ?? '')) continue
    return new URL(target ?? '', 'http://server').searchParams.get('after')
  }
  return null
}
