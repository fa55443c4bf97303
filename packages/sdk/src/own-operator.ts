import { orAbort } from '@slipway/kit/abort'
import type { ClientBodyInit, ServerBody } from '@slipway/protocol/bus/frames'
import { AppError } from '@slipway/protocol/errors'
import type { ServerBodyOf } from './bus-connection.ts'
import { askUntilAnswered, BusLink, type BusLinkOptions } from './bus-link.ts'
import type { JobFrame } from './operator-running-job.ts'

export type OwnOperatorOptions = Omit<BusLinkOptions, 'url' | 'token'>

export interface LeaseRequest {
  /** Who asks; stands in the history of the jobs. */
  readonly operator: string
  readonly topics: readonly string[]
  /** Whose jobs; those of all organisations unless it is said. */
  readonly organisation?: string | undefined
  readonly max: number
  readonly slots?: number | undefined
  readonly schemas?: readonly string[] | undefined
  readonly leaseMs?: number | undefined
  readonly waitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A job and the number of its lease. */
export interface Held {
  readonly jobId: string
  readonly fence: number
  /** Whose job it is; where it is said, it has to be so. */
  readonly organisation?: string | undefined
}

export interface OwnHeartbeat {
  readonly leaseMs?: number | undefined
  readonly progress?: string | undefined
  readonly lines?: readonly string[] | undefined
}

interface Waiting {
  readonly job: PromiseWithResolvers<JobFrame>
  readonly timer: ReturnType<typeof setTimeout>
}

/** A request is made anew after so long, so that a server that is gone costs no more. */
const roundMs = 5_000
/** How long a job may take behind the word that it is handed out. */
const lateMs = 10_000

/**
 * For operators of the server itself, which have its SLIPWAY_API_TOKEN and run on other machines: they ask for jobs when
 * they want some. All other programs are `connectOperator`.
 *
 * Everything is asked again when the connection is lost, over the next one. Rejections are `AppError`s with the server's
 * code; what is said of a job that is no longer theirs rejects with `lease.lost`.
 */
export class OwnOperator implements AsyncDisposable {
  readonly #link: BusLink
  readonly #stop = new AbortController()
  readonly #jobs = new Map<string, Waiting>()

  constructor(url: string, token: string, options: OwnOperatorOptions = {}) {
    this.#link = new BusLink({ ...options, url, token }, { onFrame: body => this.#heard(body) })
  }

  /** Up to `max` jobs; waits up to `waitMs` for the first of them. Rejects with the signal's reason, and keeps none then. */
  async lease({ signal, waitMs = 0, ...want }: LeaseRequest): Promise<JobFrame[]> {
    const end = performance.now() + waitMs
    for (;;) {
      signal?.throwIfAborted()
      const left = Math.max(0, end - performance.now())
      const jobs = await this.#round({ ...want, waitMs: Math.min(left, roundMs) }, signal)
      if (jobs.length > 0 || left <= roundMs) return jobs
    }
  }

  /** Keeps the lease, and says whether the work is to end. */
  heartbeat(held: Held, { leaseMs, progress, lines }: OwnHeartbeat = {}): Promise<ServerBodyOf<'heartbeatReply'>> {
    const value = {
      ...wire(held),
      lines: [...(lines ?? [])],
      ...(progress !== undefined && { progress }),
      ...(leaseMs !== undefined && { leaseMs: BigInt(leaseMs) }),
    }
    return this.#tell({ case: 'heartbeat', value }, 'heartbeatReply')
  }

  async ack(held: Held, { schema, payload }: { readonly schema: string; readonly payload: Uint8Array }): Promise<void> {
    await this.#tell({ case: 'ack', value: { ...wire(held), schema, payload } }, 'accepted')
  }

