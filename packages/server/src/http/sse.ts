import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { StreamMessage } from './reply.ts'
import { jsonText } from './json-text.ts'

export interface StreamTimes {
  /** A comment is sent after this long without a message, so that proxies keep the connection. */
  readonly keepAliveMs: number
  /** A reader that takes nothing for this long is cut. */
  readonly stallMs: number
}

export const usualStreamTimes: StreamTimes = { keepAliveMs: 15_000, stallMs: 60_000 }

/** Writes messages as they come, at the reader's pace, until they end, the reader leaves, its token ends or the server stops. */
export async function sendEventStream(
  response: ServerResponse,
  messages: AsyncIterable<StreamMessage>,
  { left, stopping, revoked, times, onError }: StreamOptions,
): Promise<void> {
  const signal = AbortSignal.any([left, stopping, revoked])
  response.flushHeaders()
  const keepAlive = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': still here\n\n')
  }, times.keepAliveMs)
  try {
    for await (const message of messages) {
      signal.throwIfAborted()
      if (!response.write(messageText(message))) await drained(response, { signal, stallMs: times.stallMs })
    }
    response.end(lastMessage({ stopping, revoked }))
  } catch (error) {
    const last = lastMessage({ stopping, revoked })
    if (last !== '') response.end(last)
    // Nothing can be said any more in a reply that has begun; the client comes back with its last number.
    else response.destroy()
    if (!signal.aborted && !isTimeout(error)) onError(error)
  } finally {
    clearInterval(keepAlive)
  }
}

export interface StreamOptions {
  /** Aborts when the reader has left. */
  readonly left: AbortSignal
  readonly stopping: AbortSignal
  /** Aborts when the reader's token holds no longer. */
  readonly revoked: AbortSignal
  readonly times: StreamTimes
  /** A fault of whoever makes the messages. */
  readonly onError: (error: unknown) => void
}

/** Why the server ends a stream by itself, in words of the protocol. */
function lastMessage({ stopping, revoked }: Pick<StreamOptions, 'stopping' | 'revoked'>): string {
  const reason = stopping.aborted ? 'server_stopping' : revoked.aborted ? 'unauthorized' : null
  return reason === null ? '' : messageText({ event: 'closing', data: { event: 'closing', reason } })
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && (error.cause as { readonly name?: string } | undefined)?.name === 'TimeoutError'
}

async function drained(
  response: ServerResponse,
  { signal, stallMs }: { readonly signal: AbortSignal; readonly stallMs: number },
): Promise<void> {
  await once(response, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(stallMs)]) })
}

function messageText({ id, event, data }: StreamMessage): string {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`
  // JSON holds no raw line breaks, so one data line is always enough.
  return `${head}data: ${jsonText(data)}\n\n`
}
