import type { ClientBodyInit, ServerBody } from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import type { ServerBodyOf } from './bus-connection.ts'
import { bytesOf, failureOf, type JobContext, type Work } from './operator-job.ts'

export type JobFrame = ServerBodyOf<'job'>

type Tell = <Case extends ServerBody['case']>(body: ClientBodyInit, expected: Case) => Promise<ServerBodyOf<Case>>

const keptLines = 100
const longestLine = 4_000

/** A job under work. What it says arrives, however often the connection is made anew, as long as its lease holds. */
export class RunningJob {
  /** Resolves once the server knows how it ended, or it is no longer this operator's. */
  readonly done: Promise<void>
  readonly #frame: JobFrame
  readonly #tell: Tell
  readonly #work: Work
  readonly #stop = new AbortController()
  #progress: string | null = null
  #lines: string[] = []
  #streamN: number
  /** Pieces go one after the other. */
  #stream: Promise<void> = Promise.resolve()
  #isOver = false
  #beating: Promise<void> | null = null

  constructor(frame: JobFrame, work: Work, tell: Tell) {
    this.#frame = frame
    this.#work = work
    this.#tell = tell
    this.#streamN = Number(frame.streamN)
    this.done = this.#run()
  }

  cancel(reason: string): void {
    this.#stop.abort(new AppError('cancelled', reason || 'The job was cancelled.'))
  }

  /** Keeps the lease, with what the handler said since. */
  beat(): Promise<void> {
    // One that still waits for its answer holds for the next time too.
    this.#beating ??= this.#beatOnce().finally(() => {
      this.#beating = null
    })
    return this.#beating
  }

  async #beatOnce(): Promise<void> {
    if (this.#isOver) return
    const lines = this.#lines.splice(0, keptLines)
    const progress = this.#progress
    this.#progress = null
    try {
      const value = { ...this.#ref, lines, ...(progress !== null && { progress }) }
      const { cancelAt, reason } = await this.#tell({ case: 'heartbeat', value }, 'heartbeatReply')
      if (cancelAt !== undefined) this.cancel(reason)
    } catch (error) {
      this.cancel(error instanceof Error ? error.message : String(error))
    }
  }

  async #run(): Promise<void> {
    try {
      const payload = await this.#work.run(this.#context())
      await this.#stream
      await this.#flush()
      await this.#answer({ case: 'ack', value: { ...this.#ref, schema: this.#work.resultSchema, payload } }, 'accepted')
    } catch (error) {
      await this.#flush()
      const { reason, retryable } = failureOf(error)
      await this.#answer({ case: 'nack', value: { ...this.#ref, reason, retryable } }, 'nackReply')
    } finally {
      this.#isOver = true
    }
  }

  /** What was said last is not to be lost with the end. */
  async #flush(): Promise<void> {
    if (this.#lines.length > 0 || this.#progress !== null) await this.beat()
  }

  async #answer(body: ClientBodyInit, expected: 'accepted' | 'nackReply'): Promise<void> {
    try {
      await this.#tell(body, expected)
    } catch (error) {
      // Somebody else has it now, or the answer arrived before the connection broke.
      if (error instanceof AppError && (error.code === 'lease.lost' || error.code === 'cancelled')) return
      if (body.case === 'ack') throw error
    }
  }

  #context(): JobContext {
    const { id, topic, schema, attempt, maxAttempts, deadlineAt, trace, payload } = this.#frame
    return {
      id,
      topic,
      schema,
      attempt,
      maxAttempts,
      deadlineAt: deadlineAt === undefined ? null : Number(deadlineAt),
      trace,
      payload,
      signal: this.#stop.signal,
      progress: value => {
        this.#progress = (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, longestLine)
      },
      log: line => {
        this.#lines.push(line.slice(0, longestLine))
        if (this.#lines.length > keptLines) this.#lines.shift()
      },
      stream: piece => this.#append(bytesOf(piece)),
    }
  }

  #append(payload: Uint8Array): Promise<void> {
    const appended = this.#stream.then(async () => {
      this.#stop.signal.throwIfAborted()
      const value = { ...this.#ref, schema: this.#work.resultSchema, payloads: [payload], after: BigInt(this.#streamN) }
      const { n } = await this.#tell({ case: 'streamChunk', value }, 'streamAppended')
      this.#streamN = Number(n)
    })
    this.#stream = appended.catch(() => undefined)
    return appended
  }

  get #ref(): { readonly jobId: string; readonly fence: bigint } {
    return { jobId: this.#frame.id, fence: this.#frame.fence }
  }
}
