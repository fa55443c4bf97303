import { sleep } from '@slipway/kit/abort'
import type { ClientBodyInit, ServerBody } from '@slipway/protocol/bus/frames'
import type { Registration } from '@slipway/protocol/bus/operators'
import { AppError } from '@slipway/protocol/errors'
import type { BusConnection, BusEnd, ServerBodyOf } from './bus-connection.ts'
import { askUntilAnswered, BusLink, type BusState } from './bus-link.ts'
import { RunningJob, type JobFrame } from './operator-running-job.ts'
import { workOf, type JobHandler, type Subscription, type Work } from './operator-job.ts'

export interface OperatorOptions {
  readonly id: string
  /** What kind of work it does, such as `genesis`. */
  readonly type: string
  readonly version?: string | undefined
  /** Jobs at a time; the server never hands over more, also to several connections. */
  readonly maxParallelJobs?: number | undefined
  readonly hardwareProfile?: Registration['hardwareProfile']
  /** Ends the operator as `close` does. */
  readonly signal?: AbortSignal | undefined
  /** Told whenever the connection is there, or is lost and tried again. */
  readonly onState?: ((state: BusState) => void) | undefined
  /** How long a connection may take in milliseconds. */
  readonly timeoutMs?: number | undefined
}

/** A program that does jobs of a server. */
export interface Operator extends AsyncDisposable {
  /**
   * Does the jobs of a topic. The operator connects with the first subscription; further ones belong right behind it,
   * before anything is waited for, and throw `input.invalid` later.
   */
  subscribe<In = unknown, Out = unknown>(
    topic: string,
    handler: JobHandler<In, Out>,
    subscription?: Subscription<In, Out>,
  ): void
  /** Takes no further jobs, ends those it has, and then leaves. */
  drain(): Promise<void>
  /** Leaves at once: jobs are given back. */
  close(): Promise<void>
  /**
   * Resolves when the operator has left; rejects where it cannot go on: its token opens nothing, its registration is
   * refused, or another program has connected as it.
   */
  readonly ended: Promise<void>
}

/** Ends after which coming back would not help. */
const finalReasons: ReadonlySet<string> = new Set(['replaced', 'drained', 'deleted', 'unauthorized'])

/** Does jobs for the server at `url`, or at a broker that it serves too; begins with the first `subscribe`. */
export function connectOperator(url: string, token: string | undefined, options: OperatorOptions): Operator {
  return new ConnectedOperator(url, token, options)
}

class ConnectedOperator implements Operator {
  readonly ended: Promise<void>
  readonly #url: string
  readonly #token: string | undefined
  readonly #options: OperatorOptions
  readonly #works = new Map<string, Work>()
  readonly #jobs = new Map<string, RunningJob>()
  readonly #stop = new AbortController()
  readonly #end = Promise.withResolvers<void>()
  readonly #link = Promise.withResolvers<BusLink>()
  #beating = new AbortController()
  #hasStarted = false
  #onIdle: () => void = () => undefined

  constructor(url: string, token: string | undefined, options: OperatorOptions) {
    this.#url = url
    this.#token = token
    this.#options = options
    this.ended = this.#end.promise
    // Whoever does not wait for the end is not to be ended by it.
    this.ended.catch(() => undefined)
    this.#link.promise.catch(() => undefined)
    options.signal?.addEventListener('abort', () => void this.close(), { once: true })
  }

