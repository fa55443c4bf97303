import type { FastifyInstance } from 'fastify'
import type { Logger } from '#observe/log'
import { socketCrashed } from '#observe/server-log'
import { tokenSubprotocol } from './guard.ts'
import { mostReceived, serveSocket, type SocketRoute, type SocketTimes } from './sockets.ts'
import { validate } from './validate.ts'

export interface SocketsOptions {
  readonly sockets: readonly SocketRoute[]
  readonly stopping: AbortSignal
  readonly times: SocketTimes
  readonly logger: Logger
}

/** Registers the WebSocket endpoints. What is wrong with a request is answered over HTTP, before the upgrade. */
export async function addSockets(app: FastifyInstance, options: SocketsOptions): Promise<void> {
  const { default: websocket } = await import('@fastify/websocket')
  const open = new Set<Promise<void>>()
  await app.register(websocket, {
    options: { maxPayload: mostReceived, handleProtocols: chooseProtocol },
    // The sockets end by themselves once `stopping` aborts; the server waits until they have said so.
    preClose: async () => void (await Promise.all(open)),
  })
  for (const route of options.sockets) {
    app.get(
      route.path,
      {
        websocket: true,
        exposeHeadRoute: false,
        preValidation: (request, _reply, done) => {
          validate(route, { params: request.params, query: request.query, body: undefined })
          done()
        },
      },
      (client, request) => {
        const parts = validate(route, { params: request.params, query: request.query, body: undefined })
        const served = serveSocket(client, {
          stopping: options.stopping,
          times: options.times,
          run: ({ socket, signal }) =>
            route.open(socket, { params: parts.params, query: parts.query, signal, requestId: request.id }),
          onError: error => socketCrashed(options.logger, { route: route.path, error }),
        }).finally(() => open.delete(served))
        open.add(served)
      },
    )
  }
}

/** A browser closes a socket whose server takes none of the protocols it offered. */
function chooseProtocol(offered: Set<string>): string | false {
  return offered.has('slipway') ? 'slipway' : ([...offered].find(name => name.startsWith(tokenSubprotocol)) ?? false)
}
