import { AppError } from '@slipway/protocol/errors'
import type { CheckOperator, Evidence, OperatorView } from '@slipway/protocol/operators'
import type { Spine } from '#features/spine/spine'

export interface CheckDeps {
  readonly organisation: string
  readonly spine: Spine
  readonly now: () => number
  /** Breaks the operator's connection. */
  readonly cut: () => Promise<void>
}

export interface Found {
  readonly check: Evidence['check']
  readonly jobs: number
  readonly durationMs: number
  /** Why it did not pass; null where it did. */
  readonly reason: string | null
}

type Asked = CheckOperator

/** One check after the other, each with jobs of its own in the queue of the topic. */
export async function* checkOperator(
  operator: OperatorView,
  asked: Asked,
  deps: CheckDeps,
): AsyncGenerator<Found, void, void> {
  for (const check of ['schema', 'load', 'fault'] as const) {
    const trial = new Trial(operator, asked, deps)
    const began = performance.now()
    let reason: string | null = null
    try {
      await trial[check]()
    } catch (error) {
      if (!(error instanceof Failed || error instanceof AppError)) throw error
      reason = error.message
    } finally {
      await trial.cleanUp()
    }
    yield { check, jobs: trial.jobs, durationMs: performance.now() - began, reason }
  }
}

/** The operator did not pass. */
class Failed extends Error {}

class Trial {
  readonly #operator: OperatorView
  readonly #asked: Asked
  readonly #deps: CheckDeps
  readonly #ids: string[] = []
  readonly #late: AbortSignal

  constructor(operator: OperatorView, asked: Asked, deps: CheckDeps) {
    this.#operator = operator
    this.#asked = asked
    this.#deps = deps
    this.#late = AbortSignal.timeout(asked.timeout_seconds * 1000)
  }

  get jobs(): number {
    return this.#ids.length
  }

  /** Every sample is done, with a result whose schema is registered: what is registered was checked as it came. */
  async schema(): Promise<void> {
    const { organisation, spine } = this.#deps
    const known = new Set(await spine.schemas.list(organisation))
    if (!known.has(this.#asked.schema))
      throw new Failed(`The schema ${this.#asked.schema} of the jobs is not registered.`)
    for (const id of await this.#publish(this.#asked.samples.length)) {
      const schema = await this.#done(id)
      if (!known.has(schema)) throw new Failed(`The schema ${schema} of the results is not registered.`)
    }
  }

  /** Many jobs at once are all done. */
  async load(): Promise<void> {
    for (const id of await this.#publish(this.#asked.load_jobs)) await this.#done(id)
  }

  /** Of jobs at work every second one is cancelled, and the connection breaks: all end, and the operator is there again. */
  async fault(): Promise<void> {
    const { organisation, spine, cut } = this.#deps
    const ids = await this.#publish(2 * this.#operator.max_parallel_jobs)
    const cancelled = ids.filter((_id, index) => index % 2 === 1)
    if (this.#operator.kind === 'native') await cut()
    for (const id of cancelled)
      await spine.jobs.cancel(organisation, id, 'The operator is being checked.').catch((error: unknown) => {
        // It was faster.
        if (!(error instanceof AppError && error.code === 'job.state')) throw error
      })
    for (const id of ids) await this.#done(id, cancelled.includes(id) ? ['done', 'cancelled'] : ['done'])
    const [after] = await this.#publish(1)
    if (after !== undefined) await this.#done(after)
  }

  /** Nothing of a check is left to be done. */
  async cleanUp(): Promise<void> {
    const { organisation, spine } = this.#deps
    const ends = this.#ids.map(id => spine.jobs.cancel(organisation, id, 'The check is over.'))
    for (const end of await Promise.allSettled(ends))
      if (end.status === 'rejected' && !(end.reason instanceof AppError)) throw end.reason
  }

  async #publish(count: number): Promise<string[]> {
    const { organisation, spine } = this.#deps
    const { topic, schema, samples, timeout_seconds: seconds } = this.#asked
    const published: string[] = []
    for (let n = 0; n < count; n++) {
      const payload = new TextEncoder().encode(JSON.stringify(samples[n % samples.length] ?? null))
      const job = { topic, schema, payload, maxAttempts: 2, deadlineMs: Math.round(seconds * 1000) }
      published.push((await spine.jobs.publish(organisation, job)).jobId)
    }
    this.#ids.push(...published)
    return published
  }

  /** Waits for the end of a job, which has to be this operator's; gives the schema of its result. */
  async #done(jobId: string, states: readonly string[] = ['done']): Promise<string> {
    const { organisation, spine } = this.#deps
    for await (const delivery of spine.messages.followJob({ organisation, jobId, after: 0, signal: this.#late })) {
      if (delivery.type === 'message' && delivery.message.type !== 'job_result') continue
      const { state, operator, reason } = await spine.jobs.get(organisation, jobId)
      if (operator !== null && operator !== this.#operator.operator_id)
        throw new Failed(`${operator} took a job of the check. Drain other operators of the topic meanwhile.`)
      if (!states.includes(state)) throw new Failed(`A job is ${state}: ${reason ?? 'there is no reason'}`)
      return delivery.type === 'message' ? delivery.message.schema : ''
    }
    throw new Failed(`A job did not end in ${this.#asked.timeout_seconds} seconds.`)
  }
}
