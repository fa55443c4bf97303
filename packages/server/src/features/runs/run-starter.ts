import { createHash, randomBytes } from 'node:crypto'
import { encodeValue } from '@slipway/engine/value/codec'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import type { PyDict } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import type { StartRun } from '@slipway/protocol/runs'
import type { Tx } from '#db/database'
import type { DeployedPlan } from '#features/plans/plans'
import { commandRow } from './commands.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Journal } from './journal.ts'
import { insertCommand } from './journal-store.ts'
import type { Caller } from './known-run.ts'
import { preparedPlan } from './prepared-plan.ts'
import type { RunEventDraft } from './run-events.ts'
import { assertNoRemains, keepFromDeletion } from './retention-store.ts'
import { RunFolder, type Upload } from './run-folder.ts'
import { encodeInputs, resolveInputs } from './run-inputs.ts'
import { findRun, findRunByKey, insertRun, type NewRun, type RunContentRow, type RunRow } from './run-store.ts'
import { ValueWriter } from './run-values.ts'
import type { RunsDeps } from './runs.ts'

export interface RunStarterDeps extends RunsDeps {
  readonly journal: Journal
  readonly dispatcher: Dispatcher
}

/** What of a request decides how a new run is carried out, whatever it begins with. */
export type RunTerms = Pick<
  StartRun,
  | 'run_id'
  | 'agent'
  | 'max_cycles'
  | 'mode'
  | 'timeout_seconds'
  | 'step_timeout_seconds'
  | 'input_timeout_seconds'
  | 'breakpoints'
  | 'idempotency_key'
>

/** Who asks for a new run, and what of the request tells it from others. */
export interface RunRequest {
  readonly by: Caller
  readonly terms: RunTerms
  readonly requestHash: string
}

/** A run that is about to be put on disk. */
export interface RunDraft extends RunRequest {
  readonly plan: DeployedPlan
  /** Resolved and encoded. */
  readonly inputs: string
  readonly uploads: readonly Upload[]
  readonly fork: RunFork | null
}

/** Where a fork comes from, and the state that it begins with. */
export interface RunFork {
  readonly from: RunRow
  readonly step: number
  /** The state that it begins with. */
  readonly start: Pick<Snapshot, 'records' | 'emitted' | 'starts'>
  /** The encoded snapshot, and the values of the family that it needs beyond those that are there. */
  readonly origin: string
  readonly values: ValueWriter
  readonly event: RunEventDraft
  /** Fills the new run's folder with what the source has written. */
  readonly copyFiles: (folder: RunFolder) => Promise<void>
}

const noProgress = {
  completed_count: 0,
  failed_count: 0,
  skipped_count: 0,
  execution_count: 0,
  cycle_count: 0,
  current_inference: null,
}

/** Puts new runs on disk. */
export class RunStarter {
  readonly #deps: RunStarterDeps
  /** Starts under way of runs whose ids the callers chose. */
  readonly #starting = new Map<string, Promise<void>>()

  constructor(deps: RunStarterDeps) {
    this.#deps = deps
  }

  async start(by: Caller, body: StartRun, given: PyDict): Promise<RunRow> {
    const request: RunRequest = { by, terms: body, requestHash: hashOf(body, given) }
    return this.begin(request, async () => {
      const { organisation } = by
      const plan = await this.#deps.plans.load({ organisation, planId: body.plan_id }, body.version)
      const { inputs, uploads } = resolveInputs(plan.plan, given)
      return { ...request, plan, inputs: encodeInputs(inputs), uploads, fork: null }
    })
  }

