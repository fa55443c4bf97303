import { orAbort, sleep } from '@slipway/kit/abort'
import pg from 'pg'
import type { Channel, NoticeHandler } from './backend.ts'
import { DatabaseUnavailable } from './faults.ts'
import { Handlers } from './handlers.ts'
import { lossSettings, postgresTimes } from './postgres-times.ts'

const firstPauseMs = 100
const longestPauseMs = 5_000
const joinWithinMs = 15_000
// What cut one server off may have cut off all, as a restart of Postgres does. Each is back after its longest pause.
const returningMs = 2 * longestPauseMs

/**
 * Hears notifications on a connection of its own, which opens with the first use and again whenever it was lost.
 * Handlers get null each time it opens: what was told before went by unheard.
 *
 * Its locks show the others that this server lives: they end with the connection, and so with the process.
 */
export class PostgresListener implements AsyncDisposable {
  readonly #options: pg.ClientConfig
  readonly #timeoutMs: number
  readonly #handlers = new Handlers()
  readonly #stop = new AbortController()
  #working: Promise<void> | null = null
  #client: pg.Client | null = null
  /** The server that this connection shows, and what resolves once it does. */
  #joined: { readonly server: string; readonly shown: PromiseWithResolvers<void> } | null = null
  /** As `performance.now()` says it. */
  #tellsFrom = Infinity

  constructor(options: pg.ClientConfig, { timeoutMs }: { readonly timeoutMs: number }) {
    this.#options = options
    this.#timeoutMs = timeoutMs
  }

  listen(channel: Channel, handler: NoticeHandler): Disposable {
    const isNew = !this.#handlers.channels().includes(channel)
    const added = this.#handlers.add(channel, handler)
    // Where this fails, the connection is lost, and the next one begins with all channels.
    if (isNew && this.#client) this.#hear(this.#client, channel).catch(() => undefined)
    this.#working ??= this.#work()
    return added
  }

  /** Rejects with `DatabaseUnavailable` when there is no connection within a while. */
  async join(server: string): Promise<void> {
    const joined = { server, shown: Promise.withResolvers<void>() }
    this.#joined = joined
    if (this.#client) this.#show(this.#client).catch(() => undefined)
    this.#working ??= this.#work()
    const late = new DatabaseUnavailable('The database takes no connection that listens.')
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(joinWithinMs)])
    await orAbort(joined.shown.promise, signal).catch(() => Promise.reject(late))
  }

  /** Whether the lock of a server that nobody holds means, at this moment, that it is gone. */
  get tells(): boolean {
    return this.#client !== null && performance.now() >= this.#tellsFrom
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
    // A connection that a network has silently dropped brings no notification and no error either.
    const { heartbeatMs } = postgresTimes(this.#timeoutMs)
    const lost = new Promise<never>((_resolve, reject) => {
      client.on('error', reject)
      client.on('end', () => reject(new Error('The connection was closed.')))
    })
    lost.catch(() => undefined)
    try {
      await client.connect()
      await client.query(`select ${lossSettings(this.#timeoutMs)}`)
      client.on('notification', ({ channel, payload }) => this.#handlers.tell(channel, payload ?? ''))
      // Of a first connection nobody can say that it broke together with those of others.
      this.#tellsFrom = this.#tellsFrom === Infinity ? 0 : performance.now() + returningMs
      await this.#show(client)
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

  // Shared, since an earlier connection of this server may be alive on Postgres' side for a while.
  async #show(client: pg.Client): Promise<void> {
    if (!this.#joined) return
    const { server, shown } = this.#joined
    await client.query(`select pg_advisory_lock_shared(${lockOf('$1')})`, [server])
    shown.resolve()
  }

  async #hear(client: pg.Client, channel: Channel): Promise<void> {
    await client.query(`listen ${channel}`)
    this.#handlers.tell(channel, null)
  }
}

/** The number of the lock that shows a server, among all that are made from names. */
export function lockOf(server: string): string {
  return `hashtextextended('server ' || ${server}, 0)`
}
