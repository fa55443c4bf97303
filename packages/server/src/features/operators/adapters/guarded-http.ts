import { lookup } from 'node:dns/promises'
import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import type { AllowedPlaces } from '../allowed-places.ts'

export interface HttpCall {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | null
  /** For the whole call, the answer's last byte included. */
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly signal: AbortSignal
}

export interface HttpAnswer {
  readonly status: number
  readonly mediaType: string
  readonly body: Uint8Array
  /** `Retry-After`: how long the service asks to be left alone; null where it says nothing that can be read. */
  readonly retryAfterMs: number | null
}

/** Why there is no answer. The message names no address: whoever publishes a job sees it. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly kind: 'timeout' | 'unreachable' | 'forbidden' | 'redirect' | 'too_large'

  constructor(kind: HttpFailure['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

const longestHeaders = 16_384

/**
 * Calls services of the allow-list, and nothing else: the address that a name stands for is checked as the connection is
 * made, so that a name cannot point elsewhere between check and use. Redirects are not followed.
 */
export class GuardedHttp implements Disposable {
  readonly #allowed: AllowedPlaces
  readonly #agents = {
    'http:': new http.Agent({ keepAlive: true, maxFreeSockets: 16 }),
    'https:': new https.Agent({ keepAlive: true, maxFreeSockets: 16 }),
  }

  constructor(allowed: AllowedPlaces) {
    this.#allowed = allowed
  }

  /** Throws `HttpFailure`, or the signal's reason. */
  async call(call: HttpCall): Promise<HttpAnswer> {
    const { url, signal } = call
    signal.throwIfAborted()
    this.#check(url)
    const time = AbortSignal.timeout(call.timeoutMs)
    try {
      return await this.#exchange(call, AbortSignal.any([signal, time]))
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof HttpFailure) throw error
      if (time.aborted)
        throw new HttpFailure('timeout', `The service did not answer in ${call.timeoutMs} ms.`, { cause: error })
      const { code } = error as { readonly code?: string }
      throw new HttpFailure('unreachable', `The service cannot be reached${code ? ` (${code})` : ''}.`, {
        cause: error,
      })
    }
  }

  [Symbol.dispose](): void {
    this.#agents['http:'].destroy()
    this.#agents['https:'].destroy()
  }

  #check(url: URL): void {
    const host = bareHost(url)
    if (!this.#allowed.isHost(url)) throw new HttpFailure('forbidden', 'The host of the service is not allowed.')
    if (isIP(host) !== 0 && !this.#allowed.isAddress(host, host))
      throw new HttpFailure('forbidden', 'The address of the service is a private one.')
  }

  async #exchange(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const response = await this.#send(call, signal)
    const status = response.statusCode ?? 0
    try {
      if (status >= 300 && status < 400)
        throw new HttpFailure('redirect', `The service redirects (${status}), which is not followed.`)
      const body = await readBody(response, call.maxBytes)
      const retryAfterMs = readRetryAfter(response.headers['retry-after'], Date.now())
      return { status, mediaType: response.headers['content-type'] ?? '', body, retryAfterMs }
    } finally {
      if (!response.complete) response.destroy()
    }
  }

  #send({ url, method, headers, body }: HttpCall, signal: AbortSignal): Promise<IncomingMessage> {
    const protocol = url.protocol === 'https:' ? https : http
    const options: RequestOptions = {
      method,
      signal,
      headers: { ...headers, ...(body === null ? {} : { 'content-length': body.byteLength }) },
      agent: this.#agents[url.protocol === 'https:' ? 'https:' : 'http:'],
      lookup: this.#lookup,
      maxHeaderSize: longestHeaders,
    }
    return new Promise((resolve, reject) => {
      const request = protocol.request(url, options, response => {
        response.on('error', reject)
        resolve(response)
      })
      request.on('error', reject)
      request.end(body ?? undefined)
    })
  }

  readonly #lookup: LookupFunction = (host, options, done) => {
    lookup(host, { all: true, verbatim: true }).then(
      addresses => {
        const [first] = addresses
        // One forbidden address is enough: which of them is used is chance.
        const wrong = addresses.find(({ address }) => !this.#allowed.isAddress(address, host))
        if (wrong !== undefined || first === undefined)
          return done(new HttpFailure('forbidden', 'The name of the service stands for a private address.'), '', 0)
        if (options.all === true) done(null, addresses)
        else done(null, first.address, first.family)
      },
      (error: NodeJS.ErrnoException) => done(error, '', 0),
    )
  }
}

/** Seconds, or a date in one of the forms of RFC 9110 (section 10.2.3). */
export function readRetryAfter(text: string | undefined, now: number): number | null {
  if (text === undefined) return null
  if (/^\s*\d{1,15}\s*$/.test(text)) return Number(text) * 1000
  // Other things are dates to JavaScript too, such as `-1`, and the oldest form says nothing of its zone, which is GMT.
  if (!/^\s*(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null
  const until = Date.parse(/GMT\s*$/.test(text) ? text : `${text} GMT`)
  return Number.isFinite(until) ? Math.max(until - now, 0) : null
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length
    if (length > maxBytes) throw new HttpFailure('too_large', `The service answered with more than ${maxBytes} bytes.`)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1')
}
