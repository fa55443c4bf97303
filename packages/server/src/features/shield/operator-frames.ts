import { fromWireNumber, type ClientBody, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import { Registration } from '@slipway/protocol/bus/operators'
import { resultsOf, streamsOf } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import type { HeldRef, LinkEnd, OperatorLink, Operators, OperatorSession } from '#features/operators/operators'
import type { LeasedJob, Spine } from '#features/spine/spine'
import type { Identity } from '#http/authenticate'
import type { Gate } from './gate.ts'

type BodyOf<Case extends ClientBody['case']> = Extract<ClientBody, { readonly case: Case }>['value']

/** What operators send. */
export type OperatorBody = Extract<
  ClientBody,
  { readonly case: 'register' | 'ack' | 'nack' | 'heartbeat' | 'streamChunk' | 'drain' }
>

export interface OperatorFramesOptions {
  readonly operators: Operators
  readonly spine: Spine
  readonly gate: Gate
  readonly identity: Identity
  /** Sends a frame that is no reply. */
  readonly send: (body: ServerBodyInit) => void
  readonly onEnd: (reason: LinkEnd) => void
}

export function isOfOperator(body: ClientBody): body is OperatorBody {
  return ['register', 'ack', 'nack', 'heartbeat', 'streamChunk', 'drain'].includes(body.case)
}

/** The operator on one socket: its frames in the words of `features/operators`, and the other way round. */
export class OperatorFrames implements OperatorLink {
  readonly #options: OperatorFramesOptions
  readonly #topics = new Map<string, string>()
  #session: Promise<OperatorSession> | null = null
  /** Jobs that came before the client knows that it is registered. */
  #early: LeasedJob[] | null = []

  constructor(options: OperatorFramesOptions) {
    this.#options = options
  }

  /** Whether there is an operator on this socket. */
  get isOpen(): boolean {
    return this.#session !== null
  }

  /** Gives the reply; what follows of it comes behind that, with `replied`. */
  async handle(body: OperatorBody): Promise<ServerBodyInit> {
    switch (body.case) {
      case 'register':
        return this.#register(body.value)
      case 'ack':
        return this.#ack(body.value)
      case 'nack': {
        const { reason, retryable: isRetryable } = body.value
        const { state, runAt } = await (await this.#open()).nack(heldOf(body.value), { reason, isRetryable })
        this.#topics.delete(body.value.jobId)
        return { case: 'nackReply', value: { state, ...(runAt !== null && { runAt: BigInt(Math.round(runAt)) }) } }
      }
      case 'heartbeat':
        return this.#heartbeat(body.value)
      case 'streamChunk':
        return this.#append(body.value)
      case 'drain':
        await (await this.#open()).drain()
        return { case: 'accepted', value: {} }
    }
  }

  /** The reply to the registration is out: jobs may follow. */
  replied(): void {
    const early = this.#early ?? []
    this.#early = null
    for (const job of early) this.deliver(job)
  }

  deliver(job: LeasedJob): void {
    if (this.#early) return void this.#early.push(job)
    this.#topics.set(job.id, job.topic)
    this.#options.send({ case: 'job', value: wireJob(job) })
  }

  cancelled(jobId: string, reason: string): void {
    this.#topics.delete(jobId)
    this.#options.send({ case: 'cancel', value: { jobId, reason } })
  }

  close(reason: LinkEnd): void {
    this.#options.onEnd(reason)
  }

  /** `left`: the client closed the connection; `lost`: it broke. */
  async end(reason: 'left' | 'lost'): Promise<void> {
    const session = await this.#session?.catch(() => null)
    await session?.close(reason)
  }

  async #register(asked: BodyOf<'register'>): Promise<ServerBodyInit> {
    if (this.#session) throw new AppError('frame.invalid', 'There is an operator on this connection. Open another one.')
    const { operatorId, operatorType, topics, supportedSchemas, maxParallelJobs, hardwareProfile, version } = asked
    const parsed = Registration.safeParse({
      operatorId,
      operatorType,
      topics,
      supportedSchemas,
      ...(maxParallelJobs > 0 && { maxParallelJobs }),
      ...(hardwareProfile !== '' && { hardwareProfile }),
      ...(version !== '' && { version }),
    })
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new AppError('input.invalid', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid.'}`)
    }
    const { operators, identity } = this.#options
    this.#session = operators.connect(identity, parsed.data, this)
    try {
      const { heartbeatMs, leaseMs } = await this.#session
      return { case: 'registered', value: { operatorId, heartbeatMs: BigInt(heartbeatMs), leaseMs: BigInt(leaseMs) } }
    } catch (error) {
      this.#session = null
      throw error
    }
  }

  async #ack(asked: BodyOf<'ack'>): Promise<ServerBodyInit> {
    const session = await this.#open()
    const { schema, payload, jobId } = asked
    await this.#check(resultsOf(await this.#topicOf(jobId)), { type: 'job_result', schema, payload })
    await session.ack(heldOf(asked), { schema, payload })
    this.#topics.delete(jobId)
    return { case: 'accepted', value: {} }
  }

  async #heartbeat(asked: BodyOf<'heartbeat'>): Promise<ServerBodyInit> {
    const session = await this.#open()
    const { jobId, progress, lines } = asked
    const reply = await session.heartbeat(jobId === '' ? null : { ...heldOf(asked), progress, lines })
    if (reply === null) return { case: 'heartbeatReply', value: {} }
    const { leasedUntil, cancelAt, reason } = reply
    return {
      case: 'heartbeatReply',
      value: {
        leasedUntil: BigInt(Math.round(leasedUntil)),
        ...(cancelAt !== null && { cancelAt: BigInt(Math.round(cancelAt)), reason: reason ?? '' }),
      },
    }
  }

  async #append(asked: BodyOf<'streamChunk'>): Promise<ServerBodyInit> {
    const session = await this.#open()
    const { schema, payloads, after, jobId } = asked
    const topic = streamsOf(await this.#topicOf(jobId))
    for (const payload of payloads) await this.#check(topic, { type: 'stream_chunk', schema, payload })
    const known = after === undefined ? undefined : fromWireNumber(after)
    const n = await session.append(heldOf(asked), { schema, payloads, after: known })
    return { case: 'streamAppended', value: { n: BigInt(n) } }
  }

  #check(
    topic: string,
    message: { readonly type: 'job_result' | 'stream_chunk'; readonly schema: string; readonly payload: Uint8Array },
  ): Promise<void> {
    return this.#options.gate.check({ by: this.#options.identity, topic, trace: undefined, ...message })
  }

  async #topicOf(jobId: string): Promise<string> {
    const known = this.#topics.get(jobId)
    if (known !== undefined) return known
    const { topic } = await this.#options.spine.jobs.get(this.#options.identity.organisation, jobId)
    return topic
  }

  async #open(): Promise<OperatorSession> {
    if (this.#session === null) throw new AppError('frame.invalid', 'There is no operator here. Send Register first.')
    return this.#session
  }
}

function heldOf({ jobId, fence }: { readonly jobId: string; readonly fence: bigint }): HeldRef {
  return { jobId, fence: fromWireNumber(fence) }
}

function wireJob(job: LeasedJob): Extract<ServerBodyInit, { readonly case: 'job' }>['value'] {
  const { id, topic, schema, payload, attempt, maxAttempts, priority, orderingKey, deadlineAt, trace } = job
  return {
    id,
    fence: BigInt(job.fence),
    topic,
    schema,
    payload,
    attempt,
    maxAttempts,
    leasedUntil: BigInt(Math.round(job.leasedUntil)),
    priority,
    orderingKey: orderingKey ?? '',
    trace: trace ?? {},
    streamN: BigInt(job.streamN),
    ...(deadlineAt !== null && { deadlineAt: BigInt(Math.round(deadlineAt)) }),
  }
}
