import { AppError } from '@slipway/protocol/errors'
import { sockets, streamRun, type RunEvent } from '@slipway/protocol/events'
import { RunId } from '@slipway/protocol/runs'
import { z } from 'zod'
import type { Identity } from '#http/authenticate'
import { handle, type Handler } from '#http/handler'
import { eventStream, type StreamMessage } from '#http/reply'
import { socketRoute, type ClosingReason, type Socket, type SocketRoute } from '#http/sockets'
import type { EventLog } from './events.ts'

/** A run as somebody asks for it. */
export interface RunAsked {
  readonly by: Identity
  readonly runId: RunId
}

/** What the event routes need to know about runs; another organisation's are none. */
export interface RunDirectory {
  exists(run: RunAsked): Promise<boolean>
  /** Whether the run's last event is written. */
  isOver(run: RunAsked): Promise<boolean>
}

const after = z.coerce.number().int().min(0).optional()

export function eventRoutes(log: EventLog, runs: RunDirectory): Handler[] {
  return [
    handle(streamRun, async ({ params, query, headers, identity, signal }) => {
      const run: RunAsked = { by: identity, runId: params.id }
      if (!(await runs.exists(run))) throw new AppError('run.unknown', `There is no run ${params.id}.`)
      const seen = query.after ?? lastEventId(headers['last-event-id'])
      return eventStream(messages(followRun(log, runs, { run, after: seen, signal })))
    }),
  ]
}

export function eventSockets(log: EventLog, runs: RunDirectory): SocketRoute[] {
  return [
    socketRoute({
      ...sockets.run,
      params: z.object({ id: RunId }),
      query: z.object({ after }),
      open: async (socket, { params, query, identity, signal }) => {
        const run: RunAsked = { by: identity, runId: params.id }
        if (!(await runs.exists(run))) return 'unknown_run'
        const seen = query.after ?? 0
        await socket.send({ event: 'connected', run_id: params.id, after: seen })
        return sendAll(socket, followRun(log, runs, { run, after: seen, signal }))
      },
    }),
    socketRoute({
      ...sockets.all,
      params: z.object({}),
      query: z.object({ after }),
      open: async (socket, { query, identity, signal }) => {
        const seen = query.after ?? (await log.lastId())
        await socket.send({ event: 'connected', run_id: null, after: seen })
        return sendAll(socket, log.follow({ organisation: identity.organisation, runId: null, after: seen, signal }))
      },
    }),
  ]
}

function followRun(
  log: EventLog,
  runs: RunDirectory,
  { run, after: seen, signal }: { readonly run: RunAsked; readonly after: number; readonly signal: AbortSignal },
): AsyncGenerator<RunEvent> {
  const { organisation } = run.by
  return log.followRun({ organisation, runId: run.runId, after: seen, signal }, () => runs.isOver(run))
}

async function sendAll(socket: Socket, events: AsyncIterable<RunEvent>): Promise<ClosingReason> {
  for await (const event of events) await socket.send(event)
  return 'finished'
}

async function* messages(events: AsyncIterable<RunEvent>): AsyncGenerator<StreamMessage> {
  for await (const event of events) yield { id: event.seq, event: event.event, data: event }
  yield { event: 'closing', data: { event: 'closing', reason: 'finished' } }
}

function lastEventId(header: string | string[] | undefined): number {
  const number = typeof header === 'string' ? Number(header) : 0
  return Number.isSafeInteger(number) && number >= 0 ? number : 0
}
