import { fromWireNumber, type ClientBody, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import type {
  Heartbeat,
  HeartbeatReply,
  JobFailure,
  JobQueue,
  JobResult,
  LeasedJob,
  NackReply,
  Spine,
  StreamPieces,
} from '#features/spine/spine'
import type { Held } from './job-frames.ts'

type LeaseFrame = Extract<ClientBody, { readonly case: 'lease' }>['value']
type LeaseRef = Parameters<JobQueue['ack']>[0]

export interface OwnOperatorOptions {
  readonly spine: Spine
  /** Gets a job to the client; rejects where it may not have got there. */
  readonly hand: (operator: string, job: LeasedJob) => Promise<void>
  /** Ends requests that wait. */
  readonly signal: AbortSignal
}

/**
 * An operator of the server itself on another machine. It registers nothing and asks for jobs when it wants some, of all
 * organisations where it likes; nobody drains it or puts it into quarantine.
 */
export class OwnOperator {
  readonly #options: OwnOperatorOptions

  constructor(options: OwnOperatorOptions) {
    this.#options = options
  }

  async lease(asked: LeaseFrame): Promise<ServerBodyInit> {
    const { spine, hand, signal } = this.#options
    const { operator, topics, schemas, max, organisation, slots, leaseMs, waitMs } = asked
    const jobs = await spine.jobs.lease({
      operator,
      topics,
      organisation: organisation === '' ? null : organisation,
      max,
      ...(schemas.length > 0 && { schemas }),
      ...(slots !== undefined && { slots }),
      ...(leaseMs !== undefined && { leaseMs: fromWireNumber(leaseMs) }),
      waitMs: fromWireNumber(waitMs),
      signal,
    })
    const outcomes = await Promise.allSettled(jobs.map(job => hand(operator, job)))
    const handed = jobs.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    const rest = jobs.filter((_, index) => outcomes[index]?.status !== 'fulfilled')
    await Promise.all(rest.map(({ id, fence }) => this.giveBack({ jobId: id, fence })))
    const [failure] = outcomes.filter(({ status }) => status === 'rejected')
    if (handed.length === 0 && failure?.status === 'rejected')
      throw new AppError('server.unreachable', 'The broker did not take the jobs.', { cause: failure.reason })
    return { case: 'leased', value: { jobs: handed.map(({ id, fence }) => ({ jobId: id, fence: BigInt(fence) })) } }
  }

  ack(held: Held, result: JobResult): Promise<void> {
    return this.#options.spine.jobs.ack(refOf(held), result)
  }

  nack(held: Held, failure: JobFailure): Promise<NackReply> {
    return this.#options.spine.jobs.nack(refOf(held), failure)
  }

  giveBack(held: Held): Promise<void> {
    return this.#options.spine.jobs.giveBack(refOf(held))
  }

  async heartbeat(beat: (Held & Heartbeat) | null): Promise<HeartbeatReply | null> {
    if (beat === null) return null
    const { leaseMs, progress, lines } = beat
    return this.#options.spine.jobs.heartbeat(refOf(beat), { leaseMs, progress, lines })
  }

  append(held: Held, pieces: StreamPieces): Promise<number> {
    return this.#options.spine.jobs.append(refOf(held), pieces)
  }
}

function refOf({ jobId, fence, organisation }: Held): LeaseRef {
  return { jobId, fence, organisation: organisation ?? null }
}
