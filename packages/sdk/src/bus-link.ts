import { orAbort, sleep } from '@slipway/kit/abort'
import { delayMs } from '@slipway/kit/backoff'
import { getCaller } from '@slipway/protocol/access'
import { isBrokerUrl } from '@slipway/protocol/bus/broker'
import type { ClientBodyInit, ServerBody } from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import type { Broker } from './broker.ts'
import {
  openBusConnection,
  type BusConnection,
  type BusConnectionOptions,
  type BusEnd,
  type ServerBodyOf,
} from './bus-connection.ts'
import { createTransport } from './transport.ts'

export type BusState =
  | { readonly type: 'connected'; readonly session: string }
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly delayMs: number; readonly reason: string }

export interface BusLinkOptions {
  /** Address of the server, such as `http://127.0.0.1:8000`, or of a NATS broker that it serves too, `nats://127.0.0.1`. */
  readonly url: string
  readonly token?: string | undefined
  /** Name and version of the program, for the server's log. */
  readonly client?: string | undefined
  readonly fetch?: typeof fetch | undefined
  /** Ends everything. */
  readonly signal?: AbortSignal | undefined
  /** Longest wait for a connection, and for the reply to one frame, in milliseconds; 30,000 unless said otherwise. */
  readonly timeoutMs?: number | undefined
  /** 15,000 unless said otherwise. */
  readonly pingMs?: number | undefined
  /** First wait between attempts in milliseconds, 250 unless said otherwise; it doubles up to 10 s. */
  readonly firstDelayMs?: number | undefined
  /** Told whenever the connection is there, or is lost and tried again. */
  readonly onState?: ((state: BusState) => void) | undefined
}

export interface BusLinkHandlers {
  /** Runs with each new connection before anybody else gets it; when it rejects, the connection is given up. */
  readonly onOpen?: ((connection: BusConnection) => Promise<void>) | undefined
  /** Gets, in their order, the frames that are no replies. */
  readonly onFrame: (body: ServerBody) => void
  /** Told that a connection is over, before the next one is tried. */
  readonly onEnd?: ((end: BusEnd) => void) | undefined
}

const ceilingMs = 10_000
const againMs = 200
/** A connection that lasted so long was a good one. */
const goodMs = 1_000

/** A connection to the bus that is made again whenever it is lost. */
export class BusLink {
  readonly timeoutMs: number
  readonly #options: BusLinkOptions
  readonly #handlers: BusLinkHandlers
  readonly #stop = new AbortController()
  readonly #work: Promise<void>
  #current = Promise.withResolvers<BusConnection>()
  #broker: Broker | null = null
  #live: BusConnection | null = null

