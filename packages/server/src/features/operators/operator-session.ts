import { randomUUID } from 'node:crypto'
import { sleep } from '@slipway/kit/abort'
import type { CheckedRegistration } from '@slipway/protocol/bus/operators'
import { AppError } from '@slipway/protocol/errors'
import type { OperatorStage } from '@slipway/protocol/operators'
import type { Database } from '#db/database'
import type {
  Heartbeat,
  HeartbeatReply,
  JobFailure,
  JobQueue,
  JobResult,
  LeasedJob,
  NackReply,
  StreamPieces,
} from '#features/spine/spine'
import type { Logger } from '#observe/log'
import { operatorFailed, operatorGone } from '#observe/operators-log'
import { isAtLeast, type OperatorRegistry } from './operator-registry.ts'
import { findOperator, type OperatorKey } from './operator-store.ts'

/** Why the server ends a connection. */
export type LinkEnd = 'replaced' | 'drained' | 'stale' | 'deleted' | 'stopping'

/** The way to an operator. What is told here is not waited for. */
export interface OperatorLink {
  deliver(job: LeasedJob): void
  /** The work is to end: its job was cancelled, or is no longer this operator's. */
  cancelled(jobId: string, reason: string): void
  /** Nothing further comes, and nothing is taken any more. */
  close(reason: LinkEnd): void
}

/** A job under the lease that it was delivered with. */
export interface HeldRef {
  readonly jobId: string
  readonly fence: number
}

/** A job that is still worked on; also one of an earlier connection, which goes on here then. */
export type Beat = HeldRef & Pick<Heartbeat, 'progress' | 'lines'>

/**
 * One connection of an operator. Everything that is said of a job carries the lease's number, and throws `lease.lost`
 * where that is over.
 */
export interface OperatorSession {
  readonly operatorId: string
  /** How long a job stays the operator's without a heartbeat of it. */
  readonly leaseMs: number
  /** How often an operator is to be heard of. */
  readonly heartbeatMs: number
  /** Throws `payload.invalid` for a result that its schema refuses; the job is still the operator's then. */
  ack(held: HeldRef, result: JobResult): Promise<void>
  nack(held: HeldRef, failure: JobFailure): Promise<NackReply>
  /** Back to the queue untouched: the hand-out does not count. */
  giveBack(held: HeldRef): Promise<void>
  /** The operator lives, and keeps the lease of this job; null for the operator alone. */
  heartbeat(beat: Beat | null): Promise<HeartbeatReply | null>
  /** Gives the number of the stream's newest piece. */
  append(held: HeldRef, pieces: StreamPieces): Promise<number>
  /** No further job; the link is closed with `drained` when the last one has ended. */
  drain(): Promise<void>
  /**
   * `left`: the operator goes, and what it has goes back to the queue at once. `lost`: the connection broke, and the
   * operator may come back and go on. `cut`: the same, and no fault of the operator's.
   */
  close(reason: 'left' | 'lost' | 'cut'): Promise<void>
}

export interface SessionDeps {
  readonly db: Database
  readonly jobs: JobQueue
  readonly registry: OperatorRegistry
  readonly log: Logger
  readonly now: () => number
  readonly leaseMs: number
  readonly heartbeatMs: number
  readonly leastStage: OperatorStage
}

export interface SessionOptions {
  readonly id: string
  readonly key: OperatorKey
  readonly registration: CheckedRegistration
  readonly link: OperatorLink
  /**
   * Lives in the servers themselves: each of them has a connection of this id at the same time, and failures are its
   * breaker's to mind.
   */
  readonly isOurs: boolean
  /** Registers it once more. */
  readonly enter: () => Promise<unknown>
  /** Gets the session when it is over. */
  readonly onEnd: (session: Session) => void
}

const waitMs = 30_000
/** How often is looked whether jobs of an earlier connection are over, and after what time a failed look is repeated. */
const lookAgainMs = 500

