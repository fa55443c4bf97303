import { sleep } from '@slipway/kit/abort'
import pg from 'pg'
import type { Channel, NoticeHandler } from './backend.ts'
import { Handlers } from './handlers.ts'

const firstPauseMs = 100
const longestPauseMs = 5_000
// A connection that a network has silently dropped brings no notification and no error either.
const heartbeatMs = 10_000

/**
 * Hears notifications on a connection of its own, which opens with the first handler and again whenever it was lost.
 * Handlers get null each time it opens: what was told before went by unheard.
 */
export class PostgresListener implements AsyncDisposable {
  readonly #options: pg.ClientConfig
  readonly #handlers = new Handlers()
  readonly #stop = new AbortController()
  #working: Promise<void> | null = null
  #client: pg.Client | null = null

  constructor(options: pg.ClientConfig) {
    this.#options = options
  }

  listen(channel: Channel, handler: NoticeHandler): Disposable {
    const isNew = !this.#handlers.channels().includes(channel)
    const added = this.#handlers.add(channel, handler)
    // Where this fails, the connection is lost, and the next one begins with all channels.
    if (isNew && this.#client) this.#hear(this.#client, channel).catch(() => undefined)
    this.#working ??= this.#work()
    return added
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#working
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop
    let pauseMs = firstPauseMs
    while (!signal.aborted) {
      const opened = performance.now()
      await this.#connected().catch(() => undefined)
      const heldMs = performance.now() - opened
      pauseMs = heldMs > longestPauseMs ? firstPauseMs : Math.min(pauseMs * 2, longestPauseMs)
      await sleep(pauseMs, signal).catch(() => undefined)
    }
  }

  /** One connection; rejects when it is lost or no longer needed. */
  async #connected(): Promise<never> {
    const client = new pg.Client(this.#options)
    const lost = new Promise<never>((_resolve, reject) => {
      client.on('error', reject)
      client.on('end', () => reject(new Error('The connection was closed.')))
    })
    lost.catch(() => undefined)
    try {
      await client.connect()
      client.on('notification', ({ channel, payload }) => this.#handlers.tell(channel, payload ?? ''))
      this.#client = client
      for (const channel of this.#handlers.channels()) await this.#hear(client, channel)
      for (;;) {
        await Promise.race([sleep(heartbeatMs, this.#stop.signal), lost])
        await client.query('select 1')
      }
    } finally {
      this.#client = null
      client.end().catch(() => undefined)
    }
  }

  async #hear(client: pg.Client, channel: Channel): Promise<void> {
    await client.query(`listen ${channel}`)
    this.#handlers.tell(channel, null)
  }
}
