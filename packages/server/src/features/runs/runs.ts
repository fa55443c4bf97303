import { createHash, randomBytes } from 'node:crypto'
import { encodeValue } from '@slipway/engine/value/codec'
import type { PyDict } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import type { PlanId } from '@slipway/protocol/plans'
import type { Run, RunDetails, RunId, RunResult, RunState, StartRun, TraceCall } from '@slipway/protocol/runs'
import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import type { Logger } from 'pino'
import type { Database } from '#db/database'
import { isStorageFault } from '#db/faults'
import type { EventLog } from '#features/events/events'
import type { Models } from '#features/models/models'
import type { DeployedPlan, Plans } from '#features/plans/plans'
import type { PythonSandboxes, SandboxLimits } from '#features/sandboxes/sandboxes'
import { Journal } from './journal.ts'
import { People } from './people.ts'
import type { RunDriver } from './run-driver.ts'
import { RunFiles, type Download } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import { encodeInputs, resolveInputs } from './run-inputs.ts'
import { RunQueue } from './run-queue.ts'
import {
  findRun,
  findRunByKey,
  insertRun,
  isDigestInUse,
  selectActiveOfPlan,
  selectCalls,
  selectCallSizes,
  selectRuns,
  selectUnfinished,
  updateRunIf,
  type CallFilter,
  type NewRun,
  type RunChange,
  type RunRow,
} from './run-store.ts'
import { faulted, openRun } from './open-run.ts'
import { preparedPlan } from './prepared-plan.ts'
import { StepBoard } from './step-board.ts'
import { toRun, toTraceCall } from './run-view.ts'

export interface RunsDeps {
  readonly db: Database
  readonly events: EventLog
  readonly plans: Plans
  readonly models: Models
  /** Opened when the first script of a run needs it. */
  readonly sandboxes: () => Promise<PythonSandboxes>
  readonly sandboxLimits: Partial<SandboxLimits>
  readonly runsDir: string
  readonly maxConcurrentRuns: number
  readonly defaultMaxCycles: number
  readonly log: Logger
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
}

export interface RunPage {
  readonly runs: readonly Run[]
  /** What to give as `after` for the next page. */
  readonly next: string | null
}

interface Active {
  /** Null while the run is being opened. */
  readonly opened: { readonly driver: RunDriver; readonly board: StepBoard } | null
  readonly done: Promise<void>
}

// Long enough for a disk to be cleared or a backup to end, short enough that nobody looks for what hangs.
const storageRetryMs = 2_000

const noProgress = {
  completed_count: 0,
  failed_count: 0,
  skipped_count: 0,
  execution_count: 0,
  cycle_count: 0,
  current_inference: null,
}

/** Starts runs, drives them in their order, and answers what is asked about them. */
export class Runs implements AsyncDisposable {
  readonly people: People
  readonly #deps: RunsDeps
  readonly #journal: Journal
  readonly #queue: RunQueue
  readonly #active = new Map<string, Active>()
  readonly #stop = new AbortController()
  /** Starts under way of runs whose ids the callers chose. */
  readonly #starting = new Map<string, Promise<void>>()

  constructor(deps: RunsDeps) {
    this.#deps = deps
    this.people = new People(deps.db, () => Math.round(deps.now()))
    this.#journal = new Journal(deps.db, deps.events)
    this.#queue = new RunQueue(deps.maxConcurrentRuns, runId => this.#begin(runId))
  }

