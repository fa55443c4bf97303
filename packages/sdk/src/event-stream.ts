import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { Closing, Connected, RunEvent, sockets } from '@slipway/protocol/events'
import type { Client } from './client.ts'
import { socketFrames, type SocketEnd } from './socket-frames.ts'

export interface FollowOptions {
  /** Events behind this number: a run's `seq`, or the `id` for all runs. Of a run everything from its start, otherwise only what is new. */
  readonly after?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Told whenever the connection is there, or is lost and tried again. */
  readonly onConnection?: ((state: ConnectionState) => void) | undefined
  /** Failed attempts in a row after which the stream ends with `server.unreachable`; never by default. */
  readonly maxAttempts?: number | undefined
  /** First wait between attempts in milliseconds; it doubles up to 10 s. */
  readonly firstDelayMs?: number | undefined
}

export type ConnectionState =
  | { readonly type: 'connected'; readonly after: number }
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly delayMs: number; readonly reason: string }

/**
 * The events of one run, each once and in order of `seq`, through lost connections and restarts of the server. It waits
 * while the run is paused or waits for people, and ends once the run is over and its last event was given: a run that
 * went on after its end has several of `run:completed` and `run:failed`. Rejects with `run.unknown`, `auth.required` and
 * whatever else no further attempt can mend; with the signal's reason when that aborts.
 */
export function followRun(client: Client, runId: string, options: FollowOptions = {}): AsyncGenerator<RunEvent> {
  return follow(client, {
    ...options,
    path: sockets.run.path.replace(':id', encodeURIComponent(runId)),
    after: options.after ?? 0,
    numberOf: event => event.seq,
    probe: signal => client.run(runId, { signal }),
  })
}

/** The events of all runs and plans, in order of `id`, until the signal aborts. */
export function followAll(client: Client, options: FollowOptions = {}): AsyncGenerator<RunEvent> {
  return follow(client, {
    ...options,
    path: sockets.all.path,
    numberOf: event => event.id,
    probe: signal => client.runs({ limit: 1, signal }),
  })
}

type ClosingReason = ReturnType<typeof Closing.parse>['reason']

interface Followed extends FollowOptions {
  readonly path: string
  readonly numberOf: (event: RunEvent) => number
  /** The same thing over HTTP, whose error says why a socket was refused: browsers hide that. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
}

const ceilingMs = 10_000

/** Where a reader is, kept from one connection to the next. */
interface Position {
  after: number | undefined
  /** Failed attempts since the server was last heard. */
  attempt: number
}

async function* follow(client: Client, options: Followed): AsyncGenerator<RunEvent> {
  const signal = options.signal ?? new AbortController().signal
  const position: Position = { after: options.after, attempt: 0 }
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

/** The events of one connection. Only the server knows which end of a run is its last, and says so with `finished`. */
async function* oneConnection(
  client: Client,
  options: Followed,
  { position, signal }: { readonly position: Position; readonly signal: AbortSignal },
): AsyncGenerator<RunEvent, ConnectionEnd> {
  const frames = openSocket(client, { path: options.path, after: position.after, signal })
  let closing: ClosingReason | undefined
  try {
    for (let next = await frames.next(); ; next = await frames.next()) {
      if (next.done) return { ...next.value, closing }
      const frame = readFrame(next.value)
      if (frame.type === 'unreadable') continue
      position.attempt = 0
      if (frame.type === 'closing') {
        closing = frame.reason
        if (closing === 'finished') return { opened: true, reason: closing, closing }
      } else if (frame.type === 'connected') {
        position.after ??= frame.after
        options.onConnection?.({ type: 'connected', after: position.after })
      } else if (options.numberOf(frame.event) > (position.after ?? 0)) {
        // Counted before it is handed on: whoever reads on has taken it.
        position.after = options.numberOf(frame.event)
        yield frame.event
      }
    }
  } finally {
    await frames.return({ opened: true, reason: 'left' })
  }
}

/** Rejects when the server says that no further attempt will help. */
async function refuseWhatStays(
  options: Followed,
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
  if (closing === 'unknown_run') throw new AppError('run.unknown', 'The server has no such run.')
}

async function backOff(
  options: Followed,
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

function openSocket(
  client: Client,
  { path, after, signal }: { path: string; after: number | undefined; signal: AbortSignal },
): AsyncGenerator<string, SocketEnd, void> {
  const url = `${client.url.replace(/^http/, 'ws')}${path}${after === undefined ? '' : `?after=${after}`}`
  // Sockets of browsers carry no headers of their own, so the token travels as the name of a subprotocol.
  const protocols = client.token === undefined ? [] : [`slipway.bearer.${encodeURIComponent(client.token)}`]
  return socketFrames(url, { protocols, signal, pingMs: 15_000, silenceMs: 45_000, capacity: 10_000 })
}

type Frame =
  | { readonly type: 'connected'; readonly after: number }
  | { readonly type: 'closing'; readonly reason: ClosingReason }
  | { readonly type: 'event'; readonly event: RunEvent }
  | { readonly type: 'unreadable' }

/** Frames that this version does not know are passed over: a newer server may say more. */
function readFrame(text: string): Frame {
  let json: unknown
  try {
    json = parseJson(text)
  } catch {
    return { type: 'unreadable' }
  }
  const event = RunEvent.safeParse(json)
  if (event.success) return { type: 'event', event: event.data }
  const connected = Connected.safeParse(json)
  if (connected.success) return { type: 'connected', after: connected.data.after }
  const closing = Closing.safeParse(json)
  return closing.success ? { type: 'closing', reason: closing.data.reason } : { type: 'unreadable' }
}
