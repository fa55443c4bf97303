import type { Tx } from '#db/database'
import type { Lane, Portion } from './group-commit.ts'
import { dueAt } from './job-machine.ts'
import {
  lockNames,
  selectHeldCounts,
  selectReady,
  selectReadyOrganisations,
  writeHandOuts,
  type HandOut,
  type ReadyJob,
} from './job-store.ts'
import { leasedJob } from './job-view.ts'
import type { Readiness, Tidings } from './outbox.ts'
import type { SpineParts } from './spine-parts.ts'
import type { LeasedJob } from './spine.ts'

/** A checked request for jobs. */
export interface Want {
  readonly topics: readonly string[]
  readonly operator: string
  readonly organisation: string | null
  readonly max: number
  readonly schemas: readonly string[] | null
  /** Jobs that the operator may have at a time; null for any number. */
  readonly slots: number | null
  readonly leaseMs: number
}

interface Request {
  readonly want: Want
  /** Requests of one group can be served by the same look into the database. */
  readonly group: string
  readonly resolve: (jobs: LeasedJob[]) => void
  readonly reject: (error: unknown) => void
  /** Whether it stays when there is nothing for it. */
  waits: boolean
  /** Whether something was told since it last looked. */
  isTold: boolean
  /** How many jobs it can take, as its operator's other jobs leave it. */
  room: number
  isOver: boolean
}

export interface LeaseDeskDeps {
  readonly parts: SpineParts
  /** Something waits here. */
  readonly wake: () => void
}

/** A group that found nothing left, and when. */
interface Dry {
  readonly want: Want
  readonly since: number
}

// A word of another server that was lost is made up for after this time.
const dryMs = 1_000
const dryGroups = 1_000
const requestsPerCommit = 1_000
const jobsPerCommit = 1_000

/** Hands out jobs: requests that find none wait here until there is one. */
export class LeaseDesk implements Lane {
  readonly #deps: LeaseDeskDeps
  #waiting: Request[] = []
  /** Those that have looked and found nothing, by topic, in the order in which they came. */
  readonly #parked = new Map<string, Set<Request>>()
  #parkedCount = 0
  /** Groups for which there was nothing left, until something is told: whoever asks for them need not look. */
  readonly #dry = new Map<string, Dry>()
  /** The organisation that was served last, by group. */
  readonly #turns = new Map<string, string>()

  constructor(deps: LeaseDeskDeps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#waiting.length + this.#parkedCount
  }

