import { randomBytes } from 'node:crypto'
import { sleep } from '@slipway/kit/abort'
import type { PruneReply } from '@slipway/protocol/archives'
import { AppError } from '@slipway/protocol/errors'
import { PlanId } from '@slipway/protocol/plans'
import { RunId } from '@slipway/protocol/runs'
import type { Logger } from 'pino'
import type { Database } from '#db/database'
import type { DeployedPlan, Plans } from '#features/plans/plans'
import { retentionFailed, runNotCompacted, runsDeleted } from '#observe/retention-log'
import {
  deletePortion,
  deleteRemains,
  deleteRunRow,
  deleteValuesPortion,
  findOverRun,
  holdRun,
  letGo,
  markCompacted,
  renewRemains,
  selectExpired,
  selectPlansWithRuns,
  selectRemains,
  selectUncompacted,
  type OverRun,
  type PlanOfRuns,
  type RemainsRow,
} from './retention-store.ts'
import { knownRun, type Caller, type RunRef } from './known-run.ts'
import { RunFolder } from './run-folder.ts'

export interface RetentionDeps {
  readonly db: Database
  readonly plans: Plans
  readonly runsDir: string
  /** What holds where a plan does not say: days after a run's end, and most runs of a plan; 0 is without limit. */
  readonly policy: Policy
  /** Resolves once this server does not drive the run any more. */
  readonly settled: (runId: string) => Promise<void>
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface Policy {
  readonly days: number
  readonly runs: number
}

export interface PruneRequest {
  readonly plan_id?: PlanId | undefined
  readonly older_than_days?: number | undefined
  readonly keep?: number | undefined
  readonly dry_run: boolean
  readonly limit: number
}

const dayMs = 24 * 60 * 60 * 1000
const passEveryMs = 60 * 60 * 1000
const firstPassAfterMs = 30_000
// Whoever started a run that has just ended may still want its result, however many runs the plan has.
const graceMs = 60 * 60 * 1000
// What a server has not gone on with for so long, another one takes over.
const abandonedMs = 10 * 60 * 1000
const compactAfterMs = 60_000
const holdForMs = 10 * 60 * 1000
const plansAtOnce = 100
const runsAtOnce = 100
const pauseMs = 5

/**
 * Deletes runs that are over.
 *
 * T1. A run goes at once, for everybody who looks, or not at all: the commit that takes away its row leaves a note of
 *     what remains of it.
 * T2. What remains is deleted in small portions, between which others work, and goes on after a crash.
 * T3. The id of a run is free again only when nothing remains of it.
 */
export class Retention implements AsyncDisposable {
  readonly #deps: RetentionDeps
  readonly #stop = new AbortController()
  readonly #owner = `retention-${process.pid}-${randomBytes(6).toString('hex')}`
  #working: Promise<unknown> = Promise.resolve()
  #passes: Promise<void> = Promise.resolve()

  constructor(deps: RetentionDeps) {
    this.#deps = deps
  }

  /** Looks now and then, from now on, which runs are to go. */
  start(): void {
    this.#passes = this.#repeat()
  }

