import type { JobView } from '@slipway/protocol/bus/jobs'
import type { StreamFrame } from '@slipway/protocol/jobs'
import type { Spine } from '#features/spine/spine'
import { contentOf } from './content.ts'
import type { Frames } from './job-kind.ts'
import { isoTime, jobOf, logOf } from './queue-view.ts'
import { Wakes } from './wakes.ts'

type Delivery = Spine['messages']['followJob'] extends (options: never) => AsyncGenerator<infer Item> ? Item : never
type Message = Extract<Delivery, { type: 'message' }>['message']

export interface FollowQueueJob {
  readonly organisation: string
  readonly jobId: string
  readonly after: string
  readonly signal: AbortSignal
}

/** How far the reader is. */
interface Position {
  pieces: number
  lines: number
}

/**
 * What happens to a job: its status, lines of its log and pieces of its stream as they come, and at last its result or
 * error. Lines and pieces have numbers of their own; a frame says both, so that whoever goes on behind it misses none.
 */
export async function* queueFrames(spine: Spine, { organisation, jobId, after, signal }: FollowQueueJob): Frames {
  const [pieces = 0, lines = 0] = after.split('.').map(Number)
  const position: Position = { pieces, lines }
  const left = new AbortController()
  const both = AbortSignal.any([signal, left.signal])
  using wakes = new Wakes(both)
  using _watch = spine.jobs.watchJob(jobId, () => wakes.tell())
  const deliveries = spine.messages.followJob({ organisation, jobId, after: pieces, signal: both })
  const status = new StatusNews(spine, { organisation, jobId })
  try {
    yield* status.frames()
    let next = deliveries.next()
    for (let mustLook = true; ;) {
      if (mustLook) {
        yield* newLines(spine, { organisation, jobId, position })
        yield* status.frames()
      }
      const came = await Promise.race([next, wakes.next()])
      if (both.aborted) return 'finished'
      mustLook = came === 'look'
      if (came === 'look') continue
      if (came.done === true) return yield* lastFrames(spine, { organisation, jobId, position }, null)
      if (came.value.type === 'cut') return 'slow_reader'
      const { message } = came.value
      if (message.type === 'job_result') {
        yield* status.frames()
        return yield* lastFrames(spine, { organisation, jobId, position }, message)
      }
      position.pieces = message.n ?? position.pieces
      yield pieceFrame(message, position)
      next = deliveries.next()
      next.catch(() => undefined)
    }
  } finally {
    left.abort()
  }
}

interface Reading {
  readonly organisation: string
  readonly jobId: string
  readonly position: Position
}

async function* newLines(
  spine: Spine,
  { organisation, jobId, position }: Reading,
): AsyncGenerator<StreamFrame, undefined> {
  for (;;) {
    const lines = await spine.jobs.logs(organisation, jobId, position.lines)
    if (lines.length === 0) return undefined
    for (const line of lines) {
      position.lines = line.n
      const { ts, ...payload } = logOf(line)
      yield { type: 'log', ts, n: textOf(position), payload: { kind: 'line', ...payload } }
    }
  }
}

async function* lastFrames(spine: Spine, reading: Reading, result: Message | null): Frames {
  yield* newLines(spine, reading)
  const job = jobOf(await spine.jobs.get(reading.organisation, reading.jobId))
  const { jobId, status, error, updatedAt } = job
  const ts = result?.ts ?? job.finishedAt ?? updatedAt
  if (status === 'succeeded')
    yield { type: 'result', ts, payload: { jobId, status, ...(result === null ? {} : contentOf(result)) } }
  else yield { type: 'error', ts, payload: { ended: true, jobId, status, ...error } }
  return 'finished'
}

function pieceFrame(message: Message, position: Position): StreamFrame {
  const { type: kind, ts } = message
  return { type: 'log', ts, n: textOf(position), payload: { kind, piece: message.n, ...contentOf(message) } }
}

function textOf({ pieces, lines }: Position): string {
  return `${pieces}.${lines}`
}

/** The status of a job whenever it is another one than before. */
class StatusNews {
  readonly #spine: Spine
  readonly #job: { readonly organisation: string; readonly jobId: string }
  #told = ''

  constructor(spine: Spine, job: { readonly organisation: string; readonly jobId: string }) {
    this.#spine = spine
    this.#job = job
  }

  *#changes(view: JobView): Generator<StreamFrame, undefined> {
    const payload = jobOf(view)
    const text = JSON.stringify(payload)
    if (text === this.#told) return undefined
    this.#told = text
    yield { type: 'status', ts: isoTime(Date.parse(payload.updatedAt)), payload }
    return undefined
  }

  async *frames(): AsyncGenerator<StreamFrame, undefined> {
    const { organisation, jobId } = this.#job
    yield* this.#changes(await this.#spine.jobs.get(organisation, jobId))
    return undefined
  }
}
