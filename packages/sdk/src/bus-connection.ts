import {
  busVersion,
  fromWireError,
  readServerFrame,
  writeClientFrame,
  type ClientBodyInit,
  type ServerBody,
  type ServerFrame,
} from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import { sockets } from '@slipway/protocol/events'

export type ServerBodyOf<Case extends ServerBody['case']> = Extract<ServerBody, { readonly case: Case }>['value']

/** One open connection to the bus. */
export interface BusConnection {
  readonly welcome: ServerBodyOf<'welcome'>
  /** Bytes that the network has not taken yet. */
  readonly waitingBytes: number
  readonly isOver: boolean
  /** Resolves with why the connection ended. */
  readonly ended: Promise<BusEnd>
  /**
   * Sends a frame and gives the reply to it. Rejects with the error that the server answers with, with
   * `server.unreachable` when the connection ends first or the time is over, and with the signal's reason.
   */
  ask<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    options?: AskOptions,
  ): Promise<ServerBodyOf<Case>>
  /** Sends a frame to which no reply is wanted; nothing once the connection has ended. */
  send(body: ClientBodyInit): void
  /** From now on as `pingMs` of the options. */
  watch(pingMs: number): void
  close(): void
}

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
  /** Longest wait for the reply; until the connection ends unless said otherwise. */
  readonly timeoutMs?: number | undefined
}

export interface BusEnd {
  /** As the server says it, such as `server_stopping`; `lost` where it says nothing, `closed` by this side. */
  readonly reason: string
  readonly message: string
  /** Whether there was a connection at all. */
  readonly wasOpen: boolean
}

export interface BusConnectionOptions {
  /** Address of the server, such as `http://127.0.0.1:8000`. */
  readonly url: string
  readonly token?: string | undefined
  /** Name and version of the program, for the server's log. */
  readonly client?: string | undefined
  /** Gets, in their order, the frames that are no replies. */
  readonly onFrame: (body: ServerBody) => void
  readonly signal: AbortSignal
  readonly timeoutMs: number
  /** After such a time without a frame the server is asked for one; after twice the time the connection counts as lost. */
  readonly pingMs: number
}

/** What takes frames to the server and back. */
export interface Wire {
  /** Bytes that the network has not taken yet. */
  readonly waitingBytes: number
  /** Frames that come before the wire is open go with its opening. */
  send(frame: Uint8Array<ArrayBuffer> | string): void
  /** Resolves when the other side was told, as far as it can be: that this one leaves, where it does so for good. */
  close(options: { readonly isLeaving: boolean }): Promise<void>
}

export interface WireEvents {
  onOpen(): void
  onFrame(data: Uint8Array | string): void
  /** Nothing comes any more; with an error where no further attempt would help. */
  onEnd(message: string, error?: AppError): void
}

export type OpenWire = (options: BusConnectionOptions, events: WireEvents) => Wire

const lostCode = 4000

interface Asked {
  readonly resolve: (body: ServerBody) => void
  readonly reject: (error: Error) => void
  /** As `performance.now()` says it. */
  readonly giveUpAt: number
}

const longestTimerMs = 2_000_000_000
const mostBatchBytes = 65_536
/** Tag and length of a field, and what comes before the fields of a batch. */
const longestFieldHead = 16
/** At the end of this turn where there is such a thing; browsers have none. */
const soon: (work: () => void) => void =
  typeof setImmediate === 'function' ? work => void setImmediate(work) : queueMicrotask

/** Resolves once the server has said Welcome. Rejects with `server.unreachable`, or with the signal's reason. */
export async function openBusConnection(
  options: BusConnectionOptions,
  openWire: OpenWire = (given, events) => new SocketWire(given, events),
): Promise<BusConnection> {
  const connection = new OpenConnection(options, openWire)
  try {
    const hello = { version: busVersion, client: options.client ?? 'slipway sdk', takesBatches: true }
    connection.welcome = await connection.ask({ case: 'hello', value: hello }, 'welcome', {
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]),
    })
    return connection
  } catch (error) {
    connection.close()
    options.signal.throwIfAborted()
    if (error instanceof AppError) throw error
    throw new AppError('server.unreachable', `${options.url} did not answer within ${options.timeoutMs / 1000} s.`)
  }
}

