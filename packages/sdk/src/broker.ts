import {
  AuthorizationError,
  connect,
  headers,
  NoRespondersError,
  RequestError,
  type Msg,
  type NatsConnection,
} from '@nats-io/transport-node'
import { orAbort, sleep } from '@slipway/kit/abort'
import {
  brokerAddress,
  brokerName,
  connectionHeader,
  FrameParts,
  moreHeader,
  partsOf,
  tokenHeader,
} from '@slipway/protocol/bus/broker'
import { fromWireError, readServerFrame, type ClientBodyInit, type ServerBody } from '@slipway/protocol/bus/frames'
import { connectionSubjects, helloSubject, jobSubjects, type ConnectionSubjects } from '@slipway/protocol/bus/subjects'
import { AppError } from '@slipway/protocol/errors'
import {
  openBusConnection,
  type AskOptions,
  type BusConnection,
  type BusConnectionOptions,
  type BusEnd,
  type ServerBodyOf,
  type Wire,
  type WireEvents,
} from './bus-connection.ts'

const headerBytes = 1_024
const mostFrameBytes = 134_217_728
const noResponders = 503
/** How long the last words may take. */
const farewellMs = 1_000
/** Bytes that may wait for answers: the broker would take any number, and the server would not. */
const mostWaitingBytes = 8_388_608
/** How often a server that owes an answer is asked whether it is there. */
const askMs = 1_000

/** What the broker is told of a job. */
const words = { working: '+WPI', over: '+ACK', refused: '-NAK' } as const

/** Connections to the bus over a NATS broker, one after the other. */
export class Broker {
  /** Jobs that are not over, by their leases, and where the broker is told of them. */
  readonly #handed = new Map<string, string>()

  async open(given: BusConnectionOptions): Promise<BusConnection> {
    const options = { ...given, url: brokerName(given.url) }
    let wire: BrokerWire | null = null
    const inner = await openBusConnection(options, (_, events) => {
      wire = new BrokerWire(given, events, this.#handed)
      return wire
    })
    // It was opened right above.
    return new BrokerConnection(inner, wire as unknown as BrokerWire, {
      handed: this.#handed,
      onFrame: given.onFrame,
    })
  }
}

interface Jobs {
  readonly handed: Map<string, string>
  readonly onFrame: (body: ServerBody) => void
}

/**
 * A connection whose jobs come from the broker's store. A job is acknowledged there once the server has accepted its end,
 * or says that it is no longer this operator's; what it was handed before is asked about first.
 */
class BrokerConnection implements BusConnection {
  readonly #inner: BusConnection
  readonly #wire: BrokerWire
  readonly #jobs: Jobs
  /** Bytes whose answers have not come yet. */
  #waiting = 0
  #room = Promise.withResolvers<void>()

  constructor(inner: BusConnection, wire: BrokerWire, jobs: Jobs) {
    this.#inner = inner
    this.#wire = wire
    this.#jobs = jobs
  }

  get welcome(): ServerBodyOf<'welcome'> {
    return this.#inner.welcome
  }

  get waitingBytes(): number {
    return this.#waiting
  }

  get isOver(): boolean {
    return this.#inner.isOver
  }

  get ended(): Promise<BusEnd> {
    return this.#inner.ended
  }

  async ask<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    options?: AskOptions,
  ): Promise<ServerBodyOf<Case>> {
    if (body.case === 'register') this.#take(body.value.operatorId ?? '')
    else if (body.case === 'lease') this.#take(body.value.operator ?? '')
    const lease = leaseOf(body)
    // A frame that a server took to its grave is missed by nobody; the next one is.
    const asking = setInterval(() => this.#inner.send({ case: 'ping', value: {} }), askMs)
    try {
      const reply = await this.#answer(body, expected, options)
      if (lease !== null) this.#tell(lease, body.case === 'heartbeat' ? 'working' : 'over')
      return reply
    } catch (error) {
      if (lease !== null && isLost(error)) this.#tell(lease, 'over')
      throw error
    } finally {
      clearInterval(asking)
    }
  }

  send(body: ClientBodyInit): void {
    this.#inner.send(body)
  }

  watch(pingMs: number): void {
    this.#inner.watch(pingMs)
  }

  close(): void {
    this.#inner.close()
  }

  /** What may be large waits its turn; heartbeats do not. */
  async #answer<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    options?: AskOptions,
  ): Promise<ServerBodyOf<Case>> {
    const isLarge = body.case === 'ack' || body.case === 'streamChunk' || body.case === 'publish'
    while (isLarge && this.#waiting > mostWaitingBytes) await this.#room.promise
    const before = this.#wire.sentBytes
    const asked = this.#inner.ask(body, expected, options)
    const size = this.#wire.sentBytes - before
    this.#waiting += size
    try {
      return await asked
    } finally {
      this.#waiting -= size
      this.#room.resolve()
      this.#room = Promise.withResolvers()
    }
  }

  #take(operator: string): void {
    this.#wire.follow(operator, message => void this.#delivered(message))
  }