  constructor(options: BusLinkOptions, handlers: BusLinkHandlers) {
    this.#options = options
    this.#handlers = handlers
    this.timeoutMs = options.timeoutMs ?? 30_000
    this.#current.promise.catch(() => undefined)
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signal?.aborted) this.#onAbort()
    this.#work = this.#keep()
  }

  /** Aborts when there will be no further connection, with the reason. */
  get over(): AbortSignal {
    return this.#stop.signal
  }

  /**
   * The connection, as soon as there is one. Rejects with what no further attempt can mend, such as `auth.required`, with
   * the reason of the signal, and with `server.unreachable` when the time is over.
   */
  async connection({
    signal,
    timeoutMs = this.timeoutMs,
  }: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number } = {}): Promise<BusConnection> {
    signal?.throwIfAborted()
    // Every frame asks for it, and timers and signals for each would cost more than the frame.
    if (this.#live?.isOver === false) return this.#live
    // What takes its place is looked for when the end is told.
    await this.#live?.ended
    const late = AbortSignal.timeout(Math.max(0, Math.ceil(timeoutMs)))
    try {
      return await orAbort(this.#current.promise, AbortSignal.any([late, ...(signal ? [signal] : [])]))
    } catch (error) {
      if (!late.aborted || signal?.aborted || this.#stop.signal.aborted) throw error
      throw new AppError(
        'server.unreachable',
        `There is no connection to ${this.#options.url} so far. It is tried again.`,
      )
    }
  }

  /** Ends the connection for good. */
  async close(reason: Error = new AppError('cancelled', 'The connection to the bus was closed.')): Promise<void> {
    this.#stop.abort(reason)
    await this.#work
  }

  readonly #onAbort = (): void => this.#stop.abort(this.#options.signal?.reason)

  async #keep(): Promise<void> {
    const { signal } = this.#stop
    try {
      for (let failed = 0; ;) {
        const began = performance.now()
        const end = await this.#connectOnce()
        signal.throwIfAborted()
        failed = performance.now() - began > goodMs ? 1 : failed + 1
        const firstMs = this.#options.firstDelayMs ?? 250
        const wait = delayMs({ firstMs, ceilingMs: Math.max(firstMs, ceilingMs) }, failed, Math.random())
        this.#options.onState?.({ type: 'reconnecting', attempt: failed, delayMs: wait, reason: end.reason })
        await sleep(wait, signal)
      }
    } catch (error) {
      this.#stop.abort(error)
      this.#current.reject(error)
    } finally {
      this.#options.signal?.removeEventListener('abort', this.#onAbort)
    }
  }

  /** One connection from its beginning to its end. Rejects with what no further attempt can mend. */
  async #connectOnce(): Promise<BusEnd> {
    const { signal } = this.#stop
    let connection: BusConnection
    try {
      connection = await this.#open({
        ...this.#options,
        timeoutMs: this.timeoutMs,
        pingMs: this.#options.pingMs ?? 15_000,
        onFrame: this.#handlers.onFrame,
        signal,
      })
    } catch (error) {
      signal.throwIfAborted()
      await this.#refuseWhatStays(error)
      return { reason: error instanceof Error ? error.message : 'lost', message: '', wasOpen: false }
    }
    try {
      await this.#handlers.onOpen?.(connection)
    } catch (error) {
      connection.close()
      signal.throwIfAborted()
      if (error instanceof AppError && !error.retryable) throw error
    }
    this.#options.onState?.({ type: 'connected', session: connection.welcome.session })
    this.#current.resolve(connection)
    this.#live = connection
    const end = await connection.ended
    this.#live = null
    this.#current = Promise.withResolvers()
    this.#current.promise.catch(() => undefined)
    this.#handlers.onEnd?.(end)
    if (end.reason === 'unauthorized') throw new AppError('auth.required', 'The token opens nothing any more.')
    return end
  }

  async #open(options: BusConnectionOptions): Promise<BusConnection> {
    if (!isBrokerUrl(options.url)) return openBusConnection(options)
    // Its client is not for browsers, and nobody else is to load it.
    const { Broker } = await import('./broker.ts')
    this.#broker ??= new Broker()
    return this.#broker.open(options)
  }

  /** Asks over HTTP, whose error says why a socket was refused: browsers hide that. */
  async #refuseWhatStays(error: unknown): Promise<void> {
    if (error instanceof AppError && !error.retryable) throw error
    if (isBrokerUrl(this.#options.url)) return
    try {
      const transport = createTransport({ ...this.#options, signal: this.#stop.signal })
      await transport.call(getCaller, { timeoutMs: this.timeoutMs })
    } catch (refusal) {
      if (refusal instanceof AppError && !refusal.retryable && refusal.code !== 'internal') throw refusal
    }
  }
}

/** Asks over whichever connection there is, as often as it takes; rejects with what the server refuses for good. */
export async function askUntilAnswered<Case extends ServerBody['case']>(
  link: BusLink,
  body: ClientBodyInit,
  { expected, signal }: { readonly expected: Case; readonly signal: AbortSignal },
): Promise<ServerBodyOf<Case>> {
  for (;;) {
    signal.throwIfAborted()
    try {
      const connection = await link.connection({ signal })
      return await connection.ask(body, expected, { signal })
    } catch (error) {
      const isPassing = error instanceof AppError && (error.retryable || error.code === 'operator.offline')
      if (!isPassing || link.over.aborted) throw error
      // The connection that comes next tries again; one that stays is given a moment.
      await sleep(againMs, signal)
    }
  }
}
