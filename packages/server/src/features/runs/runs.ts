import type { PlanId } from '@slipway/protocol/plans'
import { AppError } from '@slipway/protocol/errors'
import type { Run, RunDetails, RunResult, RunState, StartRun, TraceCall } from '@slipway/protocol/runs'
import { parseJson } from '@slipway/kit/json'
import type { PyDict } from '@slipway/engine/value/value'
import type { Logger } from 'pino'
import type { Database } from '#db/database'
import type { EventLog } from '#features/events/events'
import type { Models } from '#features/models/models'
import type { PlanRef, Plans } from '#features/plans/plans'
import type { PythonSandboxes, SandboxLimits } from '#features/sandboxes/sandboxes'
import { Checkpoints } from './checkpoints.ts'
import { Debugger } from './debugger.ts'
import { Dispatcher } from './dispatcher.ts'
import { Inspector } from './inspector.ts'
import { Journal } from './journal.ts'
import { knownRun, type Caller, type RunRef } from './known-run.ts'
import { selectCalls, selectCallSizes, type CallFilter } from './journal-store.ts'
import { People } from './people.ts'
import { preparedPlan } from './prepared-plan.ts'
import { RunControl } from './run-control.ts'
import { RunDiffs } from './run-diff.ts'
import { RunFiles, type Download } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import { RunStarter } from './run-starter.ts'
import { RunStates } from './run-states.ts'
import {
  countRuns,
  findContent,
  findRunOf,
  isDigestInUse,
  selectActiveOfPlan,
  selectPlaces,
  selectRuns,
  type RunRow,
} from './run-store.ts'
import { ValueReader } from './run-values.ts'
import { toRun, toTraceCall } from './run-view.ts'
import { StepBoard } from './step-board.ts'

export { inputsOf, readBody } from './request-values.ts'

export interface RunsDeps {
  readonly db: Database
  readonly events: EventLog
  readonly plans: Plans
  readonly models: Models
  /** Opened when the first script of a run needs it. */
  readonly sandboxes: () => Promise<PythonSandboxes>
  readonly sandboxLimits: Partial<SandboxLimits>
  readonly runsDir: string
  /** Of all servers of the database together. */
  readonly maxConcurrentRuns: number
  readonly defaultMaxCycles: number
  /** Cycles between two snapshots of a run, at least. */
  readonly checkpointFrequency: number
  /** How long a server that has gone keeps its runs from others, in milliseconds. */
  readonly leaseMs: number
  /** After how many milliseconds without an answer a run is said to be stalled. */
  readonly stalledAfterMs: number
  readonly log: Logger
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
}

export interface RunPage {
  readonly runs: readonly Run[]
  /** Of each of them, what to give as `after` for the page that begins behind it. */
  readonly cursors: readonly string[]
  /** What to give as `after` for the next page. */
  readonly next: string | null
}

/** Starts runs, drives them in their order, and answers what is asked about them. */
export class Runs implements AsyncDisposable {
  readonly people: People
  readonly control: RunControl
  readonly checkpoints: Checkpoints
  readonly debug: Debugger
  readonly inspector: Inspector
  readonly diffs: RunDiffs
  readonly #deps: RunsDeps
  readonly #dispatcher: Dispatcher
  readonly #starter: RunStarter

