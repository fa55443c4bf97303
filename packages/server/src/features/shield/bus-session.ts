import { randomUUID } from 'node:crypto'
import { orAbort } from '@slipway/kit/abort'
import {
  busVersion,
  readClientFrame,
  type ClientBody,
  type ClientFrame,
  type ServerBodyInit,
} from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import { storageTrouble } from '#db/faults'
import type { LinkEnd, Operators } from '#features/operators/operators'
import type { JobCarrier, Spine } from '#features/spine/spine'
import { checkScope, type Identity } from '#http/authenticate'
import type { Frame, FrameEnd, FrameRequest, FrameSocket } from '#http/frame-sockets'
import { Stalled } from '#http/socket-life'
import type { Logger } from '#observe/log'
import type { ShieldCounters } from '#observe/shield-counters'
import { busClosed, busConnected, frameFailed, frameRefused } from '#observe/shield-log'
import type { Gate } from './gate.ts'
import { isOfOperator, OperatorFrames, type OperatorBody } from './operator-frames.ts'
import { OutgoingFrames } from './outgoing-frames.ts'
import { readPublication } from './publish-frame.ts'
import type { RateLimit } from './rate-limits.ts'
import { Subscriptions } from './subscriptions.ts'

export interface BusTerms {
  readonly takesJson: boolean
  readonly maxFrameBytes: number
  readonly idleMs: number
  /** How long a client may take for its first frame. */
  readonly helloMs: number
}

export interface BusLimits {
  /** Frames of a token. */
  readonly frames: RateLimit
  /** What operators say of their jobs: apart, so that a flood of messages lets no lease run out. */
  readonly control: RateLimit
  /** Messages of an organisation's topic. */
  readonly topics: RateLimit
}

export interface BusDeps {
  readonly spine: Spine
  readonly operators: Operators
  readonly gate: Gate
  readonly limits: BusLimits
  readonly terms: BusTerms
  readonly counters: ShieldCounters
  readonly log: Logger
}

/** A client of the bus, wherever it comes from. */
export interface BusRequest extends FrameRequest {
  /** Takes jobs to the client, where that is not done with all other frames. */
  readonly carrier?: JobCarrier | undefined
}

type CloseReason =
  | 'finished'
  | 'slow_consumer'
  | 'server_stopping'
  | 'unauthorized'
  | 'idle'
  | 'rate_limited'
  | 'protocol'
  | 'internal'
  | Exclude<LinkEnd, 'stopping'>

const closeCodes: Readonly<Record<CloseReason, number>> = {
  finished: 1000,
  slow_consumer: 4008,
  server_stopping: 4001,
  unauthorized: 4401,
  idle: 4000,
  rate_limited: 4029,
  protocol: 4002,
  internal: 4500,
  drained: 1000,
  replaced: 4009,
  stale: 4010,
  deleted: 4011,
}

const operatorEnds: Readonly<Record<LinkEnd, string>> = {
  replaced: 'The operator has another connection now.',
  drained: 'The operator was drained.',
  stale: 'Nothing was heard of the operator for too long.',
  deleted: 'The operator was deleted.',
  stopping: 'The server is stopping.',
}

/** Publications that may wait for the disk. */
const mostInFlight = 256
/** So many refused frames one after the other end a client that does not listen. */
const mostRefused = 1_000

/** One client of the bus, from its first frame to its last. */
export class BusSession {
  readonly #id = randomUUID()
  readonly #deps: BusDeps
  readonly #socket: FrameSocket
  readonly #request: BusRequest
  readonly #outgoing: OutgoingFrames
  readonly #subscriptions: Subscriptions
  readonly #operator: OperatorFrames
  readonly #over = new AbortController()
  readonly #signal: AbortSignal
  #end: { readonly reason: CloseReason; readonly message: string } | null = null
  #hasGreeted = false
  #heardAt = performance.now()
  #refused = 0
  #inFlight = 0
  #onFree: () => void = () => undefined