  /**
   * Resolves once the run that `draft` describes is on disk, or with the run that the same request has started before.
   * One after the other for one id, or the files of a run that is refused could take the place of the other's.
   */
  async begin(request: RunRequest, draft: () => Promise<RunDraft>): Promise<RunRow> {
    const { run_id: runId } = request.terms
    if (runId === undefined) return this.#begin(request, draft)
    const before = this.#starting.get(runId) ?? Promise.resolve()
    const started = before.then(() => this.#begin(request, draft))
    const over = started.then(
      () => undefined,
      () => undefined,
    )
    this.#starting.set(runId, over)
    try {
      return await started
    } finally {
      if (this.#starting.get(runId) === over) this.#starting.delete(runId)
    }
  }

  async #begin(request: RunRequest, makeDraft: () => Promise<RunDraft>): Promise<RunRow> {
    if (this.#deps.dispatcher.isStopping)
      throw new AppError('server.stopping', 'The server is stopping. Try again in a moment.')
    const known = await this.#repeated(request)
    if (known) return known
    const draft = await makeDraft()
    const row = await this.#newRow(draft)
    const folder = new RunFolder(this.#deps.runsDir, row.id)
    let stored: RunRow | null = null
    try {
      await folder.saveUploads(draft.uploads)
      await draft.fork?.copyFiles(folder)
      stored = await this.#insert(row, draft)
      return stored
    } finally {
      // Refused, or the repetition of a run that is there: nothing of this request stays.
      const hasFiles = draft.uploads.length > 0 || draft.fork !== null
      if (stored?.id !== row.id && hasFiles && !(await findRun(this.#deps.db.read, row.id))) await folder.remove()
    }
  }

  async #newRow(draft: RunDraft): Promise<NewRun> {
    const { by, terms, requestHash, plan, fork } = draft
    const id = terms.run_id ?? newRunId()
    const createdAt = Math.round(this.#deps.now())
    const { flowIndexes } = await preparedPlan(plan.plan, this.#deps.models)
    return {
      id,
      organisation: by.organisation,
      seed: id,
      plan_id: plan.planId,
      plan_version: plan.version,
      plan_digest: plan.digest,
      status: 'pending',
      ...this.#manner(draft),
      idempotency_key: terms.idempotency_key ?? null,
      request_hash: requestHash,
      created_at: createdAt,
      started_at: null,
      completed_at: null,
      ...originOf(id, fork),
      progress: JSON.stringify({ ...noProgress, total_count: flowIndexes.length }),
      error: null,
      held: null,
      breakpoints: '[]',
      ...limitsOf(terms, createdAt),
      owner: null,
      lease: 0,
      lease_until: null,
      imported_at: null,
      compacted_at: null,
    }
  }

  #manner({ terms, plan, fork }: RunDraft): Pick<NewRun, 'mode' | 'agent' | 'max_cycles'> {
    const from = fork?.from
    return {
      mode: terms.mode ?? from?.mode ?? 'parallel',
      agent: this.#agent(terms.agent, from?.agent ?? plan.plan.defaultAgent),
      max_cycles: terms.max_cycles ?? from?.max_cycles ?? plan.plan.maxCycles ?? this.#deps.defaultMaxCycles,
    }
  }

  #agent(asked: string | undefined, otherwise: string | null): string {
    const { models } = this.#deps
    if (asked !== undefined) {
      if (models.has(asked)) return asked
      const known = models.agents().map(agent => agent.name)
      throw new AppError(
        'agent.unknown',
        `There is no agent "${asked}". Configured are ${known.join(', ')}; see config/agents.yaml.`,
      )
    }
    return otherwise !== null && models.has(otherwise) ? otherwise : models.defaultAgent
  }

  // Two equal requests may arrive at once; the database decides which of them starts the run.
  async #insert(row: NewRun, draft: RunDraft): Promise<RunRow> {
    try {
      return await this.#deps.journal.commit(async tx => {
        await this.#write(tx, row, draft)
        const { dispatcher, db } = this.#deps
        const claimed = dispatcher.isFull ? new Set<string>() : await dispatcher.claimIn(tx)
        // Another server may have room for it.
        if (!claimed.has(row.id)) await db.notify(tx, 'slipway_runs', row.id)
        return (await findRun(tx.sql, row.id)) as RunRow
      })
    } catch (error) {
      const repeated = await this.#repeated(draft)
      if (repeated) return repeated
      throw error
    }
  }

  async #write(tx: Tx, row: NewRun, { by, plan, inputs, fork, terms }: RunDraft): Promise<void> {
    const { plans, events, now } = this.#deps
    const { organisation } = by
    if (fork?.from.plan_digest !== plan.digest) await plans.assertDeployed(tx, { organisation, plan })
    if (fork !== null && !(await keepFromDeletion(tx, fork.from.id, this.#deps.db.dialect)))
      throw new AppError('run.unknown', `The run ${fork.from.id} was deleted just now.`)
    const content: RunContentRow = {
      run_id: row.id,
      inputs,
      origin: fork?.origin ?? null,
      node_statuses: '{}',
      result: null,
    }
    const told: readonly RunEventDraft[] = [
      { event: 'run:queued', data: { plan_id: row.plan_id } },
      ...(fork === null ? [] : [fork.event]),
    ]
    await insertRun(tx, { ...row, seq: told.length }, content)
    if (terms.run_id !== undefined) await assertNoRemains(tx, { organisation, runId: row.id })
    const values = fork?.values ?? new ValueWriter(row.family)
    for (const flowIndex of terms.breakpoints ?? []) {
      const asked = { command: { type: 'set_breakpoint', flowIndex }, cancelAs: null, toStep: null } as const
      await insertCommand(tx, commandRow(asked, { runId: row.id, by: by.subject, now: now(), values }))
    }
    await tx.insertMissing('run_value', values.take())
    await events.append(
      tx,
      told.map(({ event, data }, index) => ({
        organisation,
        runId: row.id,
        seq: index + 1,
        event,
        ts: row.created_at,
        data,
      })),
    )
  }

  /** The run that an equal request has started; `run.conflict` when the key or id belongs to another request. */
  async #repeated({ by, terms, requestHash }: RunRequest): Promise<RunRow | null> {
    const { run_id: runId, idempotency_key: key } = terms
    const { read } = this.#deps.db
    const byKey = key === undefined ? undefined : await findRunByKey(read, { organisation: by.organisation, key })
    if (byKey?.request_hash === requestHash) return byKey
    if (byKey) throw new AppError('run.conflict', 'This idempotency key was used for another request. Use a new key.')
    if (runId === undefined || !(await findRun(read, runId))) return null
    throw new AppError('run.conflict', `The id ${runId} is taken. Leave \`run_id\` out, or choose another.`)
  }
}

type Origin = Pick<
  NewRun,
  'family' | 'seq' | 'entries' | 'records' | 'emitted' | 'starts' | 'forked_from' | 'forked_at'
>

/** A fork goes on with the numbers of the state that it begins with; its journal and its events are its own. */
function originOf(id: string, fork: RunFork | null): Origin {
  const { records, emitted, starts } = fork?.start ?? { records: 0, emitted: 0, starts: 0 }
  const source = fork && { family: fork.from.family, forked_from: fork.from.id, forked_at: fork.step }
  return {
    seq: 0,
    entries: 0,
    records,
    emitted,
    starts,
    ...(source ?? { family: id, forked_from: null, forked_at: null }),
  }
}

function limitsOf(
  terms: RunTerms,
  createdAt: number,
): Pick<NewRun, 'step_timeout_ms' | 'input_timeout_ms' | 'deadline_at'> {
  const timeout = milliseconds(terms.timeout_seconds)
  return {
    step_timeout_ms: milliseconds(terms.step_timeout_seconds),
    input_timeout_ms: milliseconds(terms.input_timeout_seconds),
    deadline_at: timeout === null ? null : createdAt + timeout,
  }
}

function milliseconds(seconds: number | undefined): number | null {
  return seconds === undefined ? null : Math.max(1, Math.round(seconds * 1000))
}

// Sorts by time, so that ids of one day stand together in logs and folders.
function newRunId(): string {
  return `run_${Date.now().toString(36).padStart(9, '0')}${randomBytes(7).toString('hex').slice(0, 11)}`
}

// The inputs as they were read without loss: two integers beyond 53 bits are two requests.
function hashOf({ inputs: _inputs, ground_inputs: _groundInputs, ...rest }: StartRun, given: PyDict): string {
  return createHash('sha256').update(JSON.stringify(rest)).update(encodeValue(given)).digest('hex')
}
