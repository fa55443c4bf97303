import { randomBytes } from 'node:crypto'
import type { Socket as NetSocket } from 'node:net'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { AppError } from '@slipway/protocol/errors'
import type { Access } from '@slipway/protocol/scopes'
import type { Settings } from '@slipway/protocol/settings'
import type { Logger } from '#observe/log'
import { requestAnswered, requestCrashed } from '#observe/server-log'
import { checkScope, nobody, tokenOf, type Identity, type Verifier } from './authenticate.ts'
import { errorAnswer, type Explain } from './error-edge.ts'
import { createGuard, type Guard } from './guard.ts'
import type { Handler } from './handler.ts'
import { addRoutes } from './routes.ts'
import { openSockets } from './socket-routes.ts'
import { usualSocketTimes, type SocketTimes } from './socket-life.ts'
import type { FrameSocketRoute } from './frame-sockets.ts'
import type { SocketRoute } from './sockets.ts'
import { usualStreamTimes, type StreamTimes } from './sse.ts'

export type ListenerSettings = Pick<
  Settings,
  'host' | 'port' | 'apiToken' | 'trustedHosts' | 'corsOrigins' | 'maxBodyBytes' | 'rateLimitPerMinute'
>

export interface ListenerTimes extends StreamTimes, SocketTimes {
  /** A client must have sent its whole head, and its whole request, in these times. */
  readonly headMs: number
  readonly requestMs: number
  /** How often these are looked at. */
  readonly checkMs: number
}

const usualTimes: ListenerTimes = {
  ...usualSocketTimes,
  ...usualStreamTimes,
  headMs: 15_000,
  requestMs: 300_000,
  checkMs: 5_000,
}

export interface ListenerOptions {
  readonly handlers: readonly Handler[]
  readonly sockets?: readonly (SocketRoute | FrameSocketRoute)[] | undefined
  readonly settings: ListenerSettings
  readonly verifier: Verifier
  readonly logger: Logger
  /** What errors of other parts of the server are to callers. */
  readonly explain?: Explain | undefined
  readonly times?: Partial<ListenerTimes> | undefined
}

export interface Listener {
  /** Begins to listen; gives the address, such as `http://127.0.0.1:8000`. */
  listen(): Promise<string>
  /** Takes no more work, tells sockets and streams, waits for requests under way and then cuts what is left. */
  stop(graceMs: number): Promise<void>
}

/** The server's one door. Throws `config.invalid` for settings that would leave it open to others. */
export async function createListener(options: ListenerOptions): Promise<Listener> {
  const { settings, verifier, logger } = options
  const times = { ...usualTimes, ...options.times }
  const stopping = new AbortController()
  const explain = options.explain ?? (() => null)
  const app = newFastify(settings, { times, explain })
  const shared = { stopping: stopping.signal, times, logger, verifier }
  const addSockets = options.sockets?.length ? await openSockets(app, { ...shared, sockets: options.sockets }) : null
  await addGuard(app, { ...shared, guard: createGuard(settings), settings })
  addEdges(app, { logger, explain })
  addRoutes(app, { ...shared, handlers: options.handlers })
  addSockets?.()
  return {
    async listen() {
      await app.listen({ host: settings.host, port: settings.port })
      const address = app.server.address()
      const port = typeof address === 'object' && address !== null ? address.port : settings.port
      return `http://${reachable(settings.host)}:${port}`
    },
    async stop(graceMs) {
      stopping.abort(new AppError('server.stopping', 'The server is stopping. Try again in a moment.'))
      const late = setTimeout(() => app.server.closeAllConnections(), graceMs)
      // A connection whose reply was under way becomes idle only now, and would be kept for the next request.
      const idle = setInterval(() => app.server.closeIdleConnections(), 20)
      try {
        await app.close()
      } finally {
        clearTimeout(late)
        clearInterval(idle)
      }
    },
  }
}

function newFastify(
  settings: ListenerSettings,
  { times, explain }: { readonly times: ListenerTimes; readonly explain: Explain },
): FastifyInstance {
  return fastify({
    logger: false,
    bodyLimit: settings.maxBodyBytes,
    requestTimeout: times.requestMs,
    // An idle connection may wait for its next request about as long as proxies keep theirs.
    keepAliveTimeout: 72_000,
    http: {
      headersTimeout: times.headMs,
      connectionsCheckingInterval: times.checkMs,
      shouldUpgradeCallback: request => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: requestId,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 4096 },
    // Routes are checked by the contract's own schemas. The usual compilers take longer to load than all routes.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    clientErrorHandler: refuseBrokenRequest,
    frameworkErrors: (error, request, reply) => answerError(reply, error, { id: request.id, explain }),
  })
}