  /** Takes up the runs that were not over when the server ended, in their order. */
  async recover(): Promise<void> {
    for (const { id, status } of await selectUnfinished(this.#deps.db.read)) {
      if (status === 'pausing') await this.#journal.append({ runId: id, change: { status: 'paused' } })
      else if (status !== 'paused') this.#queue.add(id)
    }
  }

  /**
   * Resolves once the run is on disk. A request that repeats an idempotency key gets the run it started. `inputs` are
   * the request's, read without loss.
   */
  async start(body: StartRun, given: PyDict): Promise<Run> {
    if (body.run_id === undefined) return this.#start(body, given)
    // One after the other, or the files of the one that is refused could take the place of the other's.
    const before = this.#starting.get(body.run_id) ?? Promise.resolve()
    const started = before.then(() => this.#start(body, given))
    const over = started.then(
      () => undefined,
      () => undefined,
    )
    this.#starting.set(body.run_id, over)
    try {
      return await started
    } finally {
      if (this.#starting.get(body.run_id) === over) this.#starting.delete(body.run_id)
    }
  }

  async #start(body: StartRun, given: PyDict): Promise<Run> {
    if (this.#stop.signal.aborted)
      throw new AppError('server.stopping', 'The server is stopping. Try again in a moment.')
    const requestHash = hashOf(body, given)
    const known = await this.#repeated(body, requestHash)
    if (known) return known
    const plan = await this.#deps.plans.load(body.plan_id, body.version)
    const { inputs, uploads } = resolveInputs(plan.plan, given)
    const row: NewRun = {
      ...this.#chosen(body, plan),
      id: body.run_id ?? newRunId(),
      status: 'pending',
      inputs: encodeInputs(inputs),
      idempotency_key: body.idempotency_key ?? null,
      request_hash: requestHash,
      created_at: Math.round(this.#deps.now()),
      started_at: null,
      completed_at: null,
      cancel_reason: null,
      advances: 0,
      progress: JSON.stringify({
        ...noProgress,
        total_count: (await preparedPlan(plan.plan, this.#deps.models)).flowIndexes.length,
      }),
      node_statuses: '{}',
      error: null,
      result: null,
    }
    const folder = new RunFolder(this.#deps.runsDir, row.id)
    let stored: Run | null | undefined
    try {
      await folder.saveUploads(uploads)
      stored = await this.#insert(row, { body, requestHash, plan })
    } finally {
      // Refused, or the repetition of a run that is there: nothing of this request stays.
      if (stored !== null && uploads.length > 0 && !(await findRun(this.#deps.db.read, row.id))) await folder.remove()
    }
    if (stored) return stored
    this.#queue.add(row.id)
    return this.#view(await this.#row(row.id))
  }

  async list(filter: {
    readonly planId?: PlanId | undefined
    readonly status?: RunState | undefined
    readonly limit: number
    readonly after?: string | undefined
  }): Promise<RunPage> {
    const before = filter.after === undefined ? undefined : Number(filter.after)
    if (before !== undefined && !Number.isSafeInteger(before)) {
      throw new AppError('input.invalid', '`after` is not a place in the list. Use the one of the `Link` header.')
    }
    const statuses = filter.status === undefined ? undefined : [filter.status]
    const rows = await selectRuns(this.#deps.db.read, {
      planId: filter.planId,
      statuses,
      before,
      limit: filter.limit + 1,
    })
    const page = rows.slice(0, filter.limit)
    return {
      runs: page.map(row => this.#view(row)),
      next: rows.length > filter.limit ? String(page.at(-1)?.position) : null,
    }
  }

  async get(runId: RunId): Promise<RunDetails> {
    const row = await this.#row(runId)
    const board = this.#active.get(runId)?.opened?.board
    const statuses = board ? board.statuses() : await this.#storedStatuses(row)
    return { ...this.#view(row), node_statuses: statuses as RunDetails['node_statuses'] }
  }

  async exists(runId: RunId): Promise<boolean> {
    return (await findRun(this.#deps.db.read, runId)) !== undefined
  }

  async isOver(runId: RunId): Promise<boolean> {
    const { status } = await this.#row(runId)
    return status === 'completed' || status === 'failed'
  }

  async result(runId: RunId): Promise<RunResult> {
    const row = await this.#row(runId)
    if (row.result === null) {
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
      final_concepts: parseJson(row.result),
      files,
    } as RunResult
  }

  /** A page of a run's calls; fewer than asked for where they are large, and then the number to go on after. */
  async trace(
    runId: RunId,
    filter: CallFilter,
  ): Promise<{ readonly calls: TraceCall[]; readonly next: number | null }> {
    await this.#row(runId)
    const { read } = this.#deps.db
    const sizes = await selectCallSizes(read, runId, { ...filter, limit: filter.limit + 1 })
    let characters = 0
    const tooMuch = sizes.findIndex(({ size }, at) => (characters += size) > mostTraced && at > 0)
    const limit = Math.min(filter.limit, tooMuch === -1 ? sizes.length : tooMuch)
    const calls = limit === 0 ? [] : (await selectCalls(read, runId, { ...filter, limit })).map(toTraceCall)
    return { calls, next: sizes.length > limit ? (calls.at(-1)?.n ?? null) : null }
  }

  /** A file of the run, for download. Throws `plan.file_unknown` and `file.forbidden`. */
  async file(runId: RunId, path: string): Promise<Download> {
    const row = await this.#row(runId)
    const folder = new RunFolder(this.#deps.runsDir, row.id)
    // A run that has not needed its folder yet has its uploads alone.
    for (const root of [folder.work, folder.uploads]) {
      const found = await new RunFiles({ root, baseDir: '', provisionDirs: new Map() }).openDownload(path)
      if (found) return found
    }
    throw new AppError('plan.file_unknown', `The run has no file ${path}. Its result lists what it wrote.`)
  }

  /** Ends a run: one that waits at once, one that executes as soon as its calls are given up. */
  async stop(runId: RunId, reason: string): Promise<Run> {
    const row = await this.#row(runId)
    // Asked and written at once: the run may be ending by itself just now.
    const isStopping = await this.#change(row, ['pending', 'running', 'pausing', 'paused', 'stopping'], {
      status: 'stopping',
      cancel_reason: row.cancel_reason ?? reason,
    })
    if (!isStopping) {
      const { status } = await this.#row(runId)
      throw new AppError('run.state', `The run is over: it has ${status}.`)
    }
    const active = this.#active.get(runId)
    if (active?.opened) active.opened.driver.cancel(reason)
    // A run that waits or is paused is taken up once more, only to be ended by its driver like any other.
    else if (this.#queue.remove(runId) || row.status === 'paused') this.#begin(runId)
    return this.#view(await this.#row(runId))
  }

  /** Keeps a run from beginning further calls. It is `paused` once the calls under way have ended. */
  async pause(runId: RunId): Promise<Run> {
    const row = await this.#row(runId)
    // Its driver, which may be opening it just now, looks for this.
    if (!(await this.#change(row, ['pending', 'running'], { status: 'pausing' }))) {
      const { status } = await this.#row(runId)
      throw new AppError('run.state', `Only a run that waits or executes can be paused; this one is ${status}.`)
    }
    const active = this.#active.get(runId)
    if (active) active.opened?.driver.pause()
    else if (this.#queue.remove(runId)) await this.#journal.append({ runId, change: { status: 'paused' } })
    return this.#view(await this.#row(runId))
  }

  /** Puts a paused run back into the queue. */
  async resume(runId: RunId): Promise<Run> {
    const row = await this.#row(runId)
    if (!(await this.#change(row, ['paused'], { status: 'pending' }))) {
      const { status } = await this.#row(runId)
      throw new AppError('run.state', `Only a paused run can be resumed; this one is ${status}.`)
    }
    this.#queue.add(runId)
    return this.#view(await this.#row(runId))
  }

  activeOfPlan(planId: PlanId): Promise<readonly { readonly id: string }[]> {
    return selectActiveOfPlan(this.#deps.db.read, planId)
  }

  /** Stops the plan's runs and waits until they are over. */
  async stopAllOfPlan(planId: PlanId, reason: string): Promise<string[]> {
    const ids = (await this.activeOfPlan(planId)).map(({ id }) => id as RunId)
    for (const id of ids) await this.stop(id, reason).catch(unlessOver)
    await Promise.all(ids.flatMap(id => this.#active.get(id)?.done ?? []))
    return ids
  }

  isDigestInUse(digest: string): Promise<boolean> {
    return isDigestInUse(this.#deps.db.read, digest)
  }

  counts(): { readonly running: number; readonly pending: number } {
    return this.#queue.counts()
  }

  /** Lets go of the runs under way; they continue from their journal at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue.stop()
    this.#stop.abort(new AppError('server.stopping', 'The server is stopping.'))
    await Promise.allSettled([...this.#active.values()].map(({ done }) => done))
    await this.#journal.settled()
  }

  #begin(runId: string): void {
    const opening = openRun(runId, { ...this.#deps, journal: this.#journal, people: this.people })
    const done = this.#drive(runId, opening)
      .catch((cause: unknown) => this.#lost(runId, cause))
      .catch((cause: unknown) => this.#later(runId, cause))
      .finally(() => {
        this.#active.delete(runId)
        this.#queue.finished(runId)
      })
    this.#active.set(runId, { opened: null, done })
  }

  async #drive(runId: string, opening: ReturnType<typeof openRun>): Promise<void> {
    await using opened = await opening
    const active = this.#active.get(runId)
    if (active) this.#active.set(runId, { ...active, opened })
    const { cancel_reason: reason, plan_digest, status } = await this.#row(runId)
    if (reason !== null) opened.driver.cancel(reason)
    if (status === 'pausing') opened.driver.pause()
    await opened.driver.drive(this.#stop.signal)
    await this.#deps.plans.release(plan_digest)
  }

  async #lost(runId: string, cause: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return
    if (isStorageFault(cause)) throw cause
    this.#deps.log.error({ runId, err: cause }, 'run ended by a fault of the server')
    this.#journal.restart(runId)
    const { change, event } = faulted(cause, {
      board: this.#active.get(runId)?.opened?.board ?? new StepBoard([]),
      now: this.#deps.now,
    })
    const seq = (await this.#deps.events.lastSeqOfRun(runId)) + 1
    await this.#journal.append({ runId, events: [{ runId, seq, ts: this.#deps.now(), ...event }], change })
  }

  // A full disk or a locked database is no fault of the run: it goes on from its journal when that is over.
  #later(runId: string, cause: unknown): void {
    this.#deps.log.error({ runId, err: cause }, 'run not written')
    if (!isStorageFault(cause)) return
    sleep(storageRetryMs, this.#stop.signal).then(
      () => this.#queue.add(runId),
      () => undefined,
    )
  }

  #chosen(
    body: StartRun,
    { plan, planId, version, digest }: DeployedPlan,
  ): Pick<NewRun, 'plan_id' | 'plan_version' | 'plan_digest' | 'mode' | 'agent' | 'max_cycles'> {
    return {
      plan_id: planId,
      plan_version: version,
      plan_digest: digest,
      mode: body.mode ?? 'parallel',
      agent: this.#agent(body.agent, plan.defaultAgent),
      max_cycles: body.max_cycles ?? plan.maxCycles ?? this.#deps.defaultMaxCycles,
    }
  }

  #agent(asked: string | undefined, ofPlan: string | null): string {
    const { models } = this.#deps
    if (asked !== undefined) {
      if (models.has(asked)) return asked
      const known = models.agents().map(agent => agent.name)
      throw new AppError(
        'agent.unknown',
        `There is no agent "${asked}". Configured are ${known.join(', ')}; see config/agents.yaml.`,
      )
    }
    return ofPlan !== null && models.has(ofPlan) ? ofPlan : models.defaultAgent
  }

  // Two equal requests may arrive at once; the database decides which of them starts the run.
  async #insert(
    row: NewRun,
    request: { readonly body: StartRun; readonly requestHash: string; readonly plan: DeployedPlan },
  ): Promise<Run | null> {
    const queued = {
      runId: row.id,
      seq: 1,
      event: 'run:queued',
      ts: row.created_at,
      data: { plan_id: row.plan_id },
    } as const
    try {
      await this.#deps.db.transaction(async tx => {
        await this.#deps.plans.assertDeployed(tx, request.plan)
        await insertRun(tx, row)
        await this.#deps.events.append(tx, [queued])
      })
      return null
    } catch (error) {
      const repeated = await this.#repeated(request.body, request.requestHash)
      if (repeated) return repeated
      throw error
    }
  }

  /** The run that an equal request has started; `run.conflict` when the key or id belongs to another request. */
  async #repeated(body: StartRun, requestHash: string): Promise<Run | null> {
    const { run_id: runId, idempotency_key: key } = body
    const byKey = key === undefined ? undefined : await findRunByKey(this.#deps.db.read, key)
    if (byKey?.request_hash === requestHash) return this.#view(byKey)
    if (byKey) throw new AppError('run.conflict', 'This idempotency key was used for another request. Use a new key.')
    if (runId === undefined || !(await findRun(this.#deps.db.read, runId))) return null
    throw new AppError('run.conflict', `There is a run with the id ${runId}. Leave \`run_id\` out, or choose another.`)
  }

  #change(row: RunRow, from: readonly RunState[], change: RunChange): Promise<boolean> {
    return this.#deps.db.transaction(tx => updateRunIf(tx, { runId: row.id, from }, change))
  }

  async #row(runId: string): Promise<RunRow> {
    const row = await findRun(this.#deps.db.read, runId)
    if (!row) throw new AppError('run.unknown', `There is no run ${runId}. \`slipway runs\` lists them.`)
    return row
  }

  #view(row: Parameters<typeof toRun>[0]): Run {
    const active = this.#active.get(row.id)
    return toRun(row, {
      queuePosition: this.#queue.positionOf(row.id),
      progress: active?.opened?.board.progress() ?? null,
    })
  }

  async #storedStatuses(row: RunRow): Promise<unknown> {
    if (row.node_statuses !== '{}') return parseJson(row.node_statuses)
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

// Sorts by time, so that ids of one day stand together in logs and folders.
function newRunId(): string {
  return `run_${Date.now().toString(36).padStart(9, '0')}${randomBytes(7).toString('hex').slice(0, 11)}`
}

// A run that ended by itself while it was to be stopped.
function unlessOver(error: unknown): void {
  if (!(error instanceof AppError) || error.code !== 'run.state') throw error
}

// The inputs as they were read without loss: two integers beyond 53 bits are two requests.
function hashOf({ inputs: _inputs, ground_inputs: _groundInputs, ...rest }: StartRun, given: PyDict): string {
  return createHash('sha256').update(JSON.stringify(rest)).update(encodeValue(given)).digest('hex')
}
