import type { Envelope } from '@slipway/protocol/bus/envelope'
import { fromWireEnvelope, fromWireError, type ClientBody, type ServerBody } from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import type { BusConnection } from './bus-connection.ts'
import type { BusLink } from './bus-link.ts'

export interface FollowBusOptions {
  /**
   * The number of the last message that the reader has: `seq` of topics, `n` of a job's stream. Without it a topic begins
   * with what is new, and a stream with its first piece.
   */
  readonly after?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Messages that may wait in memory for the reader; 64 unless said otherwise. */
  readonly window?: number | undefined
  /** Told once the server follows, with the number behind which messages come. */
  readonly onReady?: ((after: number) => void) | undefined
}

const againMs = 500

type Source = Extract<Extract<ClientBody, { readonly case: 'subscribe' }>['value']['source'], { readonly case: string }>
type Heard = Extract<ServerBody, { readonly case: 'message' | 'unsubscribed' | 'error' }>

interface Reader {
  readonly id: number
  readonly source: Source
  readonly window: number
  readonly options: FollowBusOptions
  readonly waiting: Envelope[]
  after: number | undefined
  /** Taken since the server was last given credit. */
  taken: number
  connection: BusConnection | null
  end: { readonly error: unknown } | 'finished' | null
  wake: () => void
}

/** What one program follows over one link; each goes on behind its last message with every new connection. */
export class BusReaders {
  readonly #link: BusLink
  readonly #open = new Map<number, Reader>()
  #last = 0

  constructor(link: BusLink) {
    this.#link = link
  }

  async *follow(source: Source, options: FollowBusOptions): AsyncGenerator<Envelope, void, void> {
    const { signal } = options
    signal?.throwIfAborted()
    const reader = this.#reader(source, options)
    const over = AbortSignal.any([this.#link.over, ...(signal ? [signal] : [])])
    const onOver = (): void => {
      reader.end ??= { error: over.reason }
      reader.wake()
    }
    over.addEventListener('abort', onOver, { once: true })
    if (over.aborted) onOver()
    try {
      // Failing is told by the reader's end.
      void this.#link.connection({ signal: over }).then(
        connection => this.#subscribe(reader, connection),
        () => undefined,
      )
      for (;;) {
        const envelope = reader.waiting.shift()
        if (envelope !== undefined) {
          this.#giveCredit(reader)
          yield envelope
        } else if (reader.end === 'finished') return
        else if (reader.end !== null) throw reader.end.error
        else
          await new Promise<void>(resolve => {
            reader.wake = resolve
          })
      }
    } finally {
      over.removeEventListener('abort', onOver)
      this.#open.delete(reader.id)
      if (reader.end === null) reader.connection?.send({ case: 'unsubscribe', value: { subscription: reader.id } })
    }
  }

  heard(body: Heard): void {
    const id = body.value.subscription
    const reader = this.#open.get(id)
    if (!reader) return
    if (body.case === 'error') this.#failed(reader, fromWireError(body.value))
    else if (body.case === 'unsubscribed') reader.end = 'finished'
    else this.#take(reader, body.value.envelope)
    reader.wake()
  }

  /** Goes on with everything that was followed. */
  async resume(connection: BusConnection): Promise<void> {
    await Promise.all([...this.#open.values()].map(reader => this.#subscribe(reader, connection)))
  }

  lost(): void {
    for (const reader of this.#open.values()) reader.connection = null
  }

  #reader(source: Source, options: FollowBusOptions): Reader {
    this.#last += 1
    const { after, window = 64 } = options
    const id = this.#last
    const rest = { waiting: [], taken: 0, connection: null, end: null, wake: () => undefined }
    const reader: Reader = { id, source, options, after, window: Math.max(1, window), ...rest }
    this.#open.set(id, reader)
    return reader
  }

  async #subscribe(reader: Reader, connection: BusConnection): Promise<void> {
    if (reader.connection === connection || reader.end !== null) return
    reader.connection = connection
    reader.taken = 0
    const { id, source, after, window, waiting } = reader
    const place = after === undefined ? {} : { after: BigInt(after) }
    const credit = window - waiting.length
    try {
      const value = { subscription: id, source, credit, ...place }
      const reply = await connection.ask({ case: 'subscribe', value }, 'subscribed')
      reader.after ??= Number(reply.after)
      reader.options.onReady?.(Number(reply.after))
    } catch (error) {
      // A lost connection is made again, and this with it.
      if (error instanceof AppError && error.code === 'server.unreachable') return
      this.#failed(reader, error)
      reader.wake()
    }
  }

  /** What passes, such as a server without its database, is tried again behind the last message. */
  #failed(reader: Reader, error: unknown): void {
    const { connection } = reader
    if (connection === null || !(error instanceof AppError && error.retryable)) {
      reader.end = { error }
      return
    }
    setTimeout(() => {
      if (reader.connection !== connection || reader.end !== null || !this.#open.has(reader.id)) return
      reader.connection = null
      void this.#subscribe(reader, connection)
    }, againMs)
  }

  #take(reader: Reader, wire: Extract<Heard, { readonly case: 'message' }>['value']['envelope']): void {
    if (wire === undefined) return
    try {
      const envelope = fromWireEnvelope(wire)
      reader.waiting.push(envelope)
      reader.after = reader.source.case === 'topic' ? envelope.seq : (envelope.n ?? reader.after)
    } catch (error) {
      reader.end = { error }
    }
  }

  /** Half a window at a time, so that the server never has to wait for it. */
  #giveCredit(reader: Reader): void {
    reader.taken += 1
    if (reader.taken < reader.window / 2) return
    reader.connection?.send({ case: 'credit', value: { subscription: reader.id, messages: reader.taken } })
    reader.taken = 0
  }
}
