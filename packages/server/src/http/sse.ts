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

/** Writes messages as they come, at the reader's pace, until they end or the reader leaves. */
export async function sendEventStream(
  response: ServerResponse,
  messages: AsyncIterable<StreamMessage>,
  { signal, times }: { readonly signal: AbortSignal; readonly times: StreamTimes },
): Promise<void> {
  response.flushHeaders()
  const keepAlive = setInterval(() => {
    if (!response.writableNeedDrain) response.write(': still here\n\n')
  }, times.keepAliveMs)
  try {
    for await (const message of messages) {
      if (signal.aborted) return
      if (!response.write(messageText(message))) await drained(response, { signal, stallMs: times.stallMs })
    }
    response.end()
  } catch (error) {
    // Nothing can be said any more in a reply that has begun; the client comes back with its last number.
    response.destroy()
    if (!signal.aborted) throw error
  } finally {
    clearInterval(keepAlive)
  }
}

async function drained(
  response: ServerResponse,
  { signal, stallMs }: { readonly signal: AbortSignal; readonly stallMs: number },
): Promise<void> {
  await once(response, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(stallMs)]) })
}

export function messageText({ id, event, data }: StreamMessage): string {
  const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`
  // JSON holds no raw line breaks, so one data line is always enough.
  return `${head}data: ${jsonText(data)}\n\n`
}