  nack(
    held: Held,
    {
      reason,
      isRetryable,
      waitMs,
    }: { readonly reason: string; readonly isRetryable: boolean; readonly waitMs?: number | undefined },
  ): Promise<ServerBodyOf<'nackReply'>> {
    const wait = waitMs === undefined ? {} : { waitMs: BigInt(Math.max(0, Math.round(waitMs))) }
    const value = { ...wire(held), reason, retryable: isRetryable, ...wait }
    return this.#tell({ case: 'nack', value }, 'nackReply')
  }

  /** Gives the job back untouched. */
  async giveBack(held: Held): Promise<void> {
    await this.#tell({ case: 'giveBack', value: wire(held) }, 'accepted')
  }

  /** Adds pieces to the job's stream; gives the number of the last. */
  async append(
    held: Held,
    pieces: { readonly schema: string; readonly payloads: readonly Uint8Array[]; readonly after?: number | undefined },
  ): Promise<number> {
    const { schema, payloads, after } = pieces
    const known = after === undefined ? {} : { after: BigInt(after) }
    const value = { ...wire(held), schema, payloads: [...payloads], ...known }
    return Number((await this.#tell({ case: 'streamChunk', value }, 'streamAppended')).n)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new AppError('cancelled', 'The operator is closed.'))
    for (const { timer } of this.#jobs.values()) clearTimeout(timer)
    await this.#link.close()
  }

  async #round(want: Omit<LeaseRequest, 'signal'>, signal: AbortSignal | undefined): Promise<JobFrame[]> {
    const { operator, topics, organisation = '', max, slots, schemas = [], leaseMs, waitMs = 0 } = want
    const value = {
      operator,
      topics: [...topics],
      organisation,
      max,
      schemas: [...schemas],
      waitMs: BigInt(Math.round(waitMs)),
      ...(slots !== undefined && { slots }),
      ...(leaseMs !== undefined && { leaseMs: BigInt(leaseMs) }),
    }
    const leased = this.#tell({ case: 'lease', value }, 'leased').then(({ jobs }) =>
      jobs.map(({ jobId, fence }) => ({ jobId, fence: Number(fence) })),
    )
    const held = await (signal ? orAbort(leased, signal, late => this.#return(late)) : leased)
    const arrived = await Promise.allSettled(held.map(ref => this.#arrival(ref).job.promise))
    for (const ref of held) this.#forget(ref)
    const jobs = arrived.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    if (signal?.aborted !== true) return jobs
    this.#return(held)
    throw signal.reason
  }

  #heard(body: ServerBody): void {
    if (body.case !== 'job') return
    const { id: jobId, fence } = body.value
    this.#arrival({ jobId, fence: Number(fence) }).job.resolve(body.value)
  }

  /** The job and the word that it is handed out come in any order; where one of them stays away, the job goes back. */
  #arrival(held: Held): Waiting {
    const key = keyOf(held)
    const known = this.#jobs.get(key)
    if (known) return known
    const job = Promise.withResolvers<JobFrame>()
    job.promise.catch(() => undefined)
    const timer = setTimeout(() => {
      job.reject(new AppError('lease.lost', 'The job did not arrive.'))
      this.#return([held])
    }, lateMs)
    const waiting = { job, timer }
    this.#jobs.set(key, waiting)
    return waiting
  }

  #forget(held: Held): void {
    const key = keyOf(held)
    clearTimeout(this.#jobs.get(key)?.timer)
    this.#jobs.delete(key)
  }

  #return(jobs: readonly Held[]): void {
    for (const held of jobs) {
      this.#forget(held)
      // Where that fails, its lease ends by itself.
      this.giveBack(held).catch(() => undefined)
    }
  }

  #tell<Case extends ServerBody['case']>(body: ClientBodyInit, expected: Case): Promise<ServerBodyOf<Case>> {
    return askUntilAnswered(this.#link, body, { expected, signal: this.#stop.signal })
  }
}

function wire({ jobId, fence, organisation = '' }: Held): {
  readonly jobId: string
  readonly fence: bigint
  readonly organisation: string
} {
  return { jobId, fence: BigInt(fence), organisation }
}

function keyOf({ jobId, fence }: Held): string {
  return `${jobId}.${fence}`
}
