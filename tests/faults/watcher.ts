import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import { RunEvent, streamRun } from '@slipway/protocol/events'
import type { Client } from '@slipway/sdk/client'
import { followAll, followRun } from '@slipway/sdk/event-stream'

/** What somebody has seen of a run, or of everything, who came back whenever the connection was lost. */
export interface Watcher {
  readonly seen: readonly RunEvent[]
  /** Resolves when the run is over and all was seen, or the watcher was told to leave. */
  readonly done: Promise<void>
  readonly isDone: () => boolean
}

const catchUpMs = 60_000
const pauseMs = 20

export function watchRun(client: Client, runId: string, { by, signal }: WatchOptions): Watcher {
  const events =
    by === 'socket'
      ? followRun(client, runId, { after: 0, signal, firstDelayMs: 40 })
      : streamedEvents(client.url, runId, signal)
  return watch(events, signal)
}

export interface WatchOptions {
  readonly by: 'socket' | 'stream'
  readonly signal: AbortSignal
}

export function watchAll(client: Client, signal: AbortSignal): Watcher {
  return watch(followAll(client, { after: 0, signal, firstDelayMs: 40 }), signal)
}

/** Waits until event `id` was seen, or says why it was not: whoever watches may be in the pause before a new attempt. */
export async function unseen(watcher: Watcher, id: number): Promise<string[]> {
  const last = (): number => watcher.seen.at(-1)?.id ?? 0
  for (let waited = 0; waited < catchUpMs && last() < id && !watcher.isDone(); waited += pauseMs) await sleep(pauseMs)
  if (last() >= id) return []
  const end = watcher.isDone() ? await watcher.done.then(() => 'it had left', String) : 'it is still there'
  return [`whoever watched everything saw event ${last()} of ${id} as the last: ${end}`]
}

function watch(events: AsyncIterable<RunEvent>, signal: AbortSignal): Watcher {
  const seen: RunEvent[] = []
  let isDone = false
  const done = (async () => {
    try {
      for await (const event of events) seen.push(event)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      isDone = true
    }
  })()
  done.catch(() => undefined)
  return { seen, done, isDone: () => isDone }
}

/** The same over Server-Sent Events, as a browser does it: it comes back with the last id that it was given. */
async function* streamedEvents(url: string, runId: string, signal: AbortSignal): AsyncGenerator<RunEvent> {
  let last = 0
  const address = url + streamRun.path.replace(':id', runId)
  for (;;) {
    signal.throwIfAborted()
    try {
      const headers = last === 0 ? {} : { 'last-event-id': String(last) }
      const response = await fetch(address, { headers, signal })
      if (response.ok && response.body) {
        for await (const { id, event, data } of messages(response.body)) {
          if (event === 'closing') {
            if (data.includes('finished')) return
            break
          }
          if (id === null) continue
          last = id
          yield RunEvent.parse(parseJson(data))
        }
      }
    } catch {
      // The server is gone; it comes back.
    }
    await sleep(40, signal)
  }
}

interface Message {
  readonly id: number | null
  readonly event: string
  readonly data: string
}

async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map(line => {
          const colon = line.indexOf(':')
          return [line.slice(0, colon), line.slice(colon + 1).trimStart()]
        }),
      )
      const id = fields.get('id')
      yield {
        id: id === undefined ? null : Number(id),
        event: fields.get('event') ?? '',
        data: fields.get('data') ?? '',
      }
    }
  }
}