/** Leases jobs for one connection and hands them over, never more than the operator takes. */
export class Session implements OperatorSession {
  readonly id: string
  readonly key: OperatorKey
  readonly #deps: SessionDeps
  readonly #options: SessionOptions
  /** Jobs that were delivered here, and those of an earlier connection that go on here. */
  readonly #held = new Map<string, HeldRef>()
  /** Those whose end is on its way to the database. */
  readonly #ending = new Set<string>()
  readonly #over = new AbortController()
  #round = new AbortController()
  #news = Promise.withResolvers<void>()
  #isPaused = false
  #isDraining = false
  #hasFaults = false
  #lapsedAt = -Infinity
  #heardAt: number
  #touchedAt: number
  #work: Promise<void> = Promise.resolve()

  constructor(deps: SessionDeps, options: SessionOptions) {
    this.#deps = deps
    this.#options = options
    this.id = options.id
    this.key = options.key
    this.#heardAt = deps.now()
    this.#touchedAt = this.#heardAt
  }

  get operatorId(): string {
    return this.key.id
  }

  get leaseMs(): number {
    return this.#deps.leaseMs
  }

  get heartbeatMs(): number {
    return this.#deps.heartbeatMs
  }

  /** When it was heard of last. */
  get heardAt(): number {
    return this.#heardAt
  }

  get isOver(): boolean {
    return this.#over.signal.aborted
  }

  holds(jobId: string): boolean {
    return this.#held.has(jobId)
  }

  /** Begins to take jobs. */
  start(): void {
    this.#work = this.#lease()
  }