  async #delivered(message: Msg): Promise<void> {
    const job = readJob(message)
    if (job === null || message.reply === undefined) return
    const lease = nameOf(job.id, job.fence)
    const isKnown = this.#jobs.handed.has(lease)
    this.#jobs.handed.set(lease, message.reply)
    // The broker hands over again what it has not heard of for a while.
    if (isKnown) return this.#tell(lease, 'working')
    const isNew = deliveries(message.reply) === 1 && message.headers?.get(connectionHeader) === this.#wire.connection
    if (isNew || (await this.#isStillOurs(job, lease))) this.#jobs.onFrame({ case: 'job', value: job })
  }

  async #isStillOurs({ id, fence }: ServerBodyOf<'job'>, lease: string): Promise<boolean> {
    try {
      await this.ask({ case: 'heartbeat', value: { jobId: id, fence } }, 'heartbeatReply')
      return true
    } catch {
      // Where it is over, that was said. Where there was no answer, somebody else of this name may have it.
      this.#tell(lease, 'refused')
      return false
    }
  }

  #tell(lease: string, what: keyof typeof words): void {
    const place = this.#jobs.handed.get(lease)
    if (place === undefined) return
    if (what !== 'working') this.#jobs.handed.delete(lease)
    this.#wire.publish(place, words[what])
  }
}

/** The subjects of one connection. */
class BrokerWire implements Wire {
  readonly waitingBytes = 0
  sentBytes = 0
  readonly #options: BusConnectionOptions
  readonly #events: WireEvents
  readonly #handed: Map<string, string>
  readonly #parts = new FrameParts(mostFrameBytes)
  readonly #followed = new Set<string>()
  readonly #over = new AbortController()
  #nc: NatsConnection | null = null
  #organisation = ''
  #connection = ''
  #subjects: ConnectionSubjects | null = null
  #early: Uint8Array[] = []
  readonly #opening: Promise<void>

  constructor(options: BusConnectionOptions, events: WireEvents, handed: Map<string, string>) {
    this.#options = options
    this.#events = events
    this.#handed = handed
    this.#opening = this.#open().catch((error: unknown) => this.#failed(error))
  }

  /** What the server calls it. */
  get connection(): string {
    return this.#connection
  }

