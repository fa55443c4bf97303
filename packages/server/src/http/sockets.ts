import { orAbort } from '@slipway/kit/abort'
import type { Closing } from '@slipway/protocol/events'
import type { z } from 'zod'
import type { WebSocket } from '@fastify/websocket'
import type { Access } from '@slipway/protocol/scopes'
import type { Identity } from './authenticate.ts'
import { jsonText } from './json-text.ts'
import { keepAlive, moved, Stalled, type SocketTimes } from './socket-life.ts'

export type ClosingReason = z.infer<typeof Closing>['reason']

/** One client's socket, as a handler sees it. */
export interface Socket {
  /**
   * Sends one JSON frame. Resolves at once while the client keeps up, later while it lags, and rejects when it is gone
   * or has taken nothing for too long; so a handler that awaits it never fills the memory.
   */
  send(frame: object): Promise<void>
}

export interface SocketRequest<Params extends z.ZodType, Query extends z.ZodType> {
  readonly params: z.output<Params>
  readonly query: z.output<Query>
  readonly identity: Identity
  /** Aborts when the client leaves, its token ends or the server stops. */
  readonly signal: AbortSignal
  readonly requestId: string
}

export interface SocketRoute<Params extends z.ZodType = z.ZodType, Query extends z.ZodType = z.ZodType> {
  /** As in the contract, with `:name` for a parameter. */
  readonly path: string
  /** What a caller's token must allow. */
  readonly scope: Access
  readonly params: Params
  readonly query: Query
  /** Serves one client; what it resolves with is told to the client in a last `closing` frame. */
  readonly open: (socket: Socket, request: SocketRequest<Params, Query>) => Promise<ClosingReason>
  /** The last frame, where this socket says it in its own words; null for none. */
  readonly closing?: ((reason: ClosingReason) => object | null) | undefined
}

/** Keeps the schemas' types for `open`. */
export function socketRoute<Params extends z.ZodType, Query extends z.ZodType>(
  declared: SocketRoute<Params, Query>,
): SocketRoute {
  // The listener hands over exactly what the two schemas made of the request.
  return declared
}

/** Bytes that may wait in memory for one client. */
const mostBuffered = 1024 * 1024
/** Clients send `ping` and little else. */
export const mostReceived = 64 * 1024
const closeCodes = {
  finished: 1000,
  server_stopping: 1001,
  slow_reader: 4008,
  unknown_run: 4404,
  unknown_job: 4404,
  unauthorized: 4401,
}

export interface ServedSocket {
  readonly socket: Socket
  /** Aborts when the client leaves, its token ends or the server stops. */
  readonly signal: AbortSignal
}

/** Runs one client's socket to its end: keep-alive, `ping` and `pong`, the handler, the last frame. Never rejects. */
export async function serveSocket(
  client: WebSocket,
  options: {
    readonly stopping: AbortSignal
    /** Aborts when the client's token holds no longer. */
    readonly revoked: AbortSignal
    readonly times: SocketTimes
    readonly run: (served: ServedSocket) => Promise<ClosingReason>
    readonly onError: (error: unknown) => void
    readonly closing: SocketRoute['closing']
  },
): Promise<void> {
  const left = new AbortController()
  const signal = AbortSignal.any([left.signal, options.stopping, options.revoked])
  client.on('close', () => left.abort(new ClientLeft()))
  client.on('error', () => client.terminate())
  client.on('message', (data, isBinary) => {
    if ((data as Buffer).length > mostReceived) return client.close(1009, 'too large')
    if (!isBinary && (data as Buffer).toString() === 'ping' && client.bufferedAmount < mostBuffered) client.send('pong')
  })
  const stopPings = keepAlive(client, options.times)
  const close = (reason: ClosingReason): void => closeWith(client, reason, (options.closing ?? usualClosing)(reason))
  try {
    const socket: Socket = { send: frame => sendFrame(client, frame, options.times.stallMs) }
    const reason = await orAbort(options.run({ socket, signal }), signal)
    close(endedBy(options) ?? reason)
  } catch (error) {
    const ended = endedBy(options)
    if (ended !== null) close(ended)
    else if (error instanceof Stalled) close('slow_reader')
    else if (!(error instanceof ClientLeft) && !left.signal.aborted) {
      options.onError(error)
      client.close(1011, 'internal')
    }
  } finally {
    stopPings()
  }
}

class ClientLeft extends Error {
  constructor() {
    super('The client has left.')
  }
}

function endedBy(by: { readonly stopping: AbortSignal; readonly revoked: AbortSignal }): ClosingReason | null {
  return by.stopping.aborted ? 'server_stopping' : by.revoked.aborted ? 'unauthorized' : null
}

async function sendFrame(client: WebSocket, frame: object, stallMs: number): Promise<void> {
  if (client.readyState !== client.OPEN) throw new ClientLeft()
  client.send(textOf(frame))
  let waiting = client.bufferedAmount
  while (waiting > mostBuffered) {
    await moved(client, stallMs)
    if (client.readyState !== client.OPEN) throw new ClientLeft()
    if (client.bufferedAmount >= waiting) throw new Stalled('The client takes nothing of what is sent to it.')
    waiting = client.bufferedAmount
  }
}

const texts = new WeakMap<object, string>()

/** An event goes to all who follow it, and is written once for all of them. */
function textOf(frame: object): string {
  const known = texts.get(frame)
  if (known !== undefined) return known
  const text = jsonText(frame)
  texts.set(frame, text)
  return text
}

function usualClosing(reason: ClosingReason): object {
  return { event: 'closing', reason }
}

function closeWith(client: WebSocket, reason: ClosingReason, frame: object | null): void {
  if (client.readyState !== client.OPEN) return
  if (frame !== null) client.send(jsonText(frame))
  client.close(closeCodes[reason], reason)
  // A reader that is behind may never take the last frame; the connection must not outlive it.
  setTimeout(() => client.terminate(), 2000).unref()
}
