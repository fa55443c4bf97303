import { Socket } from 'node:net'
import { sleep } from '@slipway/kit/abort'

const goodbyeMs = 2_000

/** The sockets of all connections to one database, so that a database that no longer answers cannot keep us from closing. */
export class Sockets {
  readonly #open = new Set<Socket>()

  /** A socket for the next connection. */
  readonly create = (): Socket => {
    const socket = new Socket()
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  /** Waits a moment for `goodbye`, then cuts what is still open. */
  async closeAfter(goodbye: Promise<unknown>): Promise<void> {
    const late = new AbortController()
    await Promise.race([goodbye.catch(() => undefined), sleep(goodbyeMs, late.signal).catch(() => undefined)])
    late.abort()
    for (const socket of this.#open) socket.destroy()
  }
}
