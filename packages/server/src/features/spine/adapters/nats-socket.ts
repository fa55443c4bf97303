import { timingSafeEqual } from 'node:crypto'
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node'
import { headers } from '@nats-io/transport-node'
import { FrameParts, moreHeader, partsOf, tokenHeader } from '@slipway/protocol/bus/broker'
import { serverFrameBytes } from '@slipway/protocol/bus/frames'
import type { ConnectionSubjects } from '@slipway/protocol/bus/subjects'
import type { Frame, FrameSocket } from '#http/frame-sockets'

export interface NatsSocketOptions {
  readonly subjects: ConnectionSubjects
  /** Which every message of the client has to carry. */
  readonly token: string
  readonly maxFrameBytes: number
  /** Bytes that may be under way to the broker before nothing more is sent. */
  readonly maxWaitingBytes: number
}

/** What may wait to be taken: the broker holds nothing back, and clients wait for answers before they send so much. */
const mostArrived = 4_096
const mostArrivedFrames = 32
const headerBytes = 1_024
const noResponders = 503
/** After such a time the client is sent something in any case, so that one that is gone is noticed. */
const aliveMs = 20_000
const alive = serverFrameBytes({ case: 'pong', value: {} })

/**
 * A client of the bus behind the broker. Frames go over a pair of subjects that only this connection uses; a message
 * without content ends it. Whoever is no longer there is noticed at the next message: the broker says so.
 */
export class NatsSocket implements FrameSocket {
  readonly #nc: NatsConnection
  readonly #options: NatsSocketOptions
  readonly #subscription: Subscription
  readonly #parts: FrameParts
  readonly #arrived: Uint8Array[] = []
  #arrivedBytes = 0
  readonly #left = new AbortController()
  readonly #timer: NodeJS.Timeout
  #hasLeft = false
  #sent = 0
  #wake: () => void = () => undefined

  constructor(nc: NatsConnection, options: NatsSocketOptions) {
    this.#nc = nc
    this.#options = options
    this.#parts = new FrameParts(options.maxFrameBytes * 2)
    this.#subscription = nc.subscribe(options.subjects.toServer, {
      callback: (error, message) => (error ? this.#lose() : this.#heard(message)),
    })
    this.#timer = setInterval(() => this.send(alive), aliveMs).unref()
  }

  get waiting(): number {
    return this.#sent
  }

  /** Aborts when the client is not there any more. */
  get left(): AbortSignal {
    return this.#left.signal
  }

  /** Whether it said so itself. */
  get hasLeft(): boolean {
    return this.#hasLeft
  }

  async *frames(): AsyncGenerator<Frame, void, void> {
    for (;;) {
      const frame = this.#arrived.shift()
      if (frame !== undefined) {
        this.#arrivedBytes -= frame.length
        yield frame
      } else if (this.#left.signal.aborted) return
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
    }
  }

  send(frame: Frame): void {
    if (this.#left.signal.aborted || this.#nc.isClosed()) return
    const bytes = typeof frame === 'string' ? Buffer.from(frame) : frame
    const { toClient, toServer } = this.#options.subjects
    const parts = partsOf(bytes, (this.#nc.info?.max_payload ?? Infinity) - headerBytes)
    parts.forEach((part, index) => {
      const more = index < parts.length - 1 ? { headers: moreFollows() } : {}
      this.#nc.publish(toClient, part, { reply: toServer, ...more })
    })
    this.#sent += bytes.length
  }

  get hasRoom(): boolean {
    return this.#sent <= this.#options.maxWaitingBytes
  }

  async ready(): Promise<void> {
    if (this.hasRoom) return
    this.#sent = 0
    await this.#nc.flush()
  }

  /** Tells the client that nothing further comes. */
  close(): void {
    clearInterval(this.#timer)
    this.#subscription.unsubscribe()
    if (!this.#left.signal.aborted && !this.#nc.isClosed()) this.#nc.publish(this.#options.subjects.toClient)
    this.#lose()
  }

  #heard(message: Msg): void {
    if (message.headers?.code === noResponders) return this.#lose()
    if (!this.#isTheirs(message)) return
    if (message.data.length === 0) {
      this.#hasLeft = true
      return this.#lose()
    }
    this.#arrivedBytes += message.data.length
    const isTooMuch = this.#arrivedBytes > mostArrivedFrames * this.#options.maxFrameBytes
    if (isTooMuch || this.#arrived.length >= mostArrived) return this.#lose()
    try {
      const frame = this.#parts.add(message.data, { isLast: message.headers?.has(moreHeader) !== true })
      if (frame) this.#arrived.push(frame)
    } catch {
      return this.#lose()
    }
    this.#wake()
  }

  #isTheirs({ headers: about }: Msg): boolean {
    const given = Buffer.from(about?.get(tokenHeader) ?? '')
    const token = Buffer.from(this.#options.token)
    return given.length === token.length && timingSafeEqual(given, token)
  }

  #lose(): void {
    this.#left.abort(new Error('The client has left.'))
    this.#wake()
  }
}

function moreFollows(): ReturnType<typeof headers> {
  const about = headers()
  about.set(moreHeader, '1')
  return about
}
