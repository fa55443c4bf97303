import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { unreachable } from '@slipway/kit/unreachable'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { Route } from '@slipway/protocol/route'
import type { Logger } from '#observe/log'
import { requestCrashed } from '#observe/server-log'
import type { Verifier, Watch } from './authenticate.ts'
import type { Handler } from './handler.ts'
import { hasTooManyValues, mostJsonValues } from './json-size.ts'
import { jsonText } from './json-text.ts'
import { Reply } from './reply.ts'
import { sendEventStream, type StreamOptions, type StreamTimes } from './sse.ts'
import { validate } from './validate.ts'

export interface RoutesOptions {
  readonly handlers: readonly Handler[]
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal
  readonly times: StreamTimes
  /** Says when a stream is to end because its token holds no longer. */
  readonly verifier: Verifier
  readonly logger: Logger
}

/** Registers each route of the contract under its path and aliases. */
export function addRoutes(app: FastifyInstance, options: RoutesOptions): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(/^application\/(?:[\w.-]+\+)?json\b/i, { parseAs: 'buffer' }, readJsonBody)
  const [raw, json] = [
    options.handlers.filter(takesRawBody),
    options.handlers.filter(handler => !takesRawBody(handler)),
  ]
  for (const handler of json) addRoute(app, handler, options)
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    // Left unread: the handler takes the stream and keeps the limits itself.
    scope.addContentTypeParser('*', (_request, _payload, ready) => ready(null))
    for (const handler of raw) addRoute(scope, handler, options)
    done()
  })
}

function takesRawBody({ route }: Handler): boolean {
  return route.bodyMedia === 'multipart' || route.bodyMedia === 'binary'
}

interface JsonBody {
  readonly text: string
  readonly value: unknown
}

function readJsonBody(
  _request: FastifyRequest,
  bytes: Buffer | string,
  done: (error: Error | null, body?: JsonBody) => void,
): void {
  if (bytes.length === 0) return done(null)
  if (typeof bytes !== 'string' && hasTooManyValues(bytes)) return done(tooManyValues())
  try {
    const text = typeof bytes === 'string' ? bytes : new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    done(null, { text, value: parseJson(text) })
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : 'it is not UTF-8'
    done(new AppError('input.invalid', `The body is not valid JSON: ${why}.`, { cause: error }))
  }
}

function tooManyValues(): AppError {
  return new AppError(
    'body.too_large',
    `The body has more than ${mostJsonValues} values. Send large data as a file: a text with a "data:" URL.`,
  )
}

function addRoute(app: FastifyInstance, handler: Handler, options: RoutesOptions): void {
  const { route } = handler
  for (const path of [route.path, ...(route.aliases ?? [])]) {
    app.route({
      method: route.method,
      url: path,
      exposeHeadRoute: route.method === 'GET' && route.replyMedia !== 'event-stream',
      config: { scope: route.scope },
      handler: (request, reply) => answer(handler, { request, reply, options }),
    })
  }
}

interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly options: RoutesOptions
}

async function answer(handler: Handler, { request, reply, options }: Exchange): Promise<unknown> {
  const { route } = handler
  const body = request.body as JsonBody | undefined
  const parts = validate(route, { params: request.params, query: request.query, body: body?.value })
  const signal = departure(reply)
  using watch = route.replyMedia === 'event-stream' ? options.verifier.watch(request.identity) : null
  const answered = await handler.answer({
    ...(parts as { params: undefined; query: undefined; body: undefined }),
    bodyText: body?.text ?? '',
    headers: request.headers,
    identity: request.identity,
    url: request.url,
    requestId: request.id,
    signal: watch === null ? signal : AbortSignal.any([signal, options.stopping, watch.signal]),
    request: request.raw,
  })
  const shaped = answered instanceof Reply ? (answered as Reply<unknown>) : new Reply({ type: 'json', value: answered })
  const onError = (error: unknown): void =>
    requestCrashed(options.logger, { requestId: request.id, route: route.path, error })
  const { stopping, times } = options
  return await send(reply, {
    route,
    shaped,
    stream: { left: signal, revoked: revokedOf(watch), stopping, times, onError },
  })
}

const never = new AbortController().signal

function revokedOf(watch: Watch | null): AbortSignal {
  return watch?.signal ?? never
}

/** Aborts when the client goes away before the reply is out. */
function departure(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) left.abort(new AppError('cancelled', 'The client has gone away.'))
  })
  return left.signal
}

interface Sending {
  readonly route: Route
  readonly shaped: Reply<unknown>
  readonly stream: StreamOptions
}

async function send(reply: FastifyReply, { route, shaped, stream }: Sending): Promise<unknown> {
  const { content, extras } = shaped
  reply.code(extras.status ?? route.status ?? 200).headers(extras.headers ?? {})
  switch (content.type) {
    case 'json':
      return reply.type('application/json; charset=utf-8').send(jsonText(content.value))
    case 'text':
      return reply.type(content.mediaType).send(content.text)
    case 'file':
      if (content.size !== null) reply.header('content-length', content.size)
      reply.header('content-disposition', attachment(content.name))
      reply.header('content-security-policy', "default-src 'none'; sandbox; frame-ancestors 'none'")
      return reply.type('application/octet-stream').send(content.stream)
    case 'events':
      reply.hijack()
      reply.raw.writeHead(reply.statusCode, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'x-accel-buffering': 'no',
      })
      return sendEventStream(reply.raw, content.messages, stream)
    default:
      return unreachable(content)
  }
}

function attachment(name: string): string {
  const plain = name.replace(/[^\w.-]+/g, '_').slice(-150) || 'file'
  const encoded = encodeURIComponent(name.toWellFormed().slice(-150)).replace(/['()*]/g, escapePercent)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}

function escapePercent(character: string): string {
  return `%${character.charCodeAt(0).toString(16)}`
}
