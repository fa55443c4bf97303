import { once } from 'node:events'
import type { WebSocket } from '@fastify/websocket'

export interface SocketTimes {
  readonly pingMs: number
  /** A client that takes nothing of what waits for it for this long is cut. */
  readonly stallMs: number
}

export const usualSocketTimes: SocketTimes = { pingMs: 20_000, stallMs: 30_000 }

/** The reader took nothing for too long. */
export class Stalled extends Error {
  override readonly name = 'Stalled'
}

/** Resolves when an empty frame has got through behind all others, the client has left, or the time is over. */
export async function moved(client: WebSocket, stallMs: number): Promise<void> {
  const over = AbortSignal.timeout(stallMs)
  await Promise.race([
    new Promise<void>(resolve => client.ping('', false, () => resolve())),
    once(client, 'close', { signal: over }).catch(() => undefined),
  ])
}

/** Ends clients that have not answered the last ping: their connection is dead without anybody having said so. */
export function keepAlive(client: WebSocket, pingMs: number): () => void {
  let answered = true
  client.on('pong', () => (answered = true))
  const timer = setInterval(() => {
    // Nothing is read from a client that is ahead of the server, so that its answers wait too.
    if (client.isPaused) return
    if (!answered && client.bufferedAmount === 0) return client.terminate()
    answered = false
    client.ping()
  }, pingMs)
  return () => clearInterval(timer)
}