  constructor(deps: RunsDeps) {
    const journal = new Journal(deps.db, deps.events)
    this.#deps = deps
    this.people = new People(deps.db, () => Math.round(deps.now()))
    this.#dispatcher = new Dispatcher({ ...deps, journal, people: this.people, chores: () => this.#chores() })
    this.#starter = new RunStarter({ ...deps, journal, dispatcher: this.#dispatcher })
    this.control = new RunControl({ ...deps, dispatcher: this.#dispatcher })
    const states = new RunStates(deps)
    this.checkpoints = new Checkpoints({ ...deps, control: this.control, starter: this.#starter, states })
    this.debug = new Debugger({ ...deps, control: this.control, view: this.view })
    this.inspector = new Inspector({ ...deps, states })
    this.diffs = new RunDiffs({ ...deps, states, view: this.view })
  }

  /** Takes up the runs that were not over when the server ended, in their order. */
  recover(): Promise<void> {
    return this.#dispatcher.start()
  }

  /**
   * Resolves once the run is on disk. A request that repeats an idempotency key gets the run it started. `inputs` are
   * the request's, read without loss.
   */
  async start(by: Caller, body: StartRun, given: PyDict): Promise<Run> {
    return this.view(await this.#starter.start(by, body, given))
  }

  async list(
    { organisation }: Pick<Caller, 'organisation'>,
    filter: {
      readonly planId?: PlanId | undefined
      readonly statuses?: readonly RunState[] | undefined
      readonly limit: number
      readonly after?: string | undefined
    },
  ): Promise<RunPage> {
    const before = filter.after === undefined ? undefined : Number(filter.after)
    if (before !== undefined && !Number.isSafeInteger(before)) {
      throw new AppError('input.invalid', '`after` is not a place in the list. Use the one of the `Link` header.')
    }
    const rows = await selectRuns(this.#deps.db.read, {
      organisation,
      planId: filter.planId,
      statuses: filter.statuses,
      before,
      limit: filter.limit + 1,
    })
    const page = rows.slice(0, filter.limit)
    return {
      runs: await this.#views(page),
      cursors: page.map(({ position }) => String(position)),
      next: rows.length > filter.limit ? String(page.at(-1)?.position) : null,
    }
  }

  async get(run: RunRef): Promise<RunDetails> {
    const row = await this.#row(run)
    const board = this.#dispatcher.board(row.id)
    const statuses = board ? board.statuses() : await this.#storedStatuses(row)
    return { ...(await this.view(row)), node_statuses: statuses as RunDetails['node_statuses'] }
  }

  async exists({ by, runId }: RunRef): Promise<boolean> {
    return (await findRunOf(this.#deps.db.read, { organisation: by.organisation, runId })) !== undefined
  }

  async isOver(run: RunRef): Promise<boolean> {
    const { status } = await this.#row(run)
    return status === 'completed' || status === 'failed'
  }

  async result(run: RunRef): Promise<RunResult> {
    const row = await this.#row(run)
    const { result } = await findContent(this.#deps.db.read, row.id)
    if (result === null || row.completed_at === null) {
      throw new AppError(
        'run.not_finished',
        `The run is ${row.status}. Its result is there once it has completed or failed.`,
      )
    }
    const files = await this.#writtenFiles(row)
    return {
      run_id: row.id,
      plan_id: row.plan_id,
      status: row.status,
      final_concepts: parseJson(result),
      files,
    } as RunResult
  }

  /** A page of a run's calls; fewer than asked for where they are large, and then the number to go on after. */
  async trace(run: RunRef, filter: CallFilter): Promise<{ readonly calls: TraceCall[]; readonly next: number | null }> {
    const { id: runId, family } = await this.#row(run)
    const { read } = this.#deps.db
    const sizes = await selectCallSizes(read, runId, { ...filter, limit: filter.limit + 1 })
    let characters = 0
    const tooMuch = sizes.findIndex(({ size }, at) => (characters += size) > mostTraced && at > 0)
    const limit = Math.min(filter.limit, tooMuch === -1 ? sizes.length : tooMuch)
    const rows = limit === 0 ? [] : await selectCalls(read, runId, { ...filter, limit })
    const values = new ValueReader(read, family)
    await values.load(rows.flatMap(({ inputs, outcome }) => [inputs, outcome]))
    const calls = rows.map(row => toTraceCall(row, values))
    return { calls, next: sizes.length > limit ? (calls.at(-1)?.n ?? null) : null }
  }

  /** A file of the run, for download. Throws `plan.file_unknown` and `file.forbidden`. */
  async file(run: RunRef, path: string): Promise<Download> {
    const row = await this.#row(run)
    const folder = new RunFolder(this.#deps.runsDir, row.id)
    // A run that has not needed its folder yet has its uploads alone.
    for (const root of [folder.workspace, folder.uploads]) {
      const found = await new RunFiles({ root, baseDir: '', provisionDirs: new Map() }).openDownload(path)
      if (found) return found
    }
    if (await folder.isInPackage(path)) {
      const { folder: root } = await this.#deps.plans.loadDigest(row.plan_digest)
      const found = await new RunFiles({ root, baseDir: '', provisionDirs: new Map() }).openDownload(path)
      if (found) return found
    }
    throw new AppError('plan.file_unknown', `The run has no file ${path}. Its result lists what it wrote.`)
  }

  /** Ends a run: one that waits at once, one that executes as soon as its calls are given up. */
  async stop(run: RunRef, reason: string): Promise<Run> {
    return this.view(await this.control.stop(run, { reason, as: 'cancelled' }))
  }

  /** Keeps a run from beginning further calls. It is `paused` once the calls under way have ended. */
  async pause(run: RunRef): Promise<Run> {
    return this.view(await this.control.pause(run))
  }

  /** Puts a paused run back into the queue. */
  async resume(run: RunRef): Promise<Run> {
    return this.view(await this.control.resume(run))
  }

  activeOfPlan(plan: PlanRef): Promise<readonly { readonly id: string }[]> {
    return selectActiveOfPlan(this.#deps.db.read, plan)
  }

  /** Stops the plan's runs and waits until they are over. */
  async stopAllOfPlan(
    plan: PlanRef,
    { reason, by: subject }: { readonly reason: string; readonly by: string },
  ): Promise<string[]> {
    const by = { organisation: plan.organisation, subject }
    const runs = (await this.activeOfPlan(plan)).map(({ id }): RunRef => ({ by, runId: id }))
    for (const run of runs) await this.control.stop(run, { reason, as: 'cancelled' }).catch(unlessOver)
    for (const run of runs) await this.control.over(run)
    return runs.map(({ runId }) => runId)
  }

  /** Resolves once this server does not drive the run any more. */
  settled(runId: string): Promise<void> {
    return this.#dispatcher.settled(runId)
  }

  isDigestInUse(digest: string): Promise<boolean> {
    return isDigestInUse(this.#deps.db.read, digest)
  }

  /** Of the organisation, or with null of all. */
  counts(organisation: string | null): Promise<{ readonly running: number; readonly pending: number }> {
    return countRuns(this.#deps.db.read, organisation)
  }

  /** Lets go of the runs under way; they continue from their journal at the next start, or at another server. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatcher[Symbol.asyncDispose]()
  }

  async #chores(): Promise<void> {
    await this.people.expire()
    await this.control.endOverdue()
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }

  /** A run as clients see it. */
  readonly view = async (row: RunRow): Promise<Run> => {
    const [view] = await this.#views([row])
    return view as Run
  }

  async #views(rows: readonly RunRow[]): Promise<Run[]> {
    const waiting = rows.filter(({ status, lease_until }) => status === 'pending' && lease_until === null)
    const places = await selectPlaces(
      this.#deps.db.read,
      waiting.map(({ id }) => id),
    )
    return rows.map(row =>
      toRun(row, {
        queuePosition: places.get(row.id) ?? null,
        progress: this.#dispatcher.board(row.id)?.progress() ?? null,
      }),
    )
  }

  async #storedStatuses(row: RunRow): Promise<unknown> {
    const { node_statuses: stored } = await findContent(this.#deps.db.read, row.id)
    if (stored !== '{}') return parseJson(stored)
    const plan = await this.#deps.plans.loadDigest(row.plan_digest)
    return new StepBoard((await preparedPlan(plan.plan, this.#deps.models)).flowIndexes).statuses()
  }

  async #writtenFiles(row: RunRow): Promise<RunResult['files']> {
    const plan = await this.#deps.plans.loadDigest(row.plan_digest).catch(() => null)
    return plan === null ? [] : new RunFolder(this.#deps.runsDir, row.id).writtenFiles(plan.folder)
  }
}

/** Characters of one page of a trace, which is put together in memory; a single call may have more. */
const mostTraced = 16 * 1024 * 1024

// A run that ended by itself while it was to be stopped.
function unlessOver(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== 'run.state') throw error
}
