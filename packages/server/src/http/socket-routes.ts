import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '#observe/log'
import { socketCrashed } from '#observe/server-log'
import { tokenSubprotocol, type Verifier } from './authenticate.ts'
import { mostReceived, serveSocket, type SocketRoute, type SocketTimes } from './sockets.ts'
import { validate, type RawRequest } from './validate.ts'

export interface SocketsOptions {
  readonly sockets: readonly SocketRoute[]
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
    options: { maxPayload: mostReceived, handleProtocols: chooseProtocol },
    // The sockets end by themselves once `stopping` aborts; the server waits until they have said so.
    preClose: async () => void (await Promise.all(open)),
  })
  return () => {
    for (const route of options.sockets) addSocket(app, route, { ...options, open })
  }
}

function addSocket(
  app: FastifyInstance,
  route: SocketRoute,
  { open, stopping, times, verifier, logger }: SocketsOptions & { readonly open: Set<Promise<void>> },
): void {
  const partsOf = (request: FastifyRequest): RawRequest =>
    validate(route, { params: request.params, query: request.query, body: undefined })
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
      const served = serveSocket(client, {
        stopping,
        revoked: watch.signal,
        times,
        run: ({ socket, signal }) => route.open(socket, { params, query, identity, signal, requestId }),
        closing: route.closing,
        onError: error => socketCrashed(logger, { route: route.path, error }),
      }).finally(() => {
        watch[Symbol.dispose]()
        open.delete(served)
      })
      open.add(served)
    },
  )
}

/** A browser closes a socket whose server takes none of the protocols it offered. */
function chooseProtocol(offered: Set<string>): string | false {
  return offered.has('slipway') ? 'slipway' : ([...offered].find(name => name.startsWith(tokenSubprotocol)) ?? false)
}
