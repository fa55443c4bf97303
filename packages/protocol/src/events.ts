import { z } from 'zod'
import { route } from './route.ts'
import { RunId } from './runs.ts'
import type { Access } from './scopes.ts'

/** The names under which a run speaks of itself, as clients of the older servers know them. */
export const eventNames = [
  'run:queued',
  'run:started',
  'run:completed',
  'run:failed',
  'run:recovered',
  'run:forked',
  'run:imported',
  'node:statuses',
  'cycle:started',
  'cycle:completed',
  'inference:started',
  'inference:completed',
  'inference:pending',
  'inference:skipped',
  'inference:failed',
  'inference:error',
  'loop:progress',
  'execution:progress',
  'execution:paused',
  'execution:resumed',
  'execution:stopped',
  'execution:waiting',
  'execution:stalled',
  'execution:stepping',
  'execution:run_to',
  'execution:partial_reset',
  'execution:restored',
  'breakpoint:hit',
  'breakpoint:set',
  'breakpoint:cleared',
  'breakpoints:cleared_all',
  'value:overridden',
  'function:modified',
  'command:refused',
  'llm:call_started',
  'llm:call_completed',
  'llm:call_failed',
  'tool:call_started',
  'tool:call_completed',
  'tool:call_failed',
  'file:changed',
  'user_input:request',
  'user_input:completed',
  'user_input:cancelled',
  'user_input:expired',
  'chat:message',
  'canvas:command',
  'plan:deployed',
  'plan:deleted',
] as const
export type EventName = (typeof eventNames)[number]

/**
 * One event, flat as on the wire. `seq` numbers the events of one run from 1 without a gap; `id` numbers all events of
 * the server in the order in which they were committed, so that those of one organisation have gaps between them.
 */
export const RunEvent = z.looseObject({
  event: z.enum(eventNames),
  id: z.number().int(),
  seq: z.number().int(),
  run_id: RunId.nullable(),
  /** Milliseconds since 1970. */
  ts: z.number(),
})
export type RunEvent = z.infer<typeof RunEvent>

/** The first frame of a socket, before any event. */
export const Connected = z.object({
  event: z.literal('connected'),
  run_id: RunId.nullable(),
  /** The number after which events follow. */
  after: z.number().int(),
})

/** The last frame before the server closes a stream by itself. */
export const Closing = z.object({
  event: z.literal('closing'),
  reason: z.enum(['finished', 'slow_reader', 'server_stopping', 'unknown_run', 'unknown_job', 'unauthorized']),
})

/**
 * Sockets are not HTTP routes, so they stand here. A text frame `ping` is answered with `pong`, except on the bus, which
 * has frames of its own and asks for a scope with each of them.
 */
export const sockets = {
  run: { path: '/ws/runs/:id', scope: 'read:jobs' },
  all: { path: '/ws/events', scope: 'read:jobs' },
  job: { path: '/v1/stream/:id', scope: 'read:jobs' },
  bus: { path: '/bus', scope: 'any' },
} as const satisfies Readonly<Record<string, { readonly path: string; readonly scope: Access }>>

export const streamRun = route({
  method: 'GET',
  path: '/api/runs/:id/stream',
  scope: 'read:jobs',
  summary: 'The events of a run as Server-Sent Events; `Last-Event-ID` or `?after=n` continues behind a number.',
  tag: 'events',
  params: z.object({ id: RunId }),
  query: z.object({ after: z.coerce.number().int().min(0).optional() }),
  reply: z.unknown(),
  replyMedia: 'event-stream',
  errors: ['run.unknown'],
})
