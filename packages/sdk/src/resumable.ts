import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import type { Closing } from '@slipway/protocol/events'
import type { Client } from './client.ts'
import { socketFrames, type SocketEnd } from './socket-frames.ts'

export interface ResumeOptions {
  readonly signal?: AbortSignal | undefined
  /** Failed attempts in a row after which the stream ends with `server.unreachable`; never by default. */
  readonly maxAttempts?: number | undefined
  /** First wait between attempts in milliseconds; it doubles up to 10 s. */
  readonly firstDelayMs?: number | undefined
  /** How often the server is asked whether it is there, 15,000 unless said otherwise; after three times the connection is lost. */
  readonly pingMs?: number | undefined
}

/** Where the reader of a stream is: what a socket is asked for as `after`. */
type StreamPlace = string | number

/** What a frame of a socket means to its reader. */
export type Frame<Item, Place> =
  | { readonly type: 'item'; readonly item: Item; readonly place: Place | undefined }
  | { readonly type: 'connected'; readonly place: Place }
  | { readonly type: 'closing'; readonly reason: ClosingReason }
  /** Frames that this version does not know are passed over: a newer server may say more. */
  | { readonly type: 'unreadable' }

export type ClosingReason = ReturnType<typeof Closing.parse>['reason']

export interface Resumable<Item, Place extends StreamPlace> extends ResumeOptions {
  readonly path: string
  readonly after: Place | undefined
  readonly readFrame: (text: string) => Frame<Item, Place>
  /** Whether the reader had it before. */
  readonly isOld: (item: Item, after: Place | undefined) => boolean
  /** The same thing over HTTP, whose error says why a socket was refused: browsers hide that. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
  readonly unknown: () => AppError
  readonly onConnection?:
    ((state: { readonly type: 'connected'; readonly after: Place } | Reconnecting) => void) | undefined
}

export interface Reconnecting {
  readonly type: 'reconnecting'
  readonly attempt: number
  readonly delayMs: number
  readonly reason: string
}

const ceilingMs = 10_000
const usualPingMs = 15_000

/** Where a reader is, kept from one connection to the next. */
interface Position<Place> {
  after: Place | undefined
  /** Failed attempts since the server was last heard. */
  attempt: number
}

/** What a socket gives, each once and in order, through lost connections and restarts of the server. */
export async function* resumed<Item, Place extends StreamPlace>(
  client: Client,
  options: Resumable<Item, Place>,
): AsyncGenerator<Item> {
  const signal = options.signal ?? new AbortController().signal
  const position: Position<Place> = { after: options.after, attempt: 0 }
  for (;;) {
    signal.throwIfAborted()
    const { opened, closing, reason } = yield* oneConnection(client, options, { position, signal })
    signal.throwIfAborted()
    if (closing === 'finished') return
    position.attempt += 1
    if (!opened || closing !== undefined) await refuseWhatStays(options, { signal, closing })
    await backOff(options, { attempt: position.attempt, signal, reason: closing ?? reason, url: client.url })
  }
}

interface ConnectionEnd extends SocketEnd {
  readonly closing: ClosingReason | undefined
}

/** What one connection gives. Only the server knows which end is the last, and says so with `finished`. */
async function* oneConnection<Item, Place extends StreamPlace>(
  client: Client,
  options: Resumable<Item, Place>,
  { position, signal }: { readonly position: Position<Place>; readonly signal: AbortSignal },
): AsyncGenerator<Item, ConnectionEnd> {
  const frames = openSocket(client, { ...options, after: position.after, signal })
  let closing: ClosingReason | undefined
  try {
    for (let next = await frames.next(); ; next = await frames.next()) {
      if (next.done) return { ...next.value, closing }
      const frame = options.readFrame(next.value)
      if (frame.type === 'unreadable') continue
      position.attempt = 0
      if (frame.type === 'closing') {
        closing = frame.reason
        if (closing === 'finished') return { opened: true, reason: closing, closing }
      } else if (frame.type === 'connected') {
        position.after ??= frame.place
        options.onConnection?.({ type: 'connected', after: position.after })
      } else if (!options.isOld(frame.item, position.after)) {
        // Counted before it is handed on: whoever reads on has taken it.
        position.after = frame.place ?? position.after
        yield frame.item
      }
    }
  } finally {
    await frames.return({ opened: true, reason: 'left' })
  }
}

/** Rejects when the server says that no further attempt will help. */
async function refuseWhatStays<Item, Place extends StreamPlace>(
  options: Resumable<Item, Place>,
  { signal, closing }: { signal: AbortSignal; closing: ClosingReason | undefined },
): Promise<void> {
  if (closing === 'server_stopping' || closing === 'slow_reader') return
  try {
    await options.probe(signal)
  } catch (error) {
    if (!(error instanceof AppError) || !error.retryable) throw error
  }
  if (closing === 'unauthorized')
    throw new AppError('auth.required', 'The server does not accept this token on its sockets. Check the token.')
  if (closing === 'unknown_run' || closing === 'unknown_job') throw options.unknown()
}

async function backOff<Item, Place extends StreamPlace>(
  options: Resumable<Item, Place>,
  { attempt, signal, reason, url }: { attempt: number; signal: AbortSignal; reason: string; url: string },
): Promise<void> {
  if (attempt > (options.maxAttempts ?? Number.POSITIVE_INFINITY))
    throw new AppError(
      'server.unreachable',
      `The connection to ${url} is lost (${reason}); ${attempt - 1} attempts failed.`,
    )
  const longest = Math.min((options.firstDelayMs ?? 250) * 2 ** (attempt - 1), ceilingMs)
  // Half of it random, so that many clients of a restarted server do not come back at the same moment.
  const delayMs = Math.round(longest / 2 + (longest / 2) * Math.random())
  options.onConnection?.({ type: 'reconnecting', attempt, delayMs, reason })
  await sleep(delayMs, signal)
}

interface OpenSocketOptions extends Pick<ResumeOptions, 'pingMs'> {
  readonly path: string
  readonly after: StreamPlace | undefined
  readonly signal: AbortSignal
}

function openSocket(
  client: Client,
  { path, after, signal, pingMs = usualPingMs }: OpenSocketOptions,
): AsyncGenerator<string, SocketEnd, void> {
  const url = `${client.url.replace(/^http/, 'ws')}${path}${after === undefined ? '' : `?after=${after}`}`
  // Sockets of browsers carry no headers of their own, so the token travels as the name of a subprotocol.
  const protocols = client.token === undefined ? [] : [`slipway.bearer.${encodeURIComponent(client.token)}`]
  return socketFrames(url, { protocols, signal, pingMs, silenceMs: 3 * pingMs, capacity: 10_000 })
}
