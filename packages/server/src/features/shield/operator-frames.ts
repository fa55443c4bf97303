import { sleep } from '@slipway/kit/abort'
import { fromWireNumber, serverFrameBytes, type ClientBody, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import { Registration } from '@slipway/protocol/bus/operators'
import { resultsOf, streamsOf } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import type { LinkEnd, OperatorLink, Operators, OperatorSession } from '#features/operators/operators'
import type { JobCarrier, LeasedJob, Spine } from '#features/spine/spine'
import { checkScope, type Identity } from '#http/authenticate'
import type { Logger } from '#observe/log'
import { jobNotCarried } from '#observe/shield-log'
import type { Gate } from './gate.ts'
import { heldOf, jobFrame } from './job-frames.ts'
import { OwnOperator } from './own-operator.ts'

type BodyOf<Case extends ClientBody['case']> = Extract<ClientBody, { readonly case: Case }>['value']

const operatorCases = ['register', 'ack', 'nack', 'giveBack', 'heartbeat', 'streamChunk', 'drain', 'lease'] as const

/** What operators send. */
export type OperatorBody = Extract<ClientBody, { readonly case: (typeof operatorCases)[number] }>

export interface OperatorFramesOptions {
  readonly operators: Operators
  readonly spine: Spine
  readonly gate: Gate
  readonly identity: Identity
  readonly log: Logger
  /** Takes jobs to the operator, where that is not done with all other frames. */
  readonly carrier: JobCarrier | undefined
  /** Aborts when the connection is over. */
  readonly signal: AbortSignal
  /** Sends a frame that is no reply. */
  readonly send: (body: ServerBodyInit) => void
  readonly onEnd: (reason: LinkEnd) => void
}

/** What is said of jobs, by whichever kind of operator. */
type Words = Pick<OwnOperator, 'ack' | 'nack' | 'giveBack' | 'heartbeat' | 'append'>

/** After what time a job that could not be carried may be handed out again. */
const laterMs = 1_000
/** Jobs that may be on their way to an operator of the server itself at a time. */
const mostOwnJobs = 1_000
const ownLeaseMs = 60_000

export function isOfOperator(body: ClientBody): body is OperatorBody {
  return (operatorCases as readonly string[]).includes(body.case)
}

/** The operator on one socket: its frames in the words of `features/operators`, and the other way round. */
export class OperatorFrames implements OperatorLink {
  readonly #options: OperatorFramesOptions
  readonly #topics = new Map<string, string>()
  readonly #own: OwnOperator
  /** Jobs on their way to whoever carries them. */
  readonly #carrying = new Set<Promise<void>>()
  #operatorId = ''
  #session: Promise<OperatorSession> | null = null
  /** Jobs that came before the client knows that it is registered. */
  #early: LeasedJob[] | null = []

  constructor(options: OperatorFramesOptions) {
    this.#options = options
    this.#own = new OwnOperator({ ...options, hand: (operator, job) => this.#hand(operator, job) })
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
        const { reason, retryable: isRetryable, waitMs } = body.value
        const failure = { reason, isRetryable, ...(waitMs !== undefined && { waitMs: Number(waitMs) }) }
        const { state, runAt } = await (await this.#words()).nack(heldOf(body.value), failure)
        this.#topics.delete(body.value.jobId)
        return { case: 'nackReply', value: { state, ...(runAt !== null && { runAt: BigInt(Math.round(runAt)) }) } }
      }
      case 'giveBack':
        await (await this.#words()).giveBack(heldOf(body.value))
        this.#topics.delete(body.value.jobId)
        return { case: 'accepted', value: {} }
      case 'lease':
        return this.#lease(body.value)
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
    if (this.#options.carrier === undefined) return this.#options.send(jobFrame(job))
    const carrying: Promise<void> = this.#carry(job).finally(() => this.#carrying.delete(carrying))
    this.#carrying.add(carrying)
  }

  cancelled(jobId: string, reason: string): void {
    this.#topics.delete(jobId)
    this.#options.send({ case: 'cancel', value: { jobId, reason } })
  }

  close(reason: LinkEnd): void {
    this.#options.onEnd(reason)
  }

  /** `left`: the client closed the connection; `lost`: it broke; `cut`: the server ended it. */
  async end(reason: Parameters<OperatorSession['close']>[0]): Promise<void> {
    const session = await this.#session?.catch(() => null)
    await session?.close(reason)
    await Promise.all(this.#carrying)
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
    const { operators, identity, carrier } = this.#options
    this.#operatorId = operatorId
    const connecting = operators.connect(identity, parsed.data, this)
    this.#session = connecting
    try {
      const { heartbeatMs, leaseMs } = await connecting
      await carrier?.open(operatorId, { maxJobs: parsed.data.maxParallelJobs ?? 1, leaseMs, isAnew: true })
      return { case: 'registered', value: { operatorId, heartbeatMs: BigInt(heartbeatMs), leaseMs: BigInt(leaseMs) } }
    } catch (error) {
      this.#session = null
      this.#early = []
      const session = await connecting.catch(() => null)
      await session?.close('left')
      throw error
    }
  }

  async #ack(asked: BodyOf<'ack'>): Promise<ServerBodyInit> {
    const words = await this.#words()
    const { schema, payload, jobId } = asked
    if (words !== this.#own)
      await this.#check(resultsOf(await this.#topicOf(jobId)), { type: 'job_result', schema, payload })
    await words.ack(heldOf(asked), { schema, payload })
    this.#topics.delete(jobId)
    return { case: 'accepted', value: {} }
  }

  async #heartbeat(asked: BodyOf<'heartbeat'>): Promise<ServerBodyInit> {
    const { jobId, progress, lines, leaseMs: asks } = asked
    const leaseMs = asks === undefined ? undefined : fromWireNumber(asks)
    const beat = jobId === '' ? null : { ...heldOf(asked), progress, lines, leaseMs }
    const reply = await (await this.#words()).heartbeat(beat)
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
    const words = await this.#words()
    const { schema, payloads, after, jobId } = asked
    if (words !== this.#own) {
      const topic = streamsOf(await this.#topicOf(jobId))
      for (const payload of payloads) await this.#check(topic, { type: 'stream_chunk', schema, payload })
    }
    const known = after === undefined ? undefined : fromWireNumber(after)
    const n = await words.append(heldOf(asked), { schema, payloads, after: known })
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
    const { spine, identity } = this.#options
    const { topic } = await spine.jobs.get(identity.organisation, jobId).catch((error: unknown) => {
      if (!(error instanceof AppError && error.code === 'job.unknown')) throw error
      throw new AppError('lease.lost', `There is no job ${jobId}, or it is no longer kept. Stop working on it.`)
    })
    return topic
  }

  async #open(): Promise<OperatorSession> {
    if (this.#session === null) throw new AppError('frame.invalid', 'There is no operator here. Send Register first.')
    return this.#session
  }

  async #words(): Promise<Words> {
    return this.#session === null && this.#options.identity.isOperator ? this.#own : this.#open()
  }

  async #lease(asked: BodyOf<'lease'>): Promise<ServerBodyInit> {
    const { identity, carrier } = this.#options
    checkScope(identity, 'operate:jobs')
    if (!identity.isOperator)
      throw new AppError(
        'auth.forbidden',
        'Only operators of the server itself lease. Register, and jobs are handed over.',
      )
    await carrier?.open(asked.operator, { maxJobs: mostOwnJobs, leaseMs: ownLeaseMs, isAnew: false })
    return this.#own.lease(asked)
  }

  async #hand(operator: string, job: LeasedJob): Promise<void> {
    const { carrier, send } = this.#options
    const frame = jobFrame(job)
    // What is too large to be carried goes with the other frames.
    if (!(await carrier?.carry(operator, job, serverFrameBytes(frame)))) send(frame)
  }

  /** A job that may never have got there is somebody's again, a little later. */
  async #carry(job: LeasedJob): Promise<void> {
    const { log, identity, signal } = this.#options
    const fields = { organisation: identity.organisation, operator: this.#operatorId, jobId: job.id }
    try {
      await this.#hand(this.#operatorId, job)
    } catch (error) {
      jobNotCarried(log, { ...fields, error })
      await sleep(laterMs, signal).catch(() => undefined)
      await this.#return(job).catch((again: unknown) => jobNotCarried(log, { ...fields, error: again }))
    }
  }

  async #return({ id, fence }: LeasedJob): Promise<void> {
    const { spine, identity } = this.#options
    const held = { jobId: id, fence }
    try {
      await (await this.#open()).giveBack(held)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      // The connection is over, but the job is still its operator's.
      if (error.code === 'operator.offline') await spine.jobs.giveBack({ ...held, organisation: identity.organisation })
      else if (error.code !== 'lease.lost') throw error
    }
  }
}
