import type { StreamFrame } from '@slipway/protocol/jobs'
import { isoTime } from './queue-view.ts'

/** The frames, with a heartbeat whenever there was none for this long. */
export async function* withHeartbeats<End>(
  frames: AsyncGenerator<StreamFrame, End>,
  { everyMs, now }: { readonly everyMs: number; readonly now: () => number },
): AsyncGenerator<StreamFrame, End> {
  try {
    let next = frames.next()
    for (;;) {
      const came = await within(next, everyMs)
      if (came === null) {
        yield { type: 'heartbeat', ts: isoTime(now()), payload: {} }
        continue
      }
      if (came.done === true) return came.value
      next = frames.next()
      // Whoever leaves meanwhile does not wait for it.
      next.catch(() => undefined)
      yield came.value
    }
  } finally {
    void frames.return(undefined as End).catch(() => undefined)
  }
}

/** What the promise gives, or null when that takes too long. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  try {
    return await Promise.race([
      promise,
      new Promise<null>(resolve => {
        timer = setTimeout(() => resolve(null), ms)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}