  /** Resolves with no job after `waitMs`; rejects with the signal's reason. */
  lease(
    want: Want,
    { waitMs, signal }: { readonly waitMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<LeasedJob[]> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error)
      const onAbort = (): void => this.#giveUp(request, () => request.reject(signal?.reason))
      const timer = waitMs > 0 ? setTimeout(() => this.#giveUp(request, () => request.resolve([])), waitMs) : undefined
      const over = (): void => {
        request.isOver = true
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const request: Request = {
        want,
        group: JSON.stringify([want.organisation, want.topics, want.schemas]),
        resolve: jobs => {
          over()
          resolve(jobs)
        },
        reject: error => {
          over()
          reject(error instanceof Error ? error : new Error(String(error)))
        },
        waits: waitMs > 0,
        isTold: false,
        room: want.max,
        isOver: false,
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      if (request.waits && this.#isDry(request.group)) this.#park(request)
      else this.#queue(request)
    })
  }

  take(): Portion | null {
    if (this.#waiting.length === 0 && this.#parkedCount === 0) return null
    const taken = this.#waiting.splice(0, requestsPerCommit)
    // Those that wait may be served by what this very commit brings, but alone they are no reason for one.
    return this.#portion(taken)
  }

  /** Wakes whoever waits for what there is now. */
  heard(tidings: Tidings | 'everything'): void {
    if (tidings === 'everything') {
      this.#dry.clear()
      return this.#wakeAll([...this.#parked.keys()])
    }
    for (const [group, { want }] of this.#dry)
      if (tidings.ready.some(job => fits(want, job)) || want.topics.some(topic => tidings.topics.includes(topic)))
        this.#dry.delete(group)
    this.#wakeAll(tidings.topics)
    const woken = this.#matching(tidings.ready)
    for (const request of woken) this.#queue(request)
    for (const request of this.#looking) if (tidings.ready.some(job => fits(request.want, job))) request.isTold = true
  }

  /** Lets all that wait go without a job. */
  close(): void {
    for (const requests of [...this.#parked.values()]) for (const request of [...requests]) this.#leave(request)
  }

  /** Requests whose transaction is under way. */
  readonly #looking = new Set<Request>()

  #isDry(group: string): boolean {
    const dry = this.#dry.get(group)
    return dry !== undefined && performance.now() - dry.since < dryMs
  }

  #foundLess({ group, want }: Request): void {
    if (this.#dry.size >= dryGroups) this.#dry.clear()
    this.#dry.set(group, { want, since: performance.now() })
  }

  #queue(request: Request): void {
    this.#waiting.push(request)
    this.#deps.wake()
  }

  #giveUp(request: Request, settle: () => void): void {
    request.waits = false
    // One that is being served is settled by that.
    if (this.#looking.has(request)) return
    this.#unpark(request)
    this.#waiting = this.#waiting.filter(other => other !== request)
    if (!request.isOver) settle()
  }

  #leave(request: Request): void {
    this.#unpark(request)
    request.resolve([])
  }

  #park(request: Request): void {
    this.#parkedCount++
    for (const topic of request.want.topics) {
      const requests = this.#parked.get(topic) ?? new Set()
      this.#parked.set(topic, requests.add(request))
    }
  }

  #unpark(request: Request): void {
    let wasParked = false
    for (const topic of request.want.topics) {
      const requests = this.#parked.get(topic)
      if (requests?.delete(request)) wasParked = true
      if (requests?.size === 0) this.#parked.delete(topic)
    }
    if (wasParked) this.#parkedCount--
  }

  #wakeAll(topics: readonly string[]): void {
    for (const request of this.#looking)
      if (request.want.topics.some(topic => topics.includes(topic))) request.isTold = true
    for (const topic of topics) {
      for (const request of [...(this.#parked.get(topic) ?? [])]) {
        this.#unpark(request)
        this.#queue(request)
      }
    }
  }

  /** Takes those that wait, as many as these jobs can serve. */
  #matching(ready: readonly Readiness[]): Request[] {
    const matching: Request[] = []
    const room = new Map<Request, number>()
    for (const job of ready) {
      const known = [...room].find(([request]) => fits(request.want, job))
      if (known) {
        const [request, left] = known
        if (left > 1) room.set(request, left - 1)
        else room.delete(request)
        continue
      }
      for (const request of this.#parked.get(job.topic) ?? []) {
        if (!fits(request.want, job)) continue
        this.#unpark(request)
        matching.push(request)
        if (request.want.max > 1) room.set(request, request.want.max - 1)
        break
      }
    }
    return matching
  }

  #portion(taken: readonly Request[]): Portion {
    const requests = [...taken]
    const given = new Map<Request, LeasedJob[]>()
    /** More may be there than one commit hands out. */
    let isFull = false
    for (const request of requests) this.#looking.add(request)
    const settled = (request: Request): void => void this.#looking.delete(request)
    return {
      size: requests.length,
      run: async tx => {
        given.clear()
        const woken = this.#matching(this.#deps.parts.outboxes.of(tx).ready)
        for (const request of woken) this.#looking.add(request)
        requests.push(...woken)
        if (requests.length > 0) isFull = (await this.#serve(tx, requests, given)) >= jobsPerCommit
      },
      settle: () => {
        for (const request of requests) {
          settled(request)
          const jobs = given.get(request) ?? []
          if (jobs.length < request.room && !request.isTold && !isFull) this.#foundLess(request)
          // Jobs that it was woken for and has no room for are somebody else's.
          if (request.room < request.want.max && jobs.length === request.room) this.#wakeAll(request.want.topics)
          if (jobs.length > 0 || !request.waits || request.room === 0) request.resolve(jobs)
          else if (request.isTold) this.#again(request)
          else this.#park(request)
        }
      },
      refuse: error => {
        for (const request of requests) {
          settled(request)
          request.reject(error)
        }
      },
      split: () => requests.map(request => this.#portion([request])),
    }
  }

  #again(request: Request): void {
    request.isTold = false
    this.#queue(request)
  }

  /** Gives how many jobs were handed out. */
  async #serve(tx: Tx, requests: readonly Request[], given: Map<Request, LeasedJob[]>): Promise<number> {
    const parts = this.#deps.parts
    const now = parts.now()
    const handOuts: HandOut[] = []
    const outbox = parts.outboxes.of(tx)
    // Turns of organisations are looked up in the table.
    if (requests.some(({ want }) => want.organisation === null)) await outbox.newJobs.write(tx)
    await makeRoom(tx, requests)
    // What one group gets is written at the end, and must not be given to the next one too.
    const taken = new Map<number, ReadyJob>()
    for (const [group, asking] of Map.groupBy(requests, request => request.group)) {
      const wanted = asking.reduce((sum, { room }) => sum + room, 0)
      const limit = Math.min(wanted, jobsPerCommit - handOuts.length)
      const jobs = await this.#pick(tx, asking[0]?.want, { group, limit, taken })
      for (const job of jobs) taken.set(job.position, job)
      for (const request of asking) {
        const share = jobs.splice(0, request.room)
        given.set(
          request,
          share.map(job => {
            const until = now + request.want.leaseMs
            const due = dueAt({ ...job, state: 'leased', leased_until: until, cancel_at: null }) ?? until
            handOuts.push({ job, operator: request.want.operator, until, dueAt: due })
            return leasedJob(job, { until })
          }),
        )
      }
    }
    if (handOuts.length === 0) return 0
    const written = handOuts.filter(handOut => !outbox.newJobs.lease(handOut.job, { ...handOut, now }))
    await writeHandOuts(tx, written, now)
    for (const { job, dueAt: due } of handOuts) {
      outbox.due(due)
      outbox.changed.push(job.id)
    }
    // What became ready in this very transaction is nobody else's to hear of.
    const gone = new Set(handOuts.map(({ job }) => job.id))
    outbox.ready = outbox.ready.filter(({ id }) => !gone.has(id))
    tx.afterCommit(() => parts.counters.add('leased', handOuts.length))
    return handOuts.length
  }

  /** The next jobs for a group of requests: organisations in turns, and of each its first ones. */
  async #pick(
    tx: Tx,
    want: Want | undefined,
    { group, limit, taken }: { group: string; limit: number; taken: ReadonlyMap<number, ReadyJob> },
  ): Promise<ReadyJob[]> {
    if (want === undefined || limit <= 0) return []
    const picked = new Map<number, ReadyJob>()
    const fresh = [...this.#deps.parts.outboxes.of(tx).newJobs.ready()].filter(job => fits(want, job))
    const queues = want.organisation === null ? await this.#inTurns(tx, group, want, limit) : [want.organisation]
    for (let left = queues; left.length > 0 && picked.size < limit;) {
      const more: string[] = []
      for (const [index, organisation] of left.entries()) {
        const share = Math.ceil((limit - picked.size) / (left.length - index))
        if (share === 0) break
        const jobs = await pickOf(tx, {
          organisation,
          want,
          share,
          taken: [...taken.values(), ...picked.values()],
          fresh,
        })
        for (const job of jobs) picked.set(job.position, job)
        if (jobs.length >= share) more.push(organisation)
        if (jobs.length > 0 && want.organisation === null) this.#served(group, organisation)
      }
      left = more
    }
    return [...picked.values()]
  }

  async #inTurns(tx: Tx, group: string, { topics }: Want, limit: number): Promise<string[]> {
    const last = this.#turns.get(group) ?? ''
    const found = new Set<string>()
    for (const after of last === '' ? [''] : [last, '']) {
      if (found.size >= limit) break
      for (const topic of topics)
        for (const organisation of await selectReadyOrganisations(tx, { topic, after, limit })) found.add(organisation)
    }
    const names = [...found].sort()
    const next = names.findIndex(name => name > last)
    return (next < 0 ? names : [...names.slice(next), ...names.slice(0, next)]).slice(0, limit)
  }

  #served(group: string, organisation: string): void {
    // A server that has forgotten whose turn it is only begins anew.
    if (this.#turns.size > 1_000) this.#turns.clear()
    this.#turns.set(group, organisation)
  }
}

/** Says how many jobs each request can take. Nobody else hands out to these operators until the end of the transaction. */
async function makeRoom(tx: Tx, requests: readonly Request[]): Promise<void> {
  const bounded = requests.filter(({ want }) => want.slots !== null)
  const nameOf = ({ want }: Request): string => `operator ${JSON.stringify([want.organisation, want.operator])}`
  // Sent together: the counts are read when the locks are held.
  const [, heldBy] = await Promise.all([
    lockNames(tx, bounded.map(nameOf)),
    selectHeldCounts(
      tx,
      bounded.map(({ want }) => want),
    ),
  ])
  const taken = new Map<string, number>()
  for (const request of bounded) {
    const { slots, max } = request.want
    const held = taken.get(nameOf(request)) ?? heldBy(request.want)
    request.room = Math.max(0, Math.min(max, (slots ?? max) - held))
    taken.set(nameOf(request), held + request.room)
  }
}

async function pickOf(
  tx: Tx,
  {
    organisation,
    want,
    share,
    taken,
    fresh,
  }: {
    organisation: string
    want: Want
    share: number
    taken: readonly ReadyJob[]
    /** Those that this transaction publishes. */
    fresh: readonly ReadyJob[]
  },
): Promise<ReadyJob[]> {
  // Those that are picked already come again: they are written at the end.
  const seen = taken.filter(job => job.organisation === organisation && want.topics.includes(job.topic))
  const positions = new Set(seen.map(({ position }) => position))
  const candidates: ReadyJob[] = [...fresh]
  for (const topic of want.topics)
    candidates.push(
      ...(await selectReady(tx, { organisation, topic }, { schemas: want.schemas, limit: share + seen.length })),
    )
  return candidates
    .filter(({ position }) => !positions.has(position))
    .sort((a, b) => b.priority - a.priority || a.position - b.position)
    .slice(0, share)
}

function fits({ organisation, topics, schemas }: Want, job: Readiness): boolean {
  return (
    (organisation === null || organisation === job.organisation) &&
    topics.includes(job.topic) &&
    (schemas === null || schemas.includes(job.schema))
  )
}