class OpenConnection implements BusConnection {
  welcome!: ServerBodyOf<'welcome'>
  readonly ended: Promise<BusEnd>
  readonly #options: BusConnectionOptions
  readonly #wire: Wire
  readonly #asked = new Map<number, Asked>()
  readonly #end = Promise.withResolvers<BusEnd>()
  #closing: { readonly reason: string; readonly message: string } | null = null
  #correlation = 0
  #wasOpen = false
  #isOver = false
  #heardAt = performance.now()
  /** One timer for all that is asked, since most of it is answered long before. */
  #late: { readonly timer: ReturnType<typeof setTimeout>; readonly at: number } | null = null
  /** What waits for the end of this turn, so that it goes in one message; null while the server takes none of several. */
  #batch: Uint8Array<ArrayBuffer>[] | null = null
  #batchBytes = 0
  #mostBatchBytes = 0
  #pingMs = 0
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(options: BusConnectionOptions, openWire: OpenWire) {
    this.#options = options
    this.ended = this.#end.promise
    this.#wire = openWire(options, {
      onOpen: () => this.#opened(),
      onFrame: data => this.#heard(data),
      onEnd: (message, error) => this.#finish('lost', message, error),
    })
    this.watch(options.pingMs)
    const onAbort = (): void => this.close()
    options.signal.addEventListener('abort', onAbort, { once: true })
    void this.ended.then(() => {
      clearInterval(this.#timer)
      options.signal.removeEventListener('abort', onAbort)
    })
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get waitingBytes(): number {
    return this.#wire.waitingBytes + this.#batchBytes
  }

  async ask<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    options: AskOptions = {},
  ): Promise<ServerBodyOf<Case>> {
    const reply = await this.#reply(body, options)
    if (reply.case !== expected) throw new AppError('internal', `The server answered ${body.case} with ${reply.case}.`)
    return reply.value as ServerBodyOf<Case>
  }

  send(body: ClientBodyInit): void {
    if (!this.#isOver) this.#write(writeClientFrame(body))
  }

  watch(pingMs: number): void {
    clearInterval(this.#timer)
    this.#pingMs = pingMs
    if (!this.#isOver) this.#timer = setInterval(() => this.#look(), pingMs)
  }

  close(): void {
    this.#finish('closed', 'The connection was closed.')
  }

  #reply(body: ClientBodyInit, { signal, timeoutMs = Infinity }: AskOptions): Promise<ServerBody> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      if (this.#isOver) return reject(lost(this.#options.url, 'The connection is closed.'))
      const correlation = this.#nextCorrelation()
      const onAbort = (): void => {
        this.#asked.delete(correlation)
        reject(signal?.reason as Error)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const settle = (finish: () => void): void => {
        signal?.removeEventListener('abort', onAbort)
        finish()
      }
      this.#asked.set(correlation, {
        resolve: reply => settle(() => resolve(reply)),
        reject: error => settle(() => reject(error)),
        giveUpAt: performance.now() + timeoutMs,
      })
      if (timeoutMs < Infinity) this.#giveUpAt(performance.now() + timeoutMs)
      this.#write(writeClientFrame(body, { correlation }))
    })
  }

  #giveUpAt(at: number): void {
    if (this.#late !== null && this.#late.at <= at) return
    if (this.#late !== null) clearTimeout(this.#late.timer)
    const waitMs = Math.min(Math.max(0, Math.ceil(at - performance.now())), longestTimerMs)
    this.#late = { timer: setTimeout(() => this.#giveUp(), waitMs), at }
  }

  #giveUp(): void {
    this.#late = null
    const now = performance.now()
    let next = Infinity
    for (const [correlation, { giveUpAt, reject }] of this.#asked) {
      if (giveUpAt > now) next = Math.min(next, giveUpAt)
      else {
        this.#asked.delete(correlation)
        reject(new AppError('server.unreachable', `${this.#options.url} did not answer in time.`))
      }
    }
    if (next < Infinity) this.#giveUpAt(next)
  }

  #write(frame: Uint8Array<ArrayBuffer> | string): void {
    if (this.#batch === null || typeof frame === 'string') return this.#wire.send(frame)
    const bytes = frame.byteLength + longestFieldHead
    if (this.#batchBytes + bytes > this.#mostBatchBytes) this.#flush()
    if (this.#batch.length === 0) soon(() => this.#flush())
    this.#batch.push(frame)
    this.#batchBytes += bytes
  }

  #flush(): void {
    const frames = this.#batch ?? []
    const [first] = frames
    if (first === undefined) return
    this.#batch = []
    this.#batchBytes = 0
    this.#wire.send(frames.length === 1 ? first : writeClientFrame({ case: 'batch', value: { frames } }))
  }

  /** 0 asks for no reply; the numbers begin anew after four thousand millions. */
  #nextCorrelation(): number {
    do this.#correlation = this.#correlation >= 0xffff_ffff ? 1 : this.#correlation + 1
    while (this.#asked.has(this.#correlation))
    return this.#correlation
  }

  #opened(): void {
    this.#wasOpen = true
    this.#heardAt = performance.now()
  }

  #heard(data: Uint8Array | string): void {
    if (this.#isOver) return
    this.#heardAt = performance.now()
    let frames: readonly ServerFrame[]
    try {
      const frame = readServerFrame(data)
      frames = frame.body?.case === 'batch' ? frame.body.value.frames.map(one => readServerFrame(one)) : [frame]
    } catch {
      return this.#finish('lost', 'The server sent what is no frame of the bus.')
    }
    for (const frame of frames) this.#take(frame)
  }

  #take({ replyTo, body }: ServerFrame): void {
    // What this release does not know is for newer ones.
    if (body === undefined || body.case === 'pong') return
    const asked = this.#asked.get(replyTo)
    if (body.case === 'closing') this.#closing = body.value
    if (body.case === 'welcome' && body.value.takesBatches) {
      this.#batch = []
      this.#mostBatchBytes = Math.min(mostBatchBytes, body.value.maxFrameBytes)
    }
    if (replyTo === 0) return this.#options.onFrame(body)
    if (!asked) return
    this.#asked.delete(replyTo)
    if (body.case === 'error') asked.reject(fromWireError(body.value))
    else asked.resolve(body)
  }

  #look(): void {
    const quietMs = performance.now() - this.#heardAt
    // The answer to the ping before this one came a moment after that, if it came.
    if (quietMs > 1.5 * this.#pingMs) return this.#finish('lost', 'The connection went silent.')
    if (this.#wasOpen) this.#write(writeClientFrame({ case: 'ping', value: {} }))
  }

  #finish(reason: string, message: string, error?: AppError): void {
    if (this.#isOver) return
    this.#flush()
    this.#isOver = true
    if (this.#late !== null) clearTimeout(this.#late.timer)
    const end = this.#closing ?? { reason, message }
    const why = error ?? lost(this.#options.url, end.message || end.reason)
    for (const { reject } of this.#asked.values()) reject(why)
    this.#asked.clear()
    const ended = { reason: end.reason, message: end.message, wasOpen: this.#wasOpen }
    const isLeaving = reason === 'closed'
    void this.#wire.close({ isLeaving }).then(() => this.#end.resolve(ended))
  }
}

class SocketWire implements Wire {
  readonly #socket: WebSocket
  /** What waits for the socket to open. */
  #early: (Uint8Array<ArrayBuffer> | string)[] = []

  constructor({ url, token }: BusConnectionOptions, events: WireEvents) {
    // Sockets of browsers carry no headers of their own, so the token travels as the name of a subprotocol.
    const protocols = token === undefined ? [] : [`slipway.bearer.${encodeURIComponent(token)}`]
    this.#socket = new WebSocket(`${url.replace(/^http/, 'ws').replace(/\/+$/, '')}${sockets.bus.path}`, protocols)
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.addEventListener('open', () => {
      events.onOpen()
      for (const frame of this.#early) this.#socket.send(frame)
      this.#early = []
    })
    this.#socket.addEventListener('message', ({ data }) => {
      const frame = data as ArrayBuffer | string
      events.onFrame(typeof frame === 'string' ? frame : new Uint8Array(frame))
    })
    this.#socket.addEventListener('error', () => events.onEnd('The connection failed.'))
    this.#socket.addEventListener('close', ({ reason }) => events.onEnd(reason || 'The connection was lost.'))
  }

  get waitingBytes(): number {
    return this.#socket.bufferedAmount
  }

  send(frame: Uint8Array<ArrayBuffer> | string): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#early.push(frame)
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame)
  }

  close({ isLeaving }: { readonly isLeaving: boolean }): Promise<void> {
    // The code is for a server that gets it after all: who was cut off has not left.
    if (isLeaving) this.#socket.close()
    else this.#socket.close(lostCode, 'lost')
    return Promise.resolve()
  }
}

function lost(url: string, why: string): AppError {
  return new AppError('server.unreachable', `The connection to ${url} ended before the answer came: ${why}`)
}
