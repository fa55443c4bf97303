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

/** One open socket to the bus. */
export interface BusConnection {
  readonly welcome: ServerBodyOf<'welcome'>
  /** Bytes that the network has not taken yet. */
  readonly waitingBytes: number
  /** Resolves with why the connection ended. */
  readonly ended: Promise<BusEnd>
  /**
   * Sends a frame and gives the reply to it. Rejects with the error that the server answers with, with
   * `server.unreachable` when the connection ends first, and with the signal's reason.
   */
  ask<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    options?: AskOptions,
  ): Promise<ServerBodyOf<Case>>
  /** Sends a frame to which no reply is wanted; nothing once the connection has ended. */
  send(body: ClientBodyInit): void
  close(): void
}

export interface AskOptions {
  readonly signal?: AbortSignal | undefined
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

interface Asked {
  readonly resolve: (body: ServerBody) => void
  readonly reject: (error: Error) => void
}

/** Resolves once the server has said Welcome. Rejects with `server.unreachable`, or with the signal's reason. */
export async function openBusConnection(options: BusConnectionOptions): Promise<BusConnection> {
  const connection = new OpenConnection(options)
  try {
    const hello = { version: busVersion, client: options.client ?? 'slipway sdk' }
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
  readonly #socket: WebSocket
  readonly #asked = new Map<number, Asked>()
  readonly #end = Promise.withResolvers<BusEnd>()
  /** What waits for the socket to open. */
  #early: (Uint8Array<ArrayBuffer> | string)[] = []
  #closing: { readonly reason: string; readonly message: string } | null = null
  #correlation = 0
  #wasOpen = false
  #isOver = false
  #heardAt = performance.now()

  constructor(options: BusConnectionOptions) {
    this.#options = options
    this.ended = this.#end.promise
    // Sockets of browsers carry no headers of their own, so the token travels as the name of a subprotocol.
    const protocols = options.token === undefined ? [] : [`slipway.bearer.${encodeURIComponent(options.token)}`]
    this.#socket = new WebSocket(
      `${options.url.replace(/^http/, 'ws').replace(/\/+$/, '')}${sockets.bus.path}`,
      protocols,
    )
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.addEventListener('open', () => this.#opened())
    this.#socket.addEventListener('message', ({ data }) => this.#heard(data as ArrayBuffer | string))
    this.#socket.addEventListener('error', () => this.#finish('lost', 'The connection failed.'))
    this.#socket.addEventListener('close', ({ reason }) => this.#finish('lost', reason || 'The connection was lost.'))
    const timer = setInterval(() => this.#watch(), options.pingMs)
    const onAbort = (): void => this.close()
    options.signal.addEventListener('abort', onAbort, { once: true })
    void this.ended.then(() => {
      clearInterval(timer)
      options.signal.removeEventListener('abort', onAbort)
    })
  }

  get waitingBytes(): number {
    return this.#socket.bufferedAmount
  }

  async ask<Case extends ServerBody['case']>(
    body: ClientBodyInit,
    expected: Case,
    { signal }: AskOptions = {},
  ): Promise<ServerBodyOf<Case>> {
    const reply = await this.#reply(body, signal)
    if (reply.case !== expected) throw new AppError('internal', `The server answered ${body.case} with ${reply.case}.`)
    return reply.value as ServerBodyOf<Case>
  }

  send(body: ClientBodyInit): void {
    if (!this.#isOver) this.#write(writeClientFrame(body))
  }

  close(): void {
    this.#finish('closed', 'The connection was closed.')
  }

  #reply(body: ClientBodyInit, signal: AbortSignal | undefined): Promise<ServerBody> {
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
      })
      this.#write(writeClientFrame(body, { correlation }))
    })
  }

  /** 0 asks for no reply; the numbers begin anew after four thousand millions. */
  #nextCorrelation(): number {
    do this.#correlation = this.#correlation >= 0xffff_ffff ? 1 : this.#correlation + 1
    while (this.#asked.has(this.#correlation))
    return this.#correlation
  }

  #write(frame: Uint8Array<ArrayBuffer> | string): void {
    if (this.#socket.readyState === WebSocket.CONNECTING) this.#early.push(frame)
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(frame)
  }

  #opened(): void {
    this.#wasOpen = true
    this.#heardAt = performance.now()
    for (const frame of this.#early) this.#socket.send(frame)
    this.#early = []
  }

  #heard(data: ArrayBuffer | string): void {
    if (this.#isOver) return
    this.#heardAt = performance.now()
    let frame: ServerFrame
    try {
      frame = readServerFrame(typeof data === 'string' ? data : new Uint8Array(data))
    } catch {
      return this.#finish('lost', 'The server sent what is no frame of the bus.')
    }
    const { replyTo, body } = frame
    // What this release does not know is for newer ones.
    if (body === undefined || body.case === 'pong') return
    const asked = this.#asked.get(replyTo)
    if (body.case === 'closing') this.#closing = body.value
    if (replyTo === 0) return this.#options.onFrame(body)
    if (!asked) return
    this.#asked.delete(replyTo)
    if (body.case === 'error') asked.reject(fromWireError(body.value))
    else asked.resolve(body)
  }

  #watch(): void {
    const quietMs = performance.now() - this.#heardAt
    if (quietMs > 2 * this.#options.pingMs) return this.#finish('lost', 'The connection went silent.')
    if (this.#socket.readyState === WebSocket.OPEN) this.#write(writeClientFrame({ case: 'ping', value: {} }))
  }

  #finish(reason: string, message: string): void {
    if (this.#isOver) return
    this.#isOver = true
    const end = this.#closing ?? { reason, message }
    for (const { reject } of this.#asked.values()) reject(lost(this.#options.url, end.message || end.reason))
    this.#asked.clear()
    this.#socket.close()
    this.#end.resolve({ reason: end.reason, message: end.message, wasOpen: this.#wasOpen })
  }
}

function lost(url: string, why: string): AppError {
  return new AppError('server.unreachable', `The connection to ${url} ended before the answer came: ${why}`)
}
