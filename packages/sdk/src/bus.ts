import type { Envelope, Trace } from '@slipway/protocol/bus/envelope'
import type { ClientBodyInit, ServerBody } from '@slipway/protocol/bus/frames'
import type { PublishJob } from '@slipway/protocol/bus/jobs'
import { topicKind } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import { BusLink, type BusLinkOptions } from './bus-link.ts'
import { BusReaders, type FollowBusOptions } from './bus-readers.ts'
import { writeJson } from './json.ts'

export type BusOptions = Omit<BusLinkOptions, 'url' | 'token'>

/** What is published: to a topic that ends in `.jobs` a job, to any other an event. */
export interface Publication extends Pick<PublishJob, 'topic' | 'schema'> {
  /** Bytes as they are; anything else is written as JSON. */
  readonly payload: unknown
  readonly trace?: Trace | undefined
  /** How a job is to be done. Without an idempotency key it gets one of its own. */
  readonly job?: JobOptions | undefined
}

export type JobOptions = Pick<
  PublishJob,
  'idempotencyKey' | 'priority' | 'delayMs' | 'orderingKey' | 'deadlineMs' | 'maxAttempts' | 'backoff'
>

export interface PublishedId {
  /** Of the message, or of the job. */
  readonly id: string
  /** False for a job whose idempotency key was known. */
  readonly isNew: boolean
}

/**
 * The bus of a server, over one socket that is made again whenever it is lost. Rejections are `AppError`s with the
 * server's code, or the reason of a signal.
 */
export interface Bus extends AsyncDisposable {
  /**
   * Resolves once the message is on the server's disk. A job is sent again when the connection is lost, and is one job
   * nevertheless. An event is not: `server.unreachable` then leaves open whether it was published. Waits while many of
   * this program's publications are under way.
   */
  publish(publication: Publication, options?: { readonly signal?: AbortSignal | undefined }): Promise<PublishedId>
  /**
   * Messages of a topic, each once and in order, through lost connections. The server sends no more than the reader has
   * room for. Leaving the loop ends it.
   */
  subscribe(topic: string, options?: FollowBusOptions): AsyncGenerator<Envelope, void, void>
  /** The stream of a job, and its result as the last. Rejects with `job.unknown`. */
  followJob(jobId: string, options?: FollowBusOptions): AsyncGenerator<Envelope, void, void>
  /** Waits for what is under way, and ends the connection. */
  close(): Promise<void>
}

const mostInFlight = 256
const mostWaitingBytes = 4_194_304
const waitMs = 5

/** Connects to the bus of the server at `url`. Rejects with `auth.required`, or when no server answers in time. */
export async function connectBus(url: string, token?: string, options: BusOptions = {}): Promise<Bus> {
  const bus = new LinkedBus({ ...options, url, token })
  try {
    await bus.connected()
    return bus
  } catch (error) {
    await bus.end()
    throw error
  }
}

class LinkedBus implements Bus {
  readonly #link: BusLink
  readonly #readers: BusReaders
  readonly #underWay = new Set<Promise<unknown>>()
  #onFree = Promise.withResolvers<void>()
  /** Keys that rise are found beside each other in the server's index; one for each publication is as good as any. */
  readonly #name = crypto.randomUUID()
  #published = 0

  constructor(options: BusLinkOptions) {
    this.#link = new BusLink(options, {
      onFrame: body => this.#heard(body),
      onOpen: connection => this.#readers.resume(connection),
      onEnd: () => this.#readers.lost(),
    })
    this.#readers = new BusReaders(this.#link)
  }

  async connected(): Promise<void> {
    await this.#link.connection()
  }

  async publish(
    publication: Publication,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<PublishedId> {
    this.#published += 1
    const body = publishFrame(publication, `${this.#name}-${this.#published}`)
    while (this.#underWay.size >= mostInFlight) await this.#onFree.promise
    signal?.throwIfAborted()
    const published = this.#publish(body, { isJob: topicKind(publication.topic) === 'jobs', signal })
    this.#underWay.add(published)
    const done = (): void => {
      this.#underWay.delete(published)
      this.#onFree.resolve()
      this.#onFree = Promise.withResolvers()
    }
    published.then(done, done)
    return published
  }

  subscribe(topic: string, options: FollowBusOptions = {}): AsyncGenerator<Envelope, void, void> {
    return this.#readers.follow({ case: 'topic', value: topic }, options)
  }

  followJob(jobId: string, options: FollowBusOptions = {}): AsyncGenerator<Envelope, void, void> {
    return this.#readers.follow({ case: 'jobId', value: jobId }, options)
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await this.end()
  }

  async end(): Promise<void> {
    await this.#link.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
  }

  async #publish(
    body: ClientBodyInit,
    { isJob, signal }: { readonly isJob: boolean; readonly signal: AbortSignal | undefined },
  ): Promise<PublishedId> {
    const giveUpAt = performance.now() + this.#link.timeoutMs
    const leftMs = (): number => giveUpAt - performance.now()
    for (;;) {
      const connection = await this.#link.connection({ signal, timeoutMs: leftMs() })
      while (connection.waitingBytes > mostWaitingBytes && leftMs() > 0) await pause(signal)
      try {
        const { id, known } = await connection.ask(body, 'published', { signal, timeoutMs: leftMs() })
        return { id, isNew: !known }
      } catch (error) {
        signal?.throwIfAborted()
        if (leftMs() <= 0) throw new AppError('server.unreachable', 'The server did not answer in time.')
        const isLost = error instanceof AppError && error.code === 'server.unreachable'
        if (!isLost || !isJob) throw error
      }
    }
  }

  #heard(body: ServerBody): void {
    if (body.case === 'message' || body.case === 'unsubscribed' || body.case === 'error') this.#readers.heard(body)
  }
}

function publishFrame({ topic, schema, payload, trace, job }: Publication, key: string): ClientBodyInit {
  const bytes = payload instanceof Uint8Array ? payload : new TextEncoder().encode(writeJson(payload))
  const isJob = topicKind(topic) === 'jobs'
  const { delayMs, deadlineMs, backoff, idempotencyKey, ...same } = job ?? {}
  const options = {
    ...defined(same),
    idempotencyKey: idempotencyKey ?? key,
    ...(delayMs !== undefined && { delayMs: BigInt(delayMs) }),
    ...(deadlineMs !== undefined && { deadlineMs: BigInt(deadlineMs) }),
    ...(backoff && { backoff: { firstMs: BigInt(backoff.firstMs), ceilingMs: BigInt(backoff.ceilingMs) } }),
  }
  const common = { topic, schema, payload: new Uint8Array(bytes), trace: trace ?? {} }
  if (job !== undefined && !isJob)
    throw new AppError('input.invalid', `${topic} takes no jobs. Those go to topics that end in .jobs.`)
  return { case: 'publish', value: isJob ? { ...common, job: options } : common }
}

type Defined<Fields> = { readonly [Name in keyof Fields]?: Exclude<Fields[Name], undefined> }

function defined<Fields extends object>(fields: Fields): Defined<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<Fields>
}

/** Browsers do not say when the network has taken what waits. */
function pause(signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  return new Promise(resolve => setTimeout(resolve, waitMs))
}
