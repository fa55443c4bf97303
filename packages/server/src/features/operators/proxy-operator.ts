import { sleep } from '@slipway/kit/abort'
import type { Registration } from '@slipway/protocol/bus/operators'
import { AppError } from '@slipway/protocol/errors'
import {
  BrokenCircuitError,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleType,
  type CircuitBreakerPolicy,
} from 'cockatiel'
import type { Mappings } from '#features/mappings/mappings'
import type { LeasedJob } from '#features/spine/spine'
import type { Logger } from '#observe/log'
import { operatorFailed } from '#observe/operators-log'
import { HttpFailure, type GuardedHttp } from './adapters/guarded-http.ts'
import type { LinkEnd, OperatorLink, OperatorSession } from './operator-session.ts'
import { callService, type ProxyOutcome } from './proxy-call.ts'
import type { ProxyConfig } from './proxy-file.ts'

export interface ProxyDeps {
  readonly http: GuardedHttp
  readonly mappings: Mappings
  readonly log: Logger
  readonly secret: string | null
  /** Takes the proxy out for this reason, or with null in again. */
  readonly onHealth: (failing: string | null) => Promise<void>
}

const laterMs = 500

/** The service is not well; the outcome of the job is what it is. */
class Unwell extends Error {
  readonly outcome: ProxyOutcome | null

  constructor(message: string, outcome: ProxyOutcome | null = null) {
    super(message)
    this.outcome = outcome
  }
}

/**
 * The link of an operator that lives in the server: each job is one call of the service. While a breaker is open, because
 * calls or health checks failed one after the other, the proxy takes no jobs.
 */
export class ProxyOperator implements OperatorLink, AsyncDisposable {
  readonly #proxy: ProxyConfig
  readonly #deps: ProxyDeps
  readonly #breaker: CircuitBreakerPolicy
  readonly #stop = new AbortController()
  readonly #calls = new Map<string, AbortController>()
  readonly #working = new Set<Promise<void>>()
  readonly #session = Promise.withResolvers<OperatorSession>()