function noSchemas(): never {
  throw new Error('No route has a schema of the framework.')
}

/** The caller's own id when it looks like one, so that a trace goes on through the server. */
function requestId(request: { readonly headers: FastifyRequest['raw']['headers'] }): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{8,100}$/.test(given) ? given : randomBytes(12).toString('hex')
}

interface GuardOptions {
  readonly guard: Guard
  readonly settings: ListenerSettings
  readonly verifier: Verifier
  readonly stopping: AbortSignal
}

/** What every request and socket passes before its route: name, origin, rate, token, scope, in this order. */
async function addGuard(app: FastifyInstance, { guard, settings, verifier, stopping }: GuardOptions): Promise<void> {
  const rateLimit = await import('@fastify/rate-limit')
  await app.register(rateLimit.default, { global: false })
  app.decorateRequest('identity')
  const limiter = app.createRateLimit({ max: settings.rateLimitPerMinute, timeWindow: 60_000 })
  app.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(reply, request.id)
    guard.checkHost(request.headers)
    const isSocket = request.headers.upgrade?.toLowerCase() === 'websocket'
    const isPreflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    const strict = isSocket || isPreflight || !['GET', 'HEAD', 'OPTIONS'].includes(request.method)
    const origin = guard.checkOrigin(request.headers, { strict })
    if (origin !== null) setCorsHeaders(reply, origin)
    if (isPreflight) return reply.code(204).send()
    const rate = await limiter(request)
    if (!rate.isAllowed && rate.isExceeded) throw tooManyRequests(rate.ttlInSeconds)
    // A path that does not exist says so to whoever has a token.
    const scope = request.routeOptions.config.scope ?? 'any'
    request.identity = scope === 'public' ? nobody : await verifier.verify(tokenOf(request.headers, { isSocket }))
    checkScope(request.identity, scope)
    if (stopping.aborted && scope !== 'public') throw stopping.reason
    return undefined
  })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    scope?: Access
  }
  interface FastifyRequest {
    /** Set before anything of the route sees the request. */
    identity: Identity
  }
}

function setSecurityHeaders(reply: FastifyReply, id: string): void {
  reply.headers({
    'x-request-id': id,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cache-control': 'no-store',
    vary: 'origin',
  })
}

function setCorsHeaders(reply: FastifyReply, origin: string): void {
  reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': 'authorization, content-type, last-event-id, x-request-id',
    'access-control-expose-headers': 'link, location, retry-after, x-request-id',
    'access-control-max-age': '600',
    'cross-origin-resource-policy': 'cross-origin',
  })
}

function tooManyRequests(seconds: number): AppError {
  return new AppError('rate.limited', `Too many requests from this address. Try again in ${seconds} s.`, {
    details: { retryAfterSeconds: seconds },
  })
}

/** Where errors and unknown paths end, and where each request is counted. */
function addEdges(
  app: FastifyInstance,
  { logger, explain }: { readonly logger: Logger; readonly explain: Explain },
): void {
  app.setErrorHandler((error, request, reply) => {
    const isBug = answerError(reply, error, { id: request.id, explain })
    if (isBug) requestCrashed(logger, { requestId: request.id, route: request.routeOptions.url ?? request.url, error })
  })
  app.setNotFoundHandler((request, reply) => answerError(reply, unknownRoute(request), { id: request.id, explain }))
  app.addHook('onResponse', (request, reply, done) => {
    requestAnswered(logger, {
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
    })
    done()
  })
}

function answerError(
  reply: FastifyReply,
  error: unknown,
  { id, explain }: { readonly id: string; readonly explain: Explain },
): boolean {
  const { status, body, headers, isBug } = errorAnswer(error, id, explain)
  void reply.code(status).headers(headers).type('application/json; charset=utf-8').send(JSON.stringify(body))
  return isBug
}

function unknownRoute(request: FastifyRequest): AppError {
  const [path = ''] = request.url.split('?')
  return new AppError('route.unknown', `There is no ${request.method} ${path.slice(0, 200)}. /docs lists the routes.`)
}

/** For what is not even HTTP: Node gives a socket, not a request. */
function refuseBrokenRequest(error: Error & { readonly code?: string }, socket: NetSocket): void {
  if (socket.destroyed || !socket.writable) return
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const large = error.code === 'HPE_HEADER_OVERFLOW'
  const status = late ? '408 Request Timeout' : large ? '431 Request Header Fields Too Large' : '400 Bad Request'
  const message = late
    ? 'The request took too long to arrive.'
    : large
      ? 'The head of the request is too large.'
      : 'This is not a valid HTTP request.'
  const correlationId = randomBytes(12).toString('hex')
  const body = JSON.stringify({ error: { code: 'input.invalid', message, correlationId } })
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\nconnection: close\r\n`
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