  /** Deletes one run. Throws `run.unknown`, and `run.state` for one that is not over. */
  async delete(run: RunRef): Promise<void> {
    const row = await knownRun(this.#deps.db.read, run)
    const { completed_at: completedAt } = row
    // What drove it may still be letting go of its files.
    if (completedAt !== null) await this.#deps.settled(row.id)
    const remains = completedAt === null ? null : await this.#takeAway({ ...row, completed_at: completedAt })
    if (remains === null)
      throw new AppError(
        'run.state',
        `Only a run that is over can be deleted; this one is ${row.status}. Stop it first.`,
      )
    runsDeleted(this.#deps.log, { runs: 1, because: 'request' })
    await this.#exclusive(() => this.#clearAway(remains))
  }

  /** Deletes what a request asks for, or the policies say; what remains of the runs goes in the background. */
  async prune({ organisation }: Pick<Caller, 'organisation'>, request: PruneRequest): Promise<PruneReply> {
    const found: OverRun[] = []
    const only = request.plan_id === undefined ? null : { organisation, planId: request.plan_id }
    for await (const plan of only === null ? this.#plans(organisation) : [only]) {
      const room = request.limit + 1 - found.length
      found.push(...(await this.#expired(plan, { request, limit: room })))
      if (found.length > request.limit) break
    }
    const asked = found.slice(0, request.limit)
    const runs = request.dry_run ? asked : await this.#deleteAll(asked)
    return {
      dry_run: request.dry_run,
      runs: runs.map(run => ({
        run_id: RunId.parse(run.id),
        plan_id: PlanId.parse(run.plan_id),
        completed_at: new Date(run.completed_at).toISOString(),
      })),
      more: found.length > request.limit,
    }
  }

  async #deleteAll(asked: readonly OverRun[]): Promise<OverRun[]> {
    const deleted: OverRun[] = []
    const remains: RemainsRow[] = []
    for (const run of asked) {
      const left = await this.#takeAway(run)
      if (left === null) continue
      deleted.push(run)
      remains.push(left)
    }
    if (deleted.length > 0) runsDeleted(this.#deps.log, { runs: deleted.length, because: 'request' })
    this.#exclusive(() => this.#clearAll(remains)).catch((error: unknown) => this.#complain(error))
    return deleted
  }

  /** One look at everything. Resolves once all that is to go has gone. */
  pass(): Promise<void> {
    return this.#exclusive(async () => {
      await this.#tidy(this.#deps.db.dialect === 'sqlite' ? 0 : abandonedMs)
      let deleted = 0
      for await (const plan of this.#plans(null)) deleted += await this.#applyPolicy(plan)
      if (deleted > 0) runsDeleted(this.#deps.log, { runs: deleted, because: 'policy' })
      await this.#compactAll()
      while ((await this.#deps.db.reclaim()) && !this.#stop.signal.aborted) await this.#breathe()
    })
  }

  /** Resolves once everything under way is done. */
  async settled(): Promise<void> {
    await this.#working
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new AppError('server.stopping', 'The server is stopping.'))
    await this.#passes
    await this.#working
  }

  async #repeat(): Promise<void> {
    const { signal } = this.#stop
    const nextTime = (ms: number): Promise<boolean> =>
      sleep(ms, signal).then(
        () => true,
        () => false,
      )
    for (let isOn = await nextTime(firstPassAfterMs); isOn; isOn = await nextTime(passEveryMs)) {
      await this.pass().catch((error: unknown) => this.#complain(error))
    }
  }

  #complain(error: unknown): void {
    if (!this.#stop.signal.aborted) retentionFailed(this.#deps.log, { error })
  }

  /** Those of the organisation, or with null those of all. */
  async *#plans(only: string | null): AsyncGenerator<PlanOfRuns> {
    for (let after: PlanOfRuns = { organisation: '', planId: '' }; ;) {
      const page = await selectPlansWithRuns(this.#deps.db.read, { only, after, limit: plansAtOnce })
      yield* page
      const last = page.at(-1)
      if (last === undefined || page.length < plansAtOnce) return
      after = last
    }
  }

  /** Runs of a plan that a request asks for, or that the policy does not keep. */
  async #expired(
    plan: PlanOfRuns,
    { request, limit }: { readonly request: PruneRequest; readonly limit: number },
  ): Promise<OverRun[]> {
    const { older_than_days: asked, keep } = request
    if (asked === undefined && keep === undefined) return this.#pastPolicy(plan, limit)
    const days = asked ?? (await this.#policyOf(plan)).days
    // For a policy 0 days are for ever; for a request they are none.
    if (asked === undefined && days === 0) return []
    return this.#older(plan, { before: this.#ago(days * dayMs), keep: keep ?? 0, limit })
  }

  async #pastPolicy(plan: PlanOfRuns, limit: number): Promise<OverRun[]> {
    const { days, runs: most } = await this.#policyOf(plan)
    const old = days > 0 ? await this.#older(plan, { before: this.#ago(days * dayMs), keep: 0, limit }) : []
    const tooMany = most > 0 ? await this.#older(plan, { before: this.#ago(graceMs), keep: most, limit }) : []
    const found = new Map([...old, ...tooMany].map(run => [run.id, run]))
    return [...found.values()].slice(0, limit)
  }

  /** Runs that ended at `before` or earlier, without the newest `keep` of the plan. */
  async #older(
    plan: PlanOfRuns,
    { before, keep, limit }: { readonly before: number; readonly keep: number; readonly limit: number },
  ): Promise<OverRun[]> {
    const { read } = this.#deps.db
    const upTo = keep === 0 ? null : await findOverRun(read, plan, keep)
    return upTo === undefined ? [] : selectExpired(read, { plan, upTo, before, limit })
  }

  #ago(ms: number): number {
    return Math.floor(this.#deps.now() - ms)
  }

  /** What the active version of the plan says, else the newest run's package, else the server. */
  async #policyOf(plan: PlanOfRuns): Promise<Policy> {
    const { plans, policy } = this.#deps
    const deployed = await plans.load({ ...plan, planId: PlanId.parse(plan.planId) }).catch(() => null)
    const said = (deployed ?? (await this.#newestPackage(plan)))?.plan.retention
    return { days: said?.days ?? policy.days, runs: said?.runs ?? policy.runs }
  }

  async #newestPackage(plan: PlanOfRuns): Promise<DeployedPlan | null> {
    const newest = await findOverRun(this.#deps.db.read, plan, 0)
    return newest ? this.#deps.plans.loadDigest(newest.plan_digest).catch(() => null) : null
  }

  async #applyPolicy(plan: PlanOfRuns): Promise<number> {
    let deleted = 0
    for (;;) {
      const expired = await this.#pastPolicy(plan, runsAtOnce)
      let taken = 0
      for (const run of expired) {
        this.#stop.signal.throwIfAborted()
        const remains = await this.#takeAway(run)
        if (remains === null) continue
        taken++
        await this.#clearAway(remains)
        await this.#breathe()
      }
      deleted += taken
      if (taken === 0) return deleted
    }
  }

  #takeAway(run: Pick<OverRun, 'id' | 'completed_at'>): Promise<RemainsRow | null> {
    return this.#deps.db.transaction(tx => deleteRunRow(tx, run, Math.round(this.#deps.now())))
  }

  /** Deletes what remains of runs that nobody has worked on for that long. */
  async #tidy(abandonedFor: number): Promise<void> {
    for (;;) {
      const all = await selectRemains(this.#deps.db.read, { before: this.#ago(abandonedFor), limit: runsAtOnce })
      await this.#clearAll(all)
      if (all.length < runsAtOnce) return
    }
  }

  async #clearAll(all: readonly RemainsRow[]): Promise<void> {
    for (const remains of all) await this.#clearAway(remains)
  }

  async #clearAway(found: RemainsRow): Promise<void> {
    const { db, plans, runsDir, now } = this.#deps
    let remains: RemainsRow | null = found
    const portions = async (work: Parameters<Database['transaction']>[0]): Promise<void> => {
      for (let more: unknown = true; more === true && remains !== null; await this.#breathe()) {
        this.#stop.signal.throwIfAborted()
        const current: RemainsRow = remains
        more = await db.transaction(async tx => {
          remains = await renewRemains(tx, current, Math.round(now()))
          return remains === null ? false : work(tx)
        })
      }
    }
    await portions(tx => deletePortion(tx, found.run_id))
    if (remains !== null) await new RunFolder(runsDir, found.run_id).remove()
    await portions(tx => deleteValuesPortion(tx, found.family))
    const last = remains as RemainsRow | null
    if (last === null) return
    await db.transaction(tx => deleteRemains(tx, last))
    await plans.release(found.plan_digest)
  }

