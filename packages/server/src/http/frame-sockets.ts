import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import type { Access } from '@slipway/protocol/scopes'
import type { Identity } from './authenticate.ts'
import { keepAlive, moved, Stalled, type SocketTimes } from './socket-life.ts'

/** What a client sent in one message: bytes, or text. */
export type Frame = Uint8Array | string

/** One client's socket that speaks frames of its own, both ways. */
export interface FrameSocket {
  /**
   * What the client sends, in order. While nobody takes it, nothing more is read from the client. Ends when it has left,
   * so that it is known by then how.
   */
  frames(): AsyncGenerator<Frame, void, void>
  /** Sends at once, whatever waits for the client already; nothing once it has left. */
  send(frame: Frame): void
  /** Whether little waits for the client. */
  readonly hasRoom: boolean
  /** Resolves while little waits for the client. Rejects with `Stalled` when it takes nothing for too long. */
  ready(): Promise<void>
  /** Bytes that wait for the client. */
  readonly waiting: number
}

export interface FrameRequest {
  readonly identity: Identity
  readonly requestId: string
  /** Aborts when the client leaves, its token ends or the server stops. */
  readonly signal: AbortSignal
  /** Why the server ends it, where it does. */
  readonly endedBy: () => 'server_stopping' | 'unauthorized' | null
  /** Whether the client closed the connection itself; one that breaks was closed by nobody. */
  readonly hasLeft: () => boolean
}

export interface FrameEnd {
  /** Of WebSocket, 1000 or 3000 to 4999. */
  readonly code: number
  readonly reason: string
}

export interface FrameSocketRoute {
  readonly path: string
  readonly scope: Access
  /** Larger frames are still handed over up to a little more, so that they can be answered; what is larger ends the socket. */
  readonly maxFrameBytes: number
  /** Bytes that may wait for the client before it counts as slow. */
  readonly maxWaitingBytes: number
  /** Serves one client to its end, after which the socket is closed. */
  readonly serve: (socket: FrameSocket, request: FrameRequest) => Promise<FrameEnd>
  /** Called with the size bound exceeded: the socket ends. */
  readonly onTooLarge: () => void
}

export interface FrameOptions {
  /** The connection below the client. */
  readonly connection: Socket
  readonly stopping: AbortSignal
  readonly revoked: AbortSignal
  readonly times: SocketTimes
  readonly identity: Identity
  readonly requestId: string
  readonly onError: (error: unknown) => void
}

const framesAhead = 16
const closeAfterMs = 2_000

/** Runs one client's socket to its end. Never rejects. */
export async function serveFrames(client: WebSocket, route: FrameSocketRoute, options: FrameOptions): Promise<void> {
  const left = new AbortController()
  const { stopping, revoked, times } = options
  let closedWith: number | null = null
  client.on('close', code => {
    closedWith = code
    left.abort(new Error('The client has left.'))
  })
  client.on('error', (error: Error & { readonly code?: string }) => {
    if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') route.onTooLarge()
    client.terminate()
  })
  const stopPings = keepAlive(client, times)
  try {
    const { code, reason } = await route.serve(new ClientFrames(client, route, options), {
      identity: options.identity,
      requestId: options.requestId,
      signal: AbortSignal.any([left.signal, stopping, revoked]),
      // 1005 is a close without a code; 1006 none at all.
      hasLeft: () => closedWith === 1000 || closedWith === 1001 || closedWith === 1005,
      endedBy: () => (stopping.aborted ? 'server_stopping' : revoked.aborted ? 'unauthorized' : null),
    })
    client.close(code, reason)
  } catch (error) {
    options.onError(error)
    client.close(1011, 'internal')
  } finally {
    stopPings()
    client.removeAllListeners('message')
    if (client.isPaused) client.resume()
    // A client that is behind may never take the last frame; the connection must not outlive it.
    setTimeout(() => client.terminate(), closeAfterMs).unref()
  }
}

class ClientFrames implements FrameSocket {
  readonly #client: WebSocket
  readonly #connection: Socket
  readonly #maxWaiting: number
  readonly #stallMs: number
  readonly #arrived: Frame[] = []
  #wake: () => void = () => undefined
  #drained: Promise<void> | null = null
  #isHeld = false

  constructor(client: WebSocket, { maxWaitingBytes }: FrameSocketRoute, { connection, times }: FrameOptions) {
    this.#client = client
    this.#connection = connection
    this.#maxWaiting = maxWaitingBytes
    this.#stallMs = times.stallMs
    client.on('message', (data, isBinary) => {
      const bytes = data as Buffer
      this.#arrived.push(isBinary ? bytes : bytes.toString())
      if (this.#arrived.length >= framesAhead) client.pause()
      this.#wake()
    })
    client.on('close', () => this.#wake())
  }

  get waiting(): number {
    return this.#client.bufferedAmount
  }

  async *frames(): AsyncGenerator<Frame, void, void> {
    for (;;) {
      const frame = this.#arrived.shift()
      if (frame !== undefined) {
        if (this.#client.isPaused && this.#arrived.length < framesAhead / 2) this.#client.resume()
        yield frame
      } else if (this.#client.readyState === this.#client.CLOSED) return
      else
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
    }
  }

  send(frame: Frame): void {
    if (this.#client.readyState !== this.#client.OPEN) return
    this.#hold()
    this.#client.send(frame)
  }

  get hasRoom(): boolean {
    return this.waiting <= this.#maxWaiting
  }

  ready(): Promise<void> {
    if (this.hasRoom) return Promise.resolve()
    this.#drained ??= this.#drain().finally(() => (this.#drained = null))
    return this.#drained
  }

  /** What one commit has to tell goes to the network in one piece: each frame by itself would cost several times as much. */
  #hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#connection.cork()
    process.nextTick(() => {
      this.#isHeld = false
      this.#connection.uncork()
    })
  }

  async #drain(): Promise<void> {
    const client = this.#client
    for (let before = this.waiting; before > this.#maxWaiting && client.readyState === client.OPEN;) {
      await moved(client, this.#stallMs)
      if (client.readyState === client.OPEN && this.waiting >= before)
        throw new Stalled('The client takes nothing of what is sent to it.')
      before = this.waiting
    }
  }
}
