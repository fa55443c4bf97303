import { randomUUID } from 'node:crypto'
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { sleep } from '@slipway/kit/abort'
import { delayMs } from '@slipway/kit/backoff'
import { brokerAddress, brokerName, tokenHeader } from '@slipway/protocol/bus/broker'
import { serverFrameBytes } from '@slipway/protocol/bus/frames'
import { connectionSubjects, helloSubject } from '@slipway/protocol/bus/subjects'
import { AppError } from '@slipway/protocol/errors'
import type { Identity, Verifier } from '#http/authenticate'
import type { FrameEnd, FrameRequest, FrameSocket } from '#http/frame-sockets'
import type { Logger } from '#observe/log'
import { brokerConnected, brokerFailed, brokerLacks, brokerLost } from '#observe/broker-log'
import type { JobCarrier } from '../spine.ts'
import { NatsJobs } from './nats-jobs.ts'
import { NatsSocket } from './nats-socket.ts'
import { checkBroker, lacks } from './nats-version.ts'

export interface NatsRelayDeps {
  /** `nats://` or `tls://`; several separated by commas. */
  readonly url: string
  /** Of each stream. */
  readonly replicas: number
  readonly verifier: Verifier & { readonly isClosed: () => Promise<boolean> }
  readonly maxFrameBytes: number
  readonly maxWaitingBytes: number
  /** How often the broker is asked whether it is there. One that has not answered twice counts as lost. */
  readonly pingMs: number
  /** Serves one client to its end. */
  readonly serve: (socket: FrameSocket, request: FrameRequest & { readonly carrier: JobCarrier }) => Promise<FrameEnd>
  readonly log: Logger
}

/** Whether operators that reach the broker alone are served, and why not. */
export type BrokerState = { readonly isConnected: true } | { readonly isConnected: false; readonly why: string }

const connectMs = 5_000
const backoff = { firstMs: 200, ceilingMs: 5_000 }
/** A connection that lasted so long was a good one. */
const goodMs = 1_000
/** Whichever server of the deployment is free answers. */
const queue = 'slipway'

/**
 * Serves clients of the bus that reach a NATS broker and not this server. Nothing of the Spine depends on it: while the
 * broker is gone everything else goes on, and when it is back its clients come again.
 *
 * N1. Who somebody is comes from the token that opened the connection; each further message has to carry the same one,
 *     and goes over a subject of that organisation.
 * N2. The broker has only what the database has committed.
 */
export class NatsRelay implements AsyncDisposable {
  readonly #deps: NatsRelayDeps
  readonly #name: string
  readonly #stop = new AbortController()
  #work: Promise<void> = Promise.resolve()
  #state: BrokerState = { isConnected: false, why: 'It is being connected.' }

  /** Throws `config.invalid`. */
  constructor(deps: NatsRelayDeps) {
    this.#deps = deps
    this.#name = brokerName(deps.url)
  }

  get state(): BrokerState {
    return this.#state
  }

  /** Begins to look for the broker, for as long as the server runs. */
  start(): void {
    this.#work = this.#keep()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new AppError('server.stopping', 'The server is stopping.'))
    await this.#work
  }