  send(frame: Uint8Array<ArrayBuffer> | string): void {
    const bytes = typeof frame === 'string' ? new TextEncoder().encode(frame) : frame
    if (this.#subjects === null) return void this.#early.push(bytes)
    this.sentBytes += bytes.length
    const parts = partsOf(bytes, (this.#nc?.info?.max_payload ?? Infinity) - headerBytes)
    parts.forEach((part, index) => this.#say(part, { isLast: index === parts.length - 1 }))
  }

  /** Begins to take the jobs that the broker has for the operator. */
  follow(operator: string, onJob: (message: Msg) => void): void {
    const subject = jobSubjects(this.#organisation, operator).handed
    if (this.#followed.has(subject)) return
    this.#followed.add(subject)
    this.#nc?.subscribe(subject, {
      queue: 'operator',
      callback: (error, message) => (error ? this.#events.onEnd(error.message) : onJob(message)),
    })
  }

  publish(subject: string, content: string): void {
    if (this.#nc !== null && !this.#nc.isClosed()) this.#nc.publish(subject, content)
  }

  async close({ isLeaving }: { readonly isLeaving: boolean }): Promise<void> {
    this.#over.abort(new AppError('cancelled', 'The connection is closed.'))
    await this.#opening
    const nc = this.#nc
    if (nc === null) return
    // Whoever had an answer with the last frames says so to the broker first.
    await sleep(0)
    if (isLeaving && this.#subjects !== null) {
      // A message without content says so, and the server gives back what this side has.
      this.#say(new Uint8Array(0), { isLast: true })
      for (const place of this.#handed.values()) this.publish(place, '+ACK')
      this.#handed.clear()
    }
    if (!nc.isClosed()) await orAbort(nc.flush(), AbortSignal.timeout(farewellMs)).catch(() => undefined)
    await nc.close()
  }

  async #open(): Promise<void> {
    const { url, token, client, timeoutMs, pingMs } = this.#options
    const { servers, isSecure, ...auth } = brokerAddress(url)
    const connecting = connect({
      ...auth,
      servers: [...servers],
      ...(isSecure && { tls: {} }),
      name: client ?? 'slipway sdk',
      // Connections are made anew by whoever uses this one.
      reconnect: false,
      timeout: timeoutMs,
      pingInterval: pingMs,
      maxPingOut: 2,
    })
    const nc = await orAbort(connecting, this.#over.signal, late => void late.close())
    this.#nc = nc
    void nc.closed().then(error => this.#events.onEnd(error?.message ?? 'The connection to the broker was lost.'))
    const about = headers()
    if (token !== undefined) about.set(tokenHeader, token)
    const asked = nc.request(helloSubject, undefined, { headers: about, timeout: timeoutMs })
    const { body } = readServerFrame((await orAbort(asked, this.#over.signal)).data)
    if (body?.case === 'error') throw fromWireError(body.value)
    if (body?.case !== 'opened') throw new AppError('server.unreachable', 'What answers is no server of this release.')
    this.#organisation = body.value.organisation
    this.#connection = body.value.connection
    const subjects = connectionSubjects(this.#organisation, this.#connection)
    nc.subscribe(subjects.toClient, {
      callback: (error, message) => (error ? this.#events.onEnd(error.message) : this.#heard(message)),
    })
    this.#subjects = subjects
    this.#events.onOpen()
    for (const frame of this.#early.splice(0)) this.send(Uint8Array.from(frame))
  }

  #heard(message: Msg): void {
    if (message.headers?.code === noResponders) return this.#events.onEnd('The server is gone.')
    if (message.data.length === 0) return this.#events.onEnd('The server ended the connection.')
    const frame = this.#parts.add(message.data, { isLast: message.headers?.has(moreHeader) !== true })
    if (frame) this.#events.onFrame(frame)
  }

  #say(content: Uint8Array, { isLast }: { readonly isLast: boolean }): void {
    if (this.#nc === null || this.#subjects === null || this.#nc.isClosed()) return
    const { toServer, toClient } = this.#subjects
    const about = headers()
    about.set(tokenHeader, this.#options.token ?? '')
    if (!isLast) about.set(moreHeader, '1')
    // Where nobody listens, the broker says so at the other subject.
    this.#nc.publish(toServer, content, { reply: toClient, headers: about })
  }

  #failed(error: unknown): void {
    if (this.#over.signal.aborted) return
    if (error instanceof AppError) return this.#events.onEnd(error.message, error)
    if (error instanceof AuthorizationError)
      return this.#events.onEnd(
        error.message,
        new AppError('auth.required', `The broker lets nobody in with this user and password: ${error.message}`),
      )
    const isAlone = error instanceof NoRespondersError || error instanceof RequestError
    const why = isAlone ? 'No server answers at the broker.' : String(error instanceof Error ? error.message : error)
    this.#events.onEnd(why)
  }
}

type WireJob = ServerBodyOf<'job'>

function readJob({ data }: Msg): WireJob | null {
  try {
    const { body } = readServerFrame(data)
    return body?.case === 'job' ? body.value : null
  } catch {
    return null
  }
}

function leaseOf(body: ClientBodyInit): string | null {
  if (body.case !== 'ack' && body.case !== 'nack' && body.case !== 'giveBack' && body.case !== 'heartbeat') return null
  const { jobId = '', fence = 0n } = body.value
  return jobId === '' ? null : nameOf(jobId, fence)
}

function nameOf(jobId: string, fence: bigint): string {
  return `${jobId}.${fence}`
}

/** How often the broker has handed the message over, as the subject of its acknowledgement says. */
function deliveries(reply: string): number {
  const words = reply.split('.')
  // The newer form has a domain and an account before the stream.
  return Number(words.length > 9 ? words[6] : words[4])
}

function isLost(error: unknown): boolean {
  return error instanceof AppError && error.code === 'lease.lost'
}
