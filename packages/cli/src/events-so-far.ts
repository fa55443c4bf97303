import type { RunEvent } from '@slipway/protocol/events'
import { followRun } from '@slipway/sdk/event-stream'
import type { Session } from './session.ts'

/** How long an unfinished run's log may be silent before everything there counts as read. */
const quietMs = 500

export interface EventReading {
  /** Whether to go on until the run is over. */
  readonly follow: boolean
}

/** The events of a run: those that there are, or all until it is over. */
export async function* runEvents(
  { client, signal }: Session,
  id: string,
  { follow }: EventReading,
): AsyncGenerator<RunEvent> {
  const run = await client.run(id, { signal })
  const endsByItself = follow || run.status === 'completed' || run.status === 'failed'
  const done = new AbortController()
  const events = followRun(client, id, { signal: AbortSignal.any([signal, done.signal]), maxAttempts: 8 })
  try {
    for (;;) {
      const next = await (endsByItself ? events.next() : nextWithin(events, quietMs))
      if (next === 'quiet' || next.done) return
      yield next.value
    }
  } finally {
    // A read that is still under way holds the connection, and with it the process.
    done.abort(new DOMException('Read', 'AbortError'))
  }
}

export function eventsSoFar(session: Session, id: string): Promise<RunEvent[]> {
  return Array.fromAsync(runEvents(session, id, { follow: false }))
}

async function nextWithin(events: AsyncGenerator<RunEvent>, ms: number): Promise<IteratorResult<RunEvent> | 'quiet'> {
  const quiet = Promise.withResolvers<'quiet'>()
  const timer = setTimeout(() => quiet.resolve('quiet'), ms)
  try {
    return await Promise.race([events.next(), quiet.promise])
  } finally {
    clearTimeout(timer)
  }
}