  subscribe<In, Out>(topic: string, handler: JobHandler<In, Out>, subscription: Subscription<In, Out> = {}): void {
    if (this.#hasStarted)
      throw new AppError('input.invalid', 'Subscribe to all topics at once, before the operator connects.')
    if (this.#works.size === 0)
      queueMicrotask(() => {
        this.#hasStarted = true
        if (!this.#stop.signal.aborted) this.#connect()
      })
    this.#works.set(topic, workOf(topic, handler, subscription))
  }

  async drain(): Promise<void> {
    if (this.#hasStarted && !this.#stop.signal.aborted)
      await this.#tell({ case: 'drain', value: { reason: 'The operator is ending.' } }, 'accepted').catch(
        () => undefined,
      )
    if (this.#jobs.size > 0)
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    await this.close()
  }

  async close(): Promise<void> {
    this.#finish(null)
    await this.ended.catch(() => undefined)
    // Its last words are to get there before the program ends.
    const link = await this.#link.promise.catch(() => null)
    await link?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #connect(): void {
    const link = new BusLink(
      {
        url: this.#url,
        token: this.#token,
        client: `operator ${this.#options.id}`,
        timeoutMs: this.#options.timeoutMs,
        onState: this.#options.onState,
      },
      {
        onOpen: connection => this.#register(connection),
        onFrame: body => this.#heard(body),
        onEnd: end => this.#disconnected(end),
      },
    )
    this.#link.resolve(link)
    const over = (): void => this.#finish(link.over.reason)
    if (link.over.aborted) over()
    else link.over.addEventListener('abort', over, { once: true })
    this.#stop.signal.addEventListener('abort', () => void link.close(), { once: true })
  }

  async #register(connection: BusConnection): Promise<void> {
    const { heartbeatMs } = await connection.ask({ case: 'register', value: this.#registration() }, 'registered')
    this.#beating.abort()
    this.#beating = new AbortController()
    const everyMs = Math.max(20, Number(heartbeatMs))
    // A server that cannot hear it takes it for lost after three times, so that it comes back before its leases end.
    connection.watch(everyMs)
    void this.#beat(connection, { everyMs, signal: this.#beating.signal })
  }

  #disconnected({ reason, message }: BusEnd): void {
    this.#beating.abort()
    if (finalReasons.has(reason)) this.#finish(finalError(reason, message))
  }

  #registration(): Extract<ClientBodyInit, { readonly case: 'register' }>['value'] {
    const { id, type, version, maxParallelJobs = 1, hardwareProfile = 'cpu' } = this.#options
    const works = [...this.#works.values()]
    return {
      operatorId: id,
      operatorType: type,
      topics: works.map(({ topic }) => topic),
      supportedSchemas: [...new Set(works.flatMap(({ schema, resultSchema }) => [schema, resultSchema]))],
      maxParallelJobs,
      hardwareProfile,
      version: version ?? '0',
    }
  }

  #heard(body: ServerBody): void {
    if (body.case === 'job') this.#begin(body.value)
    else if (body.case === 'cancel') this.#jobs.get(body.value.jobId)?.cancel(body.value.reason)
  }

  #begin(frame: JobFrame): void {
    const work = this.#works.get(frame.topic)
    // The same job once more, under another lease: what runs of it is in vain.
    this.#jobs.get(frame.id)?.cancel('It was handed out anew.')
    if (work === undefined) return
    const job = new RunningJob(frame, work, (body, expected) => this.#tell(body, expected))
    this.#jobs.set(frame.id, job)
    void job.done.then(() => {
      if (this.#jobs.get(frame.id) === job) this.#jobs.delete(frame.id)
      if (this.#jobs.size === 0) this.#onIdle()
    })
  }

  /** Keeps the leases, and tells what jobs have to say. */
  async #beat(
    connection: BusConnection,
    { everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    while (!signal.aborted) {
      const jobs = [...this.#jobs.values()]
      if (jobs.length === 0) connection.send({ case: 'heartbeat', value: {} })
      await Promise.all(jobs.map(job => job.beat()))
      await sleep(everyMs, signal).catch(() => undefined)
    }
  }

  async #tell<Case extends ServerBody['case']>(body: ClientBodyInit, expected: Case): Promise<ServerBodyOf<Case>> {
    return askUntilAnswered(await this.#link.promise, body, { expected, signal: this.#stop.signal })
  }

  #finish(error: unknown): void {
    if (this.#stop.signal.aborted) return
    const reason = error ?? new AppError('cancelled', 'The operator is closed.')
    this.#stop.abort(reason)
    for (const job of this.#jobs.values()) job.cancel('The operator is closed.')
    this.#beating.abort()
    this.#link.reject(reason)
    this.#onIdle()
    if (error === null) this.#end.resolve()
    else this.#end.reject(error)
  }
}

function finalError(reason: string, message: string): AppError | null {
  if (reason === 'drained') return null
  if (reason === 'unauthorized') return new AppError('auth.required', message || 'The token opens nothing any more.')
  const what = reason === 'replaced' ? 'Another program has connected as this operator.' : 'The operator was deleted.'
  return new AppError('operator.offline', message || what)
}
