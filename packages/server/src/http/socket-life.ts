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

/**
 * Ends clients that have not answered the last ping: their connection is dead without anybody having said so. Where
 * something waits for the client the ping waits behind it, so that one that takes nothing of it has `stallMs`.
 */
export function keepAlive(client: WebSocket, { pingMs, stallMs }: SocketTimes): () => void {
  let answered = true
  /** How much waited when it last became less, and since when. */
  let stuck: { readonly waiting: number; readonly since: number } | null = null
  const isDead = (waiting: number): boolean => {
    if (waiting === 0) return true
    if (stuck === null || waiting < stuck.waiting) stuck = { waiting, since: performance.now() }
    return performance.now() - stuck.since >= stallMs
  }
  client.on('pong', () => {
    answered = true
    stuck = null
  })
  const timer = setInterval(() => {
    // Nothing is read from a client that is ahead of the server, so that its answers wait too.
    if (client.isPaused) return
    if (!answered && isDead(client.bufferedAmount)) return client.terminate()
    answered = false
    client.ping()
  }, pingMs)
  return () => clearInterval(timer)
}
