import { request, type IncomingHttpHeaders } from 'node:http'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { route } from '@slipway/protocol/route'
import { z } from 'zod'
import { defaultSettings } from '#app/config'
import { createLogger } from '#observe/log'
import { nobody, type Identity, type Verifier } from './authenticate.ts'
import { handle, type Handler } from './handler.ts'
import { createListener, type ListenerOptions, type ListenerSettings } from './listener.ts'

export interface TestListener extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** The log lines so far. */
  readonly lines: readonly string[]
  stop(graceMs?: number): Promise<void>
}

export interface TestListenerOptions extends Partial<Omit<ListenerOptions, 'settings' | 'logger' | 'verifier'>> {
  readonly settings?: Partial<ListenerSettings>
}

/** A listener on a free port with `GET /hello`, `POST /things` and whatever is given. */
export async function testListener(options: TestListenerOptions = {}): Promise<TestListener> {
  const lines: string[] = []
  const settings = defaultSettings({ port: 0, ...options.settings })
  const listener = await createListener({
    ...options,
    handlers: [...things, ...(options.handlers ?? [])],
    settings,
    verifier: testVerifier(settings.apiToken),
    logger: createLogger({ logLevel: 'debug', destination: { write: line => lines.push(line) } }),
  })
  const url = await listener.listen()
  let stopped: Promise<void> | null = null
  const stop = (graceMs = 200): Promise<void> => (stopped ??= listener.stop(graceMs))
  return { url, port: Number(new URL(url).port), lines, stop, [Symbol.asyncDispose]: () => stop() }
}

/** Knows the configured token, and beside it `reader`, which may read runs. */
export function testVerifier(apiToken: string | null): Verifier {
  const operator: Identity = { organisation: 'default', subject: 'operator', scopes: ['admin'], isOperator: true }
  return {
    verify: token => {
      if (apiToken === null || token === apiToken) return Promise.resolve(operator)
      if (token === 'reader') return Promise.resolve({ ...nobody, organisation: 'default', scopes: ['read:jobs'] })
      return Promise.reject(new AppError('auth.required', 'This server asks for its token.'))
    },
    watch: () => ({ signal: new AbortController().signal, [Symbol.dispose]: () => undefined }),
  }
}

const hello = route({
  method: 'GET',
  path: '/hello',
  aliases: ['/hi'],
  scope: 'read:jobs',
  summary: 'Says hello.',
  tag: 'system',
  reply: z.unknown(),
  errors: [],
})

const openHello = { ...hello, path: '/open', aliases: [], scope: 'public' } as const

const createThing = route({
  method: 'POST',
  path: '/things/:id',
  scope: 'write:jobs',
  summary: 'Makes a thing.',
  tag: 'system',
  params: z.object({ id: z.string().max(10) }),
  query: z.object({ limit: z.coerce.number().int().max(5).default(1) }),
  body: z.object({ name: z.string(), size: z.number() }),
  reply: z.unknown(),
  status: 201,
  errors: [],
})

const things: readonly Handler[] = [
  handle(hello, () => ({ hello: 'world' })),
  handle(openHello, () => ({ hello: 'everybody' })),
  handle(createThing, ({ params, query, body, bodyText }) => ({ ...params, ...query, ...body, bodyText })),
]

export interface RawReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A request with any header, `Host` too, which `fetch` does not send. */
export function send(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const sending = request(url, { method, headers }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk as Buffer))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text: Buffer.concat(chunks).toString(),
        }),
      )
      response.on('error', reject)
    })
    sending.on('error', reject)
    sending.end(body)
  })
}

export function codeOf({ text }: { readonly text: string }): string {
  return z.object({ error: z.object({ code: z.string() }) }).parse(parseJson(text)).error.code
}