  constructor(proxy: ProxyConfig, deps: ProxyDeps) {
    this.#proxy = proxy
    this.#deps = deps
    this.#breaker = circuitBreaker(handleType(Unwell), {
      halfOpenAfter: proxy.health?.every_ms ?? proxy.retry_after_ms,
      breaker: new ConsecutiveBreaker(proxy.failures),
    })
    this.#breaker.onBreak(outcome => this.#broken(whyOf(outcome)))
    this.#breaker.onReset(() => this.#run(() => deps.onHealth(null)))
  }

  get registration(): Registration {
    const proxy = this.#proxy
    return {
      operatorId: proxy.id,
      operatorType: proxy.type,
      version: proxy.version,
      topics: [proxy.topic],
      supportedSchemas: proxy.schemas.length === 0 ? [] : [...new Set([...proxy.schemas, proxy.result_schema])],
      maxParallelJobs: proxy.max_parallel_jobs,
      hardwareProfile: proxy.hardware_profile,
    }
  }

  start(session: OperatorSession): void {
    this.#session.resolve(session)
    const { health } = this.#proxy
    if (health) this.#run(() => this.#watch(health))
  }

  deliver(job: LeasedJob): void {
    this.#run(() => this.#do(job))
  }

  cancelled(jobId: string, reason: string): void {
    this.#calls.get(jobId)?.abort(new AppError('cancelled', reason))
  }

  close(_reason: LinkEnd): void {
    this.#stop.abort(new AppError('cancelled', 'The proxy is closed.'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close('stopping')
    await Promise.all(this.#working)
  }

  async #do(job: LeasedJob): Promise<void> {
    const session = await this.#session.promise
    const held = { jobId: job.id, fence: job.fence }
    const own = new AbortController()
    this.#calls.set(job.id, own)
    try {
      const outcome = await this.#attempt(job, AbortSignal.any([own.signal, this.#stop.signal]))
      if (outcome === null) {
        // Somebody else tries whether the service is well again.
        await sleep(laterMs, this.#stop.signal)
        await session.giveBack(held)
      } else if (outcome.type === 'done') await this.#ack(session, job, outcome)
      else await session.nack(held, outcome.failure)
    } catch (error) {
      if (this.#stop.signal.aborted) return
      if (own.signal.aborted) await session.nack(held, { reason: 'It was cancelled.', isRetryable: false })
      else throw error
    } finally {
      this.#calls.delete(job.id)
    }
  }

  /** Null where the service is not to be asked now. */
  async #attempt(job: LeasedJob, signal: AbortSignal): Promise<ProxyOutcome | null> {
    const { http, mappings, secret } = this.#deps
    try {
      return await this.#breaker.execute(async () => {
        const outcome = await callService(this.#proxy, job, { http, mappings, secret, signal })
        if (outcome.type === 'failed' && outcome.isFault) throw new Unwell(outcome.failure.reason, outcome)
        return outcome
      })
    } catch (error) {
      if (error instanceof Unwell) return error.outcome
      if (error instanceof BrokenCircuitError) return null
      throw error
    }
  }

  async #ack(session: OperatorSession, job: LeasedJob, { result }: ProxyOutcome & { type: 'done' }): Promise<void> {
    const held = { jobId: job.id, fence: job.fence }
    try {
      await session.ack(held, result)
    } catch (error) {
      if (!(error instanceof AppError) || !['payload.invalid', 'input.invalid'].includes(error.code)) throw error
      await session.nack(held, { reason: `The service's answer is refused: ${error.message}`, isRetryable: false })
    }
  }

  #broken(reason: string): void {
    this.#run(() => this.#deps.onHealth(reason))
    // With a health check that one finds out when the service is well again; otherwise the next job does.
    if (this.#proxy.health === undefined) this.#run(() => this.#tryAgain())
  }

  async #tryAgain(): Promise<void> {
    await sleep(this.#proxy.retry_after_ms, this.#stop.signal)
    await this.#deps.onHealth(null)
  }

  async #watch(health: NonNullable<ProxyConfig['health']>): Promise<void> {
    for (;;) {
      await this.#breaker
        .execute(() => this.#probe(health))
        .catch((error: unknown) => {
          if (!(error instanceof Unwell || error instanceof BrokenCircuitError)) throw error
        })
      const isOpen = this.#breaker.state === CircuitState.Open
      // A little later than the breaker lets the next one through.
      await sleep(health.every_ms + (isOpen ? 5 : 0), this.#stop.signal)
    }
  }

  async #probe({ url, timeout_ms: timeoutMs }: NonNullable<ProxyConfig['health']>): Promise<void> {
    const { http, secret } = this.#deps
    const { auth, headers, max_response_bytes: maxBytes } = this.#proxy
    const own: Record<string, string> = auth && secret !== null ? { [auth.header]: auth.prefix + secret } : {}
    const call = { url: new URL(url), method: 'GET', headers: { ...headers, ...own }, body: null }
    try {
      const { status } = await http.call({ ...call, timeoutMs, maxBytes, signal: this.#stop.signal })
      if (status < 200 || status > 299) throw new Unwell(`Its health check answers with status ${status}.`)
    } catch (error) {
      if (error instanceof HttpFailure) throw new Unwell(`Its health check fails: ${error.message}`)
      throw error
    }
  }

  #run(work: () => Promise<void>): void {
    const promise: Promise<void> = work()
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted || (error instanceof AppError && error.code === 'lease.lost')) return
        operatorFailed(this.#deps.log, { id: this.#proxy.id, doing: 'calling the service', error })
      })
      .finally(() => this.#working.delete(promise))
    this.#working.add(promise)
  }
}

function whyOf(outcome: object): string {
  return 'error' in outcome && outcome.error instanceof Error ? outcome.error.message : 'It fails.'
}
