import { writeServerFrame } from '@slipway/protocol/bus/frames'
import { AppError, type ErrorCode } from '@slipway/protocol/errors'
import type { Database } from '#db/database'
import type { Audit } from '#features/access/access'
import type { Operators } from '#features/operators/operators'
import type { Spine } from '#features/spine/spine'
import type { FrameEnd, FrameSocket } from '#http/frame-sockets'
import type { Logger } from '#observe/log'
import { ShieldCounters, type ShieldCounts } from '#observe/shield-counters'
import { BusSession, type BusLimits, type BusRequest } from './bus-session.ts'
import type { Outgoing } from './gate.ts'
import { Policies, type PolicyTerms } from './policies.ts'
import { RateLimit } from './rate-limits.ts'

export type { Outgoing }

export interface ShieldTerms {
  readonly takesJson: boolean
  readonly maxFrameBytes: number
  /** Bytes that may wait for one client before nothing more is sent to it. */
  readonly maxWaitingBytes: number
  readonly maxSockets: number
  readonly socketsPerToken: number
  readonly framesPerSecond: number
  readonly topicFramesPerSecond: number
  readonly idleMs: number
  readonly policies: Omit<PolicyTerms, 'loadMs'>
}

export interface ShieldDeps {
  readonly db: Database
  readonly audit: Audit
  readonly spine: Spine
  readonly operators: Operators
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly terms: ShieldTerms
}

const helloMs = 10_000
const loadMs = 5_000

/**
 * The edge of the bus: every message that a client sends goes through the same bounds, limits and policies, whatever
 * frame it came in. It keeps nothing: clients that go on elsewhere go on by numbers.
 */
export class Shield implements AsyncDisposable {
  readonly terms: ShieldTerms
  readonly policies: Policies
  readonly #deps: ShieldDeps
  readonly #counters = new ShieldCounters()
  readonly #limits: BusLimits
  /** Sockets by their token. */
  readonly #open = new Map<string, number>()
  #sockets = 0

  constructor(deps: ShieldDeps) {
    const { terms, now } = deps
    this.terms = terms
    this.#deps = deps
    this.#limits = {
      frames: new RateLimit(terms.framesPerSecond, now),
      control: new RateLimit(terms.framesPerSecond, now),
      topics: new RateLimit(terms.topicFramesPerSecond, now),
    }
    this.policies = new Policies({ ...deps, terms: { ...terms.policies, loadMs }, counters: this.#counters })
  }

  /** Serves one client to its end. */
  async serve(socket: FrameSocket, request: BusRequest): Promise<FrameEnd> {
    const { organisation, subject } = request.identity
    const key = `${organisation} ${subject}`
    const full = this.#full(key)
    if (full !== null) {
      this.refused(full.code)
      const { code, message, retryable } = full
      socket.send(writeServerFrame({ case: 'error', value: { code, message, retryable } }))
      return { code: 4029, reason: 'rate_limited' }
    }
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1)
    this.#sockets += 1
    this.#counters.add('connections')
    const { spine, operators, log } = this.#deps
    const terms = { ...this.terms, helloMs }
    const parts = { spine, operators, log, terms, gate: this.policies, limits: this.#limits, counters: this.#counters }
    try {
      return await new BusSession(parts, socket, request).run()
    } finally {
      this.#sockets -= 1
      const left = (this.#open.get(key) ?? 1) - 1
      if (left === 0) this.#open.delete(key)
      else this.#open.set(key, left)
    }
  }

  /** For messages that come another way, such as over HTTP: throws what a frame with the message is refused with. */
  async check(message: Outgoing): Promise<void> {
    try {
      await this.policies.check(message)
    } catch (error) {
      if (error instanceof AppError) this.refused(error.code)
      throw error
    }
  }

  refused(code: ErrorCode): void {
    this.#counters.refuse(code)
  }

  /** What happened since this server started. */
  counts(): ShieldCounts {
    return this.#counters.all()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.policies[Symbol.asyncDispose]()
  }

  #full(key: string): AppError | null {
    const { maxSockets, socketsPerToken } = this.terms
    if (this.#sockets >= maxSockets)
      return new AppError('rate.limited', `This server serves ${maxSockets} clients of the bus. Try another one.`)
    if ((this.#open.get(key) ?? 0) >= socketsPerToken)
      return new AppError('rate.limited', `This token has ${socketsPerToken} open sockets. Close one of them.`)
    return null
  }
}