  async ack(held: HeldRef, result: JobResult): Promise<void> {
    await this.#end(held, ref => this.#deps.jobs.ack(ref, result))
    if (!this.#hasFaults) return
    this.#hasFaults = false
    await this.#deps.registry.recovered(this.key)
  }

  async nack(held: HeldRef, failure: JobFailure): Promise<NackReply> {
    const reply = await this.#end(held, ref => this.#deps.jobs.nack(ref, failure))
    // What can never succeed is the job's fault and not the operator's.
    if (failure.isRetryable) await this.#fault(failure.reason)
    return reply
  }

  async giveBack(held: HeldRef): Promise<void> {
    await this.#end(held, ref => this.#deps.jobs.giveBack(ref))
  }

  async heartbeat(beat: Beat | null): Promise<HeartbeatReply | null> {
    this.#heard()
    if (beat === null) return null
    const { jobId, fence, progress, lines } = beat
    try {
      const ref = await this.#own(beat)
      const reply = await this.#deps.jobs.heartbeat(ref, { leaseMs: this.leaseMs, progress, lines })
      if (!this.#ending.has(jobId)) this.#held.set(jobId, { jobId, fence })
      return reply
    } catch (error) {
      if (isLost(error)) this.#drop(beat)
      throw error
    }
  }

  async append(held: HeldRef, pieces: StreamPieces): Promise<number> {
    this.#heard()
    return this.#deps.jobs.append(await this.#own(held), pieces)
  }

  async drain(): Promise<void> {
    this.#heard()
    await this.#deps.registry.drain(this.key, `operator:${this.key.id}`)
    await this.look()
  }

  async close(reason: 'left' | 'lost' | 'cut'): Promise<void> {
    if (this.isOver) return
    const held = [...this.#held.values()]
    this.#stop()
    await this.#work
    if (reason === 'left') await this.#giveBack(held)
    else if (reason === 'lost' && held.length > 0) await this.#fault('Its connection broke while it worked on jobs.')
    const why = reason === 'left' ? 'It left.' : 'The connection broke.'
    await this.#deps.registry.leave(this.key, this.id, { event: 'disconnected', reason: why })
  }

  /** Ends the connection from here. Its jobs stay as they are: the operator may go on with them elsewhere. */
  async end(reason: LinkEnd): Promise<void> {
    if (this.isOver) return
    this.#stop()
    this.#options.link.close(reason)
    await this.#work
    if (reason === 'stale') {
      operatorGone(this.#deps.log, { ...this.key, reason })
      await this.#deps.registry.leave(this.key, this.id, { event: 'lost', reason: 'It was not heard of.' })
    } else if (reason !== 'replaced' && !this.#options.isOurs) {
      await this.#deps.registry.leave(this.key, this.id, { event: 'disconnected', reason: endings[reason] })
    }
  }

  /** Reads what the table says of the operator. */
  async look(): Promise<void> {
    const row = await findOperator(this.#deps.db.read, this.key)
    if (this.isOver) return
    if (row?.session !== this.id) {
      // Without a session, a server took it for lost while this one could not say that it is there. It may come back.
      if (!this.#options.isOurs) return this.end(!row ? 'deleted' : row.session === null ? 'stale' : 'replaced')
      // Another server stopped, or took it for lost.
      await this.#options.enter()
      return
    }
    this.#isPaused =
      row.quarantined_at !== null ||
      row.failing !== null ||
      !isAtLeast(row.stage as OperatorStage, this.#deps.leastStage)
    this.#isDraining = row.draining_at !== null
    this.#hasFaults = row.faults > 0
    if (this.#isPaused || this.#isDraining) this.#round.abort(new AppError('cancelled', 'It takes no jobs now.'))
    this.#changed()
  }

  /** Looks whether a job that it has is to end, or has ended; null for all of them. */
  async lookAt(jobId: string | null): Promise<void> {
    const held = jobId === null ? [...this.#held.values()] : [this.#held.get(jobId)]
    for (const ref of held) if (ref && !this.#ending.has(ref.jobId)) await this.#lookAtOne(ref)
  }

  /** Notes in the table that it is heard of, where that is some time ago. */
  async touch(): Promise<void> {
    if (this.#options.isOurs) this.#heard()
    if (this.#heardAt <= this.#touchedAt) return
    this.#touchedAt = this.#heardAt
    await this.#deps.registry.touch(this.key, this.id)
  }

  async #lookAtOne(held: HeldRef): Promise<void> {
    const { jobs } = this.#deps
    const { link } = this.#options
    try {
      const { cancelAt, reason } = await jobs.heartbeat(this.#ref(held), { leaseMs: 50 })
      if (cancelAt !== null && !this.isOver) link.cancelled(held.jobId, reason ?? 'It was cancelled.')
    } catch (error) {
      if (!isLost(error)) throw error
      if (!this.#drop(held) || this.isOver) return
      const { state, reason } = await jobs.get(this.key.organisation, held.jobId)
      link.cancelled(held.jobId, reason ?? `It is ${state}.`)
      if (state !== 'cancelled' && state !== 'expired') await this.#lapsed()
    }
  }

  /** A lease ended without an answer. What takes several at a time, such as a cut network, has gone wrong once. */
  async #lapsed(): Promise<void> {
    const now = this.#deps.now()
    if (now - this.#lapsedAt < this.leaseMs) return
    this.#lapsedAt = now
    await this.#fault('A lease ended without an answer.')
  }

  async #lease(): Promise<void> {
    // Jobs of an earlier connection take slots until they are over.
    let othersHeld = true
    while (!this.isOver) {
      if (this.#isDraining && this.#held.size === 0) {
        // Not waited for: the end waits for this.
        this.end('drained').catch((error: unknown) => this.#failed('leaving', error))
        return
      }
      const free = this.#options.registration.maxParallelJobs - this.#held.size
      if (this.#isPaused || this.#isDraining || free <= 0) {
        await this.#news.promise
        continue
      }
      try {
        const jobs = await this.#take(free, othersHeld ? lookAgainMs : waitMs)
        jobs.forEach(job => this.#deliver(job))
        othersHeld = othersHeld && (await this.#areOthersHeld())
        if (jobs.length === 0 && othersHeld) await this.#pause()
      } catch (error) {
        if (this.isOver || this.#round.signal.aborted) continue
        this.#failed('leasing', error)
        await this.#pause()
      }
    }
  }

  #failed(doing: string, error: unknown): void {
    operatorFailed(this.#deps.log, { ...this.key, doing, error })
  }

  async #take(max: number, ms: number): Promise<readonly LeasedJob[]> {
    const { organisation, id } = this.key
    const { topics, supportedSchemas, maxParallelJobs } = this.#options.registration
    this.#round = new AbortController()
    return this.#deps.jobs.lease({
      topics,
      operator: id,
      organisation,
      max,
      slots: maxParallelJobs,
      schemas: supportedSchemas.length === 0 ? undefined : supportedSchemas,
      leaseMs: this.leaseMs,
      waitMs: ms,
      signal: this.#round.signal,
    })
  }

  #deliver(job: LeasedJob): void {
    this.#held.set(job.id, { jobId: job.id, fence: job.fence })
    this.#options.link.deliver(job)
  }

  async #areOthersHeld(): Promise<boolean> {
    const held = await this.#deps.jobs.held(this.key.organisation, this.key.id)
    return held > this.#held.size
  }

  async #pause(): Promise<void> {
    const enough = new AbortController()
    const slept = sleep(lookAgainMs, enough.signal).catch(() => undefined)
    await Promise.race([slept, this.#news.promise])
    enough.abort()
  }

  async #end<T>(held: HeldRef, say: (ref: HeldRef & { organisation: string }) => Promise<T>): Promise<T> {
    this.#heard()
    const ref = await this.#own(held)
    this.#ending.add(held.jobId)
    try {
      const said = await say(ref)
      this.#drop(held)
      return said
    } catch (error) {
      if (isLost(error)) this.#drop(held)
      throw error
    } finally {
      this.#ending.delete(held.jobId)
    }
  }

  /** Whoever knows a lease's number still answers for jobs of its own alone. */
  async #own(held: HeldRef): Promise<HeldRef & { organisation: string }> {
    const ref = this.#ref(held)
    if (this.#held.get(held.jobId)?.fence === held.fence) return ref
    const job = await this.#deps.jobs.get(ref.organisation, held.jobId).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'job.unknown') return null
      throw error
    })
    if (job?.operator === this.key.id) return ref
    throw new AppError('lease.lost', `The job ${held.jobId} is not one of ${this.key.id}. Stop working on it.`)
  }

  #ref({ jobId, fence }: HeldRef): HeldRef & { organisation: string } {
    return { jobId, fence, organisation: this.key.organisation }
  }

  async #giveBack(held: readonly HeldRef[]): Promise<void> {
    const given = held.map(ref => this.#deps.jobs.giveBack(this.#ref(ref)))
    for (const outcome of await Promise.allSettled(given))
      if (outcome.status === 'rejected' && !isLost(outcome.reason)) throw outcome.reason
  }

  async #fault(reason: string): Promise<void> {
    if (this.#options.isOurs) return
    this.#hasFaults = true
    await this.#deps.registry.fault(this.key, reason)
  }

  #drop({ jobId, fence }: HeldRef): boolean {
    if (this.#held.get(jobId)?.fence !== fence) return false
    this.#held.delete(jobId)
    this.#changed()
    return true
  }

  #heard(): void {
    if (this.isOver)
      throw new AppError('operator.offline', `${this.key.id} is not connected here any more. Register again.`)
    this.#heardAt = this.#deps.now()
  }

  #changed(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }

  #stop(): void {
    const reason = new AppError('cancelled', 'The connection is over.')
    this.#over.abort(reason)
    this.#round.abort(reason)
    this.#changed()
    this.#options.onEnd(this)
  }
}

const endings: Readonly<Record<Exclude<LinkEnd, 'stale' | 'replaced'>, string>> = {
  drained: 'It was drained.',
  deleted: 'It was deleted.',
  stopping: 'The server stopped.',
}

function isLost(error: unknown): boolean {
  return error instanceof AppError && error.code === 'lease.lost'
}

export function newSessionId(): string {
  return randomUUID()
}