  constructor(deps: BusDeps, socket: FrameSocket, request: BusRequest) {
    this.#deps = deps
    this.#socket = socket
    this.#outgoing = new OutgoingFrames(frame => socket.send(frame))
    this.#request = request
    this.#signal = AbortSignal.any([request.signal, this.#over.signal])
    this.#subscriptions = new Subscriptions({
      spine: deps.spine,
      organisation: request.identity.organisation,
      hasRoom: () => !this.#signal.aborted && this.#socket.hasRoom,
      ready: () => this.#hasRoom(),
      send: body => this.#send(body, 0),
      sendMessage: (message, subscription) => {
        this.#outgoing.addMessage(message, subscription)
        deps.counters.add('delivered')
      },
      onSlow: () => this.#cut('slow_consumer', 'The client took too little of what was sent to it.'),
      onError: (error, subscription) => this.#refuse(error, { frame: 'subscribe', replyTo: 0, subscription }),
    })
    this.#operator = new OperatorFrames({
      ...deps,
      identity: request.identity,
      carrier: request.carrier,
      signal: this.#signal,
      send: body => this.#send(body, 0),
      onEnd: reason => this.#cut(reason === 'stopping' ? 'server_stopping' : reason, operatorEnds[reason]),
    })
  }

  async run(): Promise<FrameEnd> {
    const watch = setInterval(() => this.#watch(), Math.min(this.#deps.terms.idleMs, this.#deps.terms.helloMs) / 4)
    try {
      await orAbort(this.#serve(), this.#signal)
    } catch (error) {
      if (error instanceof Stalled) this.#cut('slow_consumer', error.message)
      else if (!this.#signal.aborted) {
        frameFailed(this.#deps.log, { ...this.#fields, frame: 'any', error })
        this.#cut('internal', 'Something went wrong in the server.')
      }
    } finally {
      clearInterval(watch)
    }
    const end = this.#farewell()
    const { hasLeft, endedBy } = this.#request
    await this.#operator.end(hasLeft() ? 'left' : endedBy() === 'server_stopping' ? 'cut' : 'lost')
    return end
  }

  /** A broker carries single frames, and jobs apart from all others. */
  get #hasBatches(): boolean {
    return this.#request.carrier === undefined
  }

  get #identity(): Identity {
    return this.#request.identity
  }

  get #fields(): { readonly session: string; readonly organisation: string; readonly subject: string } {
    const { organisation, subject } = this.#identity
    return { session: this.#id, organisation, subject }
  }

  async #serve(): Promise<void> {
    for await (const data of this.#socket.frames()) {
      this.#heardAt = performance.now()
      await this.#take(data, true)
    }
  }

  /** Each frame of a batch goes the way of one that comes alone. */
  async #take(data: Frame, isAlone: boolean): Promise<void> {
    // Whoever does not take replies is not read from.
    if (!this.#socket.hasRoom) await this.#socket.ready()
    for (const frame of await this.#takeOne(data, isAlone)) await this.#take(frame, false)
  }

  /** Gives the frames of a batch, and none of any other. */
  async #takeOne(data: Frame, isAlone: boolean): Promise<readonly Frame[]> {
    let frame: ClientFrame = { correlation: 0, body: undefined }
    try {
      frame = this.#read(data)
      if (isAlone && frame.body?.case === 'batch') return frame.body.value.frames
      this.#deps.counters.add('frames')
      this.#admit(frame, data)
      await this.#handle(frame)
      this.#refused = 0
    } catch (error) {
      if (this.#signal.aborted) return []
      this.#refuse(error, { frame: frame.body?.case ?? 'unknown', replyTo: frame.correlation, subscription: 0 })
      this.#countRefused(error)
    }
    return []
  }

  #read(data: Frame): ClientFrame {
    const { maxFrameBytes, takesJson } = this.#deps.terms
    const size = typeof data === 'string' ? Buffer.byteLength(data) : data.byteLength
    if (size > maxFrameBytes)
      throw new AppError('frame.too_large', `A frame has at most ${maxFrameBytes} bytes, and this one ${size}.`)
    if (typeof data === 'string' && !takesJson)
      throw new AppError('frame.text', 'This server takes binary frames alone. SLIPWAY_BUS_JSON=true allows text.')
    return readClientFrame(data)
  }

  #admit({ body }: ClientFrame, data: Frame): void {
    if (body === undefined) throw new AppError('frame.invalid', 'This server does not know this kind of frame.')
    if (this.#hasGreeted) return
    if (body.case !== 'hello') throw new AppError('frame.invalid', 'The first frame is Hello.')
    this.#outgoing.format = typeof data === 'string' ? 'json' : 'protobuf'
    this.#outgoing.takesBatches = body.value.takesBatches && this.#hasBatches
  }

  async #handle({ body, correlation }: ClientFrame): Promise<void> {
    if (body === undefined) return
    const { subject, organisation } = this.#identity
    const { frames, control } = this.#deps.limits
    const isOperators = isOfOperator(body)
    ;(isOperators ? control : frames).take(`${organisation} ${subject}`, 'of this token')
    if (isOperators) return this.#operate(body, correlation)
    switch (body.case) {
      case 'hello':
        return this.#greet(body.value, correlation)
      case 'ping':
        return this.#send({ case: 'pong', value: {} }, correlation)
      case 'publish':
        return this.#publish(body.value, correlation)
      case 'subscribe':
        return this.#subscribe(body.value, correlation)
      case 'unsubscribe':
        this.#subscriptions.close(body.value.subscription)
        return this.#send({ case: 'unsubscribed', value: { subscription: body.value.subscription } }, correlation)
      case 'credit':
        return this.#subscriptions.credit(body.value.subscription, body.value.messages)
      case 'batch':
        throw new AppError('frame.invalid', 'A batch has frames of all kinds but batches.')
    }
  }

  /** What is said of different jobs does not wait for each other. */
  async #operate(body: OperatorBody, correlation: number): Promise<void> {
    await this.#free()
    this.#background(body.case, correlation, async () => {
      const reply = await this.#operator.handle(body)
      if (correlation !== 0 || body.case === 'register') this.#send(reply, correlation)
      if (body.case === 'register') this.#operator.replied()
    })
  }

  #greet({ version, client }: BodyOf<'hello'>, correlation: number): void {
    if (version < 1) throw new AppError('frame.invalid', `This server speaks versions 1 to ${busVersion} of the bus.`)
    if (this.#hasGreeted) throw new AppError('frame.invalid', 'Hello was said already.')
    this.#hasGreeted = true
    busConnected(this.#deps.log, { ...this.#fields, client: client.slice(0, 100) })
    const { maxFrameBytes, idleMs } = this.#deps.terms
    const { organisation } = this.#identity
    const welcome = {
      session: this.#id,
      organisation,
      maxFrameBytes,
      idleMs: BigInt(idleMs),
      takesBatches: this.#hasBatches,
    }
    this.#send({ case: 'welcome', value: { ...welcome, version: Math.min(version, busVersion) } }, correlation)
  }

  /** Everything is looked at in the order in which it came; only the disk is not waited for. */
  async #publish(asked: BodyOf<'publish'>, correlation: number): Promise<void> {
    checkScope(this.#identity, 'write:jobs')
    const publication = readPublication(asked)
    const { topic, schema, payload } = asked
    if (publication.type === 'control') checkScope(this.#identity, 'admin')
    const { limits, gate, spine, counters } = this.#deps
    const { organisation } = this.#identity
    limits.topics.take(`${organisation} ${topic}`, `to ${topic}`)
    const trace = publication.type === 'job' ? publication.job.trace : publication.message.trace
    await gate.check({ by: this.#identity, topic, type: publication.type, schema, payload, trace })
    await this.#free()
    this.#background('publish', correlation, async () => {
      if (publication.type === 'job') {
        const { jobId, isNew } = await spine.jobs.publish(organisation, publication.job)
        this.#send({ case: 'published', value: { id: jobId, known: !isNew } }, correlation)
      } else {
        const { id } = await spine.messages.publish(organisation, publication.message)
        this.#send({ case: 'published', value: { id } }, correlation)
      }
      counters.add('published')
    })
  }

  async #subscribe(asked: BodyOf<'subscribe'>, correlation: number): Promise<void> {
    checkScope(this.#identity, 'read:jobs')
    const { after, begin } = await this.#subscriptions.open(asked)
    const value = { subscription: asked.subscription, after: BigInt(after) }
    this.#send({ case: 'subscribed', value }, correlation)
    begin()
  }

  async #free(): Promise<void> {
    while (this.#inFlight >= mostInFlight)
      await new Promise<void>(resolve => {
        this.#onFree = resolve
      })
  }

  #background(frame: string, correlation: number, work: () => Promise<void>): void {
    this.#inFlight += 1
    work()
      .catch((error: unknown) => this.#refuse(error, { frame, replyTo: correlation, subscription: 0 }))
      .finally(() => {
        this.#inFlight -= 1
        this.#onFree()
      })
  }

  #refuse(
    error: unknown,
    {
      frame,
      replyTo,
      subscription,
    }: { readonly frame: string; readonly replyTo: number; readonly subscription: number },
  ): void {
    const { counters, log } = this.#deps
    if (!(error instanceof AppError)) frameFailed(log, { ...this.#fields, frame, error })
    const known = error instanceof AppError ? error : (storageTrouble(error) ?? this.#unknown())
    const { code, message, retryable } = known
    counters.refuse(code)
    frameRefused(log, { ...this.#fields, code, frame })
    const retryAfterMs = retryAfter(known)
    const wait = retryAfterMs === null ? {} : { retryAfterMs: BigInt(retryAfterMs) }
    this.#send({ case: 'error', value: { code, message, retryable, subscription, ...wait } }, replyTo)
  }

  #unknown(): AppError {
    return new AppError('internal', `Something went wrong (${this.#id}).`)
  }

  /** Clients that go on sending what is refused are let go. */
  #countRefused(error: unknown): void {
    const isRate = error instanceof AppError && error.code === 'rate.limited'
    if (!isRate && !(error instanceof AppError && error.code.startsWith('frame.'))) return
    this.#refused += 1
    if (this.#refused < mostRefused) return
    const [reason, what] = isRate ? (['rate_limited', 'too many'] as const) : (['protocol', 'not valid'] as const)
    this.#cut(reason, `${mostRefused} frames one after the other were ${what}.`)
  }

  #watch(): void {
    const { idleMs, helloMs } = this.#deps.terms
    const quietMs = performance.now() - this.#heardAt
    if (!this.#hasGreeted && quietMs > helloMs) this.#cut('protocol', `No Hello came within ${helloMs} ms.`)
    if (quietMs > idleMs && this.#subscriptions.size === 0 && !this.#operator.isOpen)
      this.#cut('idle', `Nothing was heard for ${idleMs} ms. Send Ping to stay.`)
  }

  #cut(reason: CloseReason, message: string): void {
    if (this.#end !== null) return
    this.#end = { reason, message }
    if (reason !== 'finished') this.#deps.counters.add('cut')
    this.#over.abort(new Error(message))
  }

  /** Says why, and where the client may go on, if it is still there. */
  #farewell(): FrameEnd {
    const by = this.#request.endedBy()
    const reason = by ?? this.#end?.reason ?? 'finished'
    const message = this.#end?.message ?? ''
    const positions = this.#subscriptions.positions().map(({ subscription, after }) => ({
      subscription,
      after: BigInt(after),
    }))
    this.#subscriptions.closeAll()
    this.#send({ case: 'closing', value: { reason, message, positions } }, 0)
    this.#outgoing.flush()
    busClosed(this.#deps.log, { ...this.#fields, reason })
    return { code: closeCodes[reason], reason }
  }

  #send(body: ServerBodyInit, replyTo: number): void {
    this.#outgoing.add(body, replyTo)
  }

  async #hasRoom(): Promise<boolean> {
    await this.#socket.ready()
    return !this.#signal.aborted
  }
}

type BodyOf<Case extends ClientBody['case']> = Extract<ClientBody, { readonly case: Case }>['value']

function retryAfter({ details }: AppError): number | null {
  if (typeof details !== 'object' || details === null) return null
  if ('retryAfterMs' in details && typeof details.retryAfterMs === 'number') return details.retryAfterMs
  if ('retryAfterSeconds' in details && typeof details.retryAfterSeconds === 'number')
    return details.retryAfterSeconds * 1000
  return null
}