  /** Rids the folders of runs that are over of what their packages have. */
  async #compactAll(): Promise<void> {
    const { db } = this.#deps
    const failed = new Set<string>()
    for (;;) {
      const before = this.#ago(compactAfterMs)
      const runs = await selectUncompacted(db.read, { before, limit: runsAtOnce + failed.size, dialect: db.dialect })
      const fresh = runs.filter(({ id }) => !failed.has(id))
      if (fresh.length === 0) return
      const without: string[] = []
      for (const run of fresh) {
        this.#stop.signal.throwIfAborted()
        if (!(await new RunFolder(this.#deps.runsDir, run.id).isPrepared())) without.push(run.id)
        else if (!(await this.#compact(run))) failed.add(run.id)
      }
      await db.transaction(tx => markCompacted(tx, without, Math.round(this.#deps.now())))
      await this.#breathe()
    }
  }

  async #compact({ id, plan_digest: digest }: { readonly id: string; readonly plan_digest: string }): Promise<boolean> {
    const { db, plans, runsDir, now, log } = this.#deps
    const owner = this.#owner
    const held = await db.transaction(tx => holdRun(tx, id, { owner, forMs: holdForMs, dialect: db.dialect }))
    if (!held) return false
    let compactedAt: number | null = null
    try {
      await new RunFolder(runsDir, id).compact((await plans.loadDigest(digest)).folder)
      compactedAt = Math.round(now())
    } catch (error) {
      runNotCompacted(log, { runId: id, error })
    }
    await db.transaction(async tx => {
      await letGo(tx, id, { owner, compactedAt })
      // Somebody may want the run to go on by now.
      await db.notify(tx, 'slipway_runs', id)
    })
    return compactedAt !== null
  }

  // Others have their turn between two portions.
  #breathe(): Promise<void> {
    return sleep(pauseMs)
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#working.then(work)
    this.#working = result.catch(() => undefined)
    return result
  }
}
