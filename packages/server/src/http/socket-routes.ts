import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '#observe/log'
import { socketCrashed } from '#observe/server-log'
import { tokenSubprotocol, type Verifier } from './authenticate.ts'
import { serveFrames, type FrameSocketRoute } from './frame-sockets.ts'
import type { SocketTimes } from './socket-life.ts'
import { mostReceived, serveSocket, type SocketRoute } from './sockets.ts'
import { validate, type RawRequest } from './validate.ts'

export interface SocketsOptions {
  readonly sockets: readonly (SocketRoute | FrameSocketRoute)[]
  readonly stopping: AbortSignal
  readonly times: SocketTimes
  readonly verifier: Verifier
  readonly logger: Logger
}

/**
 * Prepares the listener for sockets; the result registers the endpoints. It comes before all other hooks, so that
 * whatever refuses an upgrade also closes its connection. What is wrong with a request is answered over HTTP.
 */
export async function openSockets(app: FastifyInstance, options: SocketsOptions): Promise<() => void> {
  const { default: websocket } = await import('@fastify/websocket')
  const open = new Set<Promise<void>>()
  await app.register(websocket, {
    options: { maxPayload: mostPayload(options.sockets), handleProtocols: chooseProtocol },
    // The sockets end by themselves once `stopping` aborts; the server waits until they have said so.
    preClose: async () => void (await Promise.all(open)),
  })
  return () => {
    for (const route of options.sockets) addSocket(app, route, { ...options, open })
  }
}

function addSocket(
  app: FastifyInstance,
  route: SocketRoute | FrameSocketRoute,
  { open, stopping, times, verifier, logger }: SocketsOptions & { readonly open: Set<Promise<void>> },
): void {
  const partsOf = (request: FastifyRequest): RawRequest =>
    validate('serve' in route ? {} : route, { params: request.params, query: request.query, body: undefined })
  app.get(
    route.path,
    {
      websocket: true,
      exposeHeadRoute: false,
      config: { scope: route.scope },
      preValidation: (request, _reply, done) => {
        partsOf(request)
        done()
      },
    },
    (client, request) => {
      const { params, query } = partsOf(request)
      const { identity, id: requestId } = request
      const watch = verifier.watch(identity)
      const shared = {
        stopping,
        revoked: watch.signal,
        times,
        onError: (error: unknown) => socketCrashed(logger, { route: route.path, error }),
      }
      const serving =
        'serve' in route
          ? serveFrames(client, route, { ...shared, connection: request.raw.socket, identity, requestId })
          : serveSocket(client, {
              ...shared,
              closing: route.closing,
              run: ({ socket, signal }) => route.open(socket, { params, query, identity, signal, requestId }),
            })
      const served = serving.finally(() => {
        watch[Symbol.dispose]()
        open.delete(served)
      })
      open.add(served)
    },
  )
}

/** The bound is one for all sockets; each looks at its own besides. */
function mostPayload(sockets: SocketsOptions['sockets']): number {
  return Math.max(mostReceived, ...sockets.map(route => ('serve' in route ? route.maxFrameBytes + mostReceived : 0)))
}

/** A browser closes a socket whose server takes none of the protocols it offered. */
function chooseProtocol(offered: Set<string>): string | false {
  return offered.has('slipway') ? 'slipway' : ([...offered].find(name => name.startsWith(tokenSubprotocol)) ?? false)
}
