import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { Closing, Connected, RunEvent, sockets } from '@slipway/protocol/events'
import type { Client } from './client.ts'
import { resumed, type Frame, type ResumeOptions } from './resumable.ts'

export interface FollowOptions extends ResumeOptions {
  /** Events behind this number: a run's `seq`, or the `id` for all runs. Of a run everything from its start, otherwise only what is new. */
  readonly after?: number | undefined
  /** Told whenever the connection is there, or is lost and tried again. */
  readonly onConnection?: ((state: ConnectionState) => void) | undefined
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

interface Followed extends FollowOptions {
  readonly path: string
  readonly numberOf: (event: RunEvent) => number
  /** The same thing over HTTP, whose error says why a socket was refused: browsers hide that. */
  readonly probe: (signal: AbortSignal) => Promise<unknown>
}

function follow(client: Client, { numberOf, ...options }: Followed): AsyncGenerator<RunEvent> {
  return resumed<RunEvent, number>(client, {
    ...options,
    after: options.after,
    readFrame: text => readFrame(text, numberOf),
    isOld: (event, after) => numberOf(event) <= (after ?? 0),
    unknown: () => new AppError('run.unknown', 'The server has no such run.'),
  })
}

/** Frames that this version does not know are passed over: a newer server may say more. */
function readFrame(text: string, numberOf: Followed['numberOf']): Frame<RunEvent, number> {
  let json: unknown
  try {
    json = parseJson(text)
  } catch {
    return { type: 'unreadable' }
  }
  const event = RunEvent.safeParse(json)
  if (event.success) return { type: 'item', item: event.data, place: numberOf(event.data) }
  const connected = Connected.safeParse(json)
  if (connected.success) return { type: 'connected', place: connected.data.after }
  const closing = Closing.safeParse(json)
  return closing.success ? { type: 'closing', reason: closing.data.reason } : { type: 'unreadable' }
}