  async #keep(): Promise<void> {
    const { signal } = this.#stop
    for (let failed = 0; !signal.aborted;) {
      const began = performance.now()
      await this.#serveOnce()
      if (signal.aborted) return
      failed = performance.now() - began > goodMs ? 1 : failed + 1
      await sleep(delayMs(backoff, failed, Math.random()), signal).catch(() => undefined)
    }
  }

  /** One connection to the broker, from its beginning to its end. */
  async #serveOnce(): Promise<void> {
    const { url, log } = this.#deps
    const { servers, isSecure, ...auth } = brokerAddress(url)
    let nc: NatsConnection | null = null
    try {
      nc = await connect({
        ...auth,
        servers: [...servers],
        ...(isSecure && { tls: {} }),
        name: 'slipway server',
        // Whatever was under way is settled by a new beginning.
        reconnect: false,
        timeout: connectMs,
        pingInterval: this.#deps.pingMs,
        maxPingOut: 2,
      })
      const { info } = nc
      if (!info) throw new AppError('broker.unsupported', 'The broker does not say what it is.')
      checkBroker(info)
      brokerConnected(log, { broker: this.#name, version: info.version })
      const lacking = lacks(info)
      if (lacking.length > 0) brokerLacks(log, { version: info.version, lacks: lacking })
      await this.#serve(nc)
    } catch (error) {
      this.#lost(error)
    } finally {
      await nc?.close()
    }
  }

  async #serve(nc: NatsConnection): Promise<void> {
    const gone = new AbortController()
    const over = AbortSignal.any([gone.signal, this.#stop.signal])
    void nc.closed().then(error => gone.abort(error ?? new Error('The connection to the broker is closed.')))
    const jobs = new NatsJobs(nc, this.#deps)
    const serving = new Set<Promise<void>>()
    nc.subscribe(helloSubject, {
      queue,
      callback: (error, message) => {
        if (error) return void nc.close()
        const served: Promise<void> = this.#open(nc, message, { jobs, over })
          .catch((failure: unknown) => brokerFailed(this.#deps.log, { doing: 'serving a client', error: failure }))
          .finally(() => serving.delete(served))
        serving.add(served)
      },
    })
    await nc.flush()
    this.#state = { isConnected: true }
    if (!over.aborted) await new Promise(resolve => over.addEventListener('abort', resolve, { once: true }))
    await Promise.all(serving)
    if (gone.signal.aborted && !this.#stop.signal.aborted) throw gone.signal.reason
  }

  async #open(
    nc: NatsConnection,
    message: Msg,
    { jobs, over }: { readonly jobs: NatsJobs; readonly over: AbortSignal },
  ): Promise<void> {
    const token = message.headers?.get(tokenHeader) ?? ''
    let identity: Identity
    try {
      identity = await this.#verify(token)
    } catch (error) {
      message.respond(serverFrameBytes({ case: 'error', value: refusal(error) }))
      if (!(error instanceof AppError)) throw error
      return
    }
    const { organisation } = identity
    const connection = randomUUID()
    const { maxFrameBytes, maxWaitingBytes } = this.#deps
    const subjects = connectionSubjects(organisation, connection)
    const socket = new NatsSocket(nc, { subjects, token, maxFrameBytes, maxWaitingBytes })
    using watch = this.#deps.verifier.watch(identity)
    try {
      message.respond(serverFrameBytes({ case: 'opened', value: { organisation, connection } }))
      await this.#deps.serve(socket, {
        identity,
        requestId: connection,
        carrier: jobs.carrier(organisation, connection),
        signal: AbortSignal.any([socket.left, over, watch.signal]),
        endedBy: () => (over.aborted ? 'server_stopping' : watch.signal.aborted ? 'unauthorized' : null),
        hasLeft: () => socket.hasLeft,
      })
    } finally {
      socket.close()
    }
  }

  /** A server that asks nobody for a token is open to its own machine alone, and the broker may be anywhere. */
  async #verify(token: string): Promise<Identity> {
    const { verifier } = this.#deps
    if (token === '' || !(await verifier.isClosed()))
      throw new AppError('auth.required', 'Over a broker everybody needs a token. `slipway token create` makes one.')
    return verifier.verify(token)
  }

  #lost(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error)
    const isNews = this.#state.isConnected || this.#state.why !== why
    const code = error instanceof AppError ? error.code : null
    this.#state = { isConnected: false, why }
    if (isNews) brokerLost(this.#deps.log, { broker: this.#name, why, ...(code !== null && { code }) })
  }
}

function refusal(error: unknown): { readonly code: string; readonly message: string; readonly retryable: boolean } {
  if (error instanceof AppError) return error
  return { code: 'server.busy', message: 'The server cannot look at tokens now. Try again.', retryable: true }
}
