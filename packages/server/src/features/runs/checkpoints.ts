import { createHash, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { resolveProvision } from '@slipway/engine/plan/provisions'
import { encodeSnapshot } from '@slipway/engine/run/codec'
import { reconcile, signaturesOf, type Reconciled } from '@slipway/engine/run/reconcile'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import { encodeValue } from '@slipway/engine/value/codec'
import type { PyDict } from '@slipway/engine/value/value'
import type { Checkpoint, ForkRun, ReconcileMode } from '@slipway/protocol/checkpoints'
import { AppError } from '@slipway/protocol/errors'
import { PlanId } from '@slipway/protocol/plans'
import type { DeployedPlan } from '#features/plans/plans'
import { findStepOfCycle, selectPlacesInCycle, selectSteps, type StepRow } from './journal-store.ts'
import { knownRun, type RunRef } from './known-run.ts'
import { preparedPlan } from './prepared-plan.ts'
import type { RunControl } from './run-control.ts'
import { RunFolder } from './run-folder.ts'
import { decodeInputs, encodeInputs, resolveInputs, resolveValues, type RunInputs } from './run-inputs.ts'
import type { RunDraft, RunRequest, RunStarter, RunTerms } from './run-starter.ts'
import type { RunStates } from './run-states.ts'
import { findContent, type RunRow } from './run-store.ts'
import { ValueWriter } from './run-values.ts'
import type { RunsDeps } from './runs.ts'

export interface CheckpointsDeps extends RunsDeps {
  readonly control: RunControl
  readonly starter: RunStarter
  readonly states: RunStates
}

/** A position as requests name it. */
export interface AskedPosition {
  readonly step?: number | undefined
  readonly cycle?: number | undefined
  readonly inference_count?: number | undefined
}

export interface CheckpointFilter {
  readonly after?: number | undefined
  readonly limit: number
  readonly order: 'asc' | 'desc'
  readonly flowIndex?: string | undefined
  readonly cycle?: number | undefined
}

/** The positions of a run: lists them, takes the run back to one, and starts others from one. */
export class Checkpoints {
  readonly #deps: CheckpointsDeps

  constructor(deps: CheckpointsDeps) {
    this.#deps = deps
  }

  async list(
    run: RunRef,
    filter: CheckpointFilter,
  ): Promise<{ readonly checkpoints: Checkpoint[]; readonly next: number | null }> {
    const row = await this.#row(run)
    const { id: runId } = row
    const { read } = this.#deps.db
    const { limit, flowIndex, cycle } = filter
    const newestFirst = filter.order === 'desc'
    const after = filter.after ?? 0
    const steps = await selectSteps(read, runId, { after, limit: limit + 1, flowIndex, cycle, newestFirst })
    const page = steps.slice(0, limit)
    const places = await selectPlacesInCycle(read, runId, page)
    const checkpoints = page.map(step => toCheckpoint(step, places.get(step.n) ?? 1))
    const isWhole = flowIndex === undefined && (cycle ?? 0) === 0
    const hasStart = newestFirst ? steps.length <= limit : filter.after === undefined
    if (isWhole && hasStart && checkpoints.length < limit) {
      if (newestFirst) checkpoints.push(startOf(row))
      else checkpoints.unshift(startOf(row))
    }
    return { checkpoints, next: steps.length > limit ? (page.at(-1)?.n ?? null) : null }
  }

  /** Takes a run that rests back to a position and lets it go on from there. */
  async resume(run: RunRef, position: AskedPosition): Promise<RunRow> {
    const row = await this.#row(run)
    if (position.step === undefined && position.cycle === undefined && row.status === 'paused')
      return this.#deps.control.resume(run)
    if (!['paused', 'waiting', 'completed', 'failed'].includes(row.status))
      throw new AppError('run.state', `Pause the run before it is taken back; it is ${row.status}.`)
    const step = await this.#stepOf(row, position)
    const snapshot = await this.#deps.states.at(row, step)
    const asked = { command: { type: 'restore', snapshot }, cancelAs: null, toStep: step } as const
    return (await this.#deps.control.ask(run, asked, { goesOn: true })).run
  }

  /** Starts a run from a position of another one, of the same package or of a deployed plan. */
  async fork(
    run: RunRef,
    body: ForkRun,
    given: { readonly inputs: PyDict; readonly overrides: PyDict },
  ): Promise<RunRow> {
    const source = await this.#row(run)
    const request: RunRequest = { by: run.by, terms: termsOf(body), requestHash: hashOf(run.runId, body, given) }
    return this.#deps.starter.begin(request, () => this.#draft(source, { body, given, request }))
  }

  async #draft(
    source: RunRow,
    asked: {
      readonly body: ForkRun
      readonly given: { readonly inputs: PyDict; readonly overrides: PyDict }
      readonly request: RunRequest
    },
  ): Promise<RunDraft> {
    const { body, given, request } = asked
    const step = await this.#stepOf(source, body)
    const saved = await this.#deps.states.at(source, step)
    const plan = await this.#target(source, body)
    const before = decodeInputs((await findContent(this.#deps.db.read, source.id)).inputs)
    const { inputs, changed, uploads } = resolveInputs(plan.plan, given.inputs, before)
    const overrides = resolveValues(plan.plan, given.overrides)
    const mode = body.mode ?? (plan.digest === source.plan_digest ? 'OVERWRITE' : 'PATCH')
    const found = await this.#reconciled(source, {
      saved,
      plan,
      mode,
      isFork: body.restart ?? false,
      changed,
      overrides,
    })
    const values = new ValueWriter(source.family)
    const { kept, discarded, reset } = found
    return {
      ...request,
      plan,
      inputs: encodeInputs(inputs),
      uploads,
      fork: {
        from: source,
        step,
        start: found.snapshot,
        origin: encodeSnapshot(found.snapshot, values.put),
        values,
        event: { event: 'run:forked', data: { from_run_id: source.id, step, mode, kept, discarded, reset } },
        copyFiles: folder => this.#copyFiles(source, folder),
      },
    }
  }

  async #reconciled(
    source: RunRow,
    options: {
      readonly saved: Snapshot
      readonly plan: DeployedPlan
      readonly mode: ReconcileMode
      readonly isFork: boolean
      readonly changed: RunInputs
      readonly overrides: RunInputs
    },
  ): Promise<Reconciled> {
    const { saved, plan, mode, isFork, changed, overrides } = options
    const { plans, models } = this.#deps
    const before = await plans.loadDigest(source.plan_digest)
    const { program } = await preparedPlan(plan.plan, models)
    const signatures = {
      before: signaturesOf((await preparedPlan(before.plan, models)).program, sha256, { contentOf: textsOf(before) }),
      after: signaturesOf(program, sha256, { contentOf: textsOf(plan) }),
    }
    return reconcile(program, saved, { mode, isFork, signatures, inputs: changed, overrides })
  }

  async #copyFiles(source: RunRow, folder: RunFolder): Promise<void> {
    const { folder: packageFolder } = await this.#deps.plans.loadDigest(source.plan_digest)
    await folder.copyFrom(new RunFolder(this.#deps.runsDir, source.id), packageFolder)
  }

  #target(source: RunRow, body: ForkRun): Promise<DeployedPlan> {
    const { plans } = this.#deps
    if (body.plan_id === undefined && body.version === undefined) return plans.loadDigest(source.plan_digest)
    const { organisation } = source
    return plans.load({ organisation, planId: body.plan_id ?? PlanId.parse(source.plan_id) }, body.version)
  }

  async #stepOf(row: RunRow, { step, cycle, inference_count: count }: AskedPosition): Promise<number> {
    if (step !== undefined) return step
    if (cycle === undefined) return row.records
    if (cycle === 0) return row.forked_at ?? 0
    const found = await findStepOfCycle(this.#deps.db.read, row.id, { cycle, place: count ?? 0 })
    if (found !== null) return found
    throw new AppError('checkpoint.unknown', `The run has no checkpoint in cycle ${cycle} with that number.`)
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}

// A fork's mode is how it is reconciled; it executes as its source does.
function termsOf({ mode: _mode, ...terms }: ForkRun): RunTerms {
  return terms
}

/** Texts of a package by the path that a step names. Forks are rare and prompts are short. */
function textsOf({ plan, folder }: DeployedPlan): (path: string) => string | null {
  return path => {
    const found = resolveProvision(plan, path)
    return found === null ? null : readFileSync(join(folder, found), 'utf8')
  }
}

const sha256 = (text: string): string => hash('sha256', text, 'hex')

function hashOf(runId: string, body: ForkRun, given: { readonly inputs: PyDict; readonly overrides: PyDict }): string {
  const { inputs: _inputs, overrides: _overrides, ...rest } = body
  const hash = createHash('sha256').update(`fork ${runId}\n`).update(JSON.stringify(rest))
  return hash.update(encodeValue(given.inputs)).update('\n').update(encodeValue(given.overrides)).digest('hex')
}

/** What of a record a list shows; a record has more. */
interface Shown {
  readonly concept?: string
  readonly execution?: number
  readonly status?: string
  readonly command?: { readonly type: string }
}

function toCheckpoint({ run_id, n, at, kind, cycle, flow_index, record }: StepRow, place: number): Checkpoint {
  const { concept = null, execution = null, status, command } = parseJson(record) as Shown
  const state = kind === 'step' ? (status ?? '') : (command?.type ?? '')
  return {
    run_id,
    step: n,
    cycle,
    inference_count: place,
    flow_index,
    concept_name: concept,
    execution,
    status: state,
    at: new Date(at).toISOString(),
    label: flow_index === null ? state : `${flow_index} ${concept ?? ''} ${state}`,
  } as Checkpoint
}

function startOf(row: RunRow): Checkpoint {
  return {
    run_id: row.id,
    step: row.forked_at ?? 0,
    cycle: 0,
    inference_count: 0,
    flow_index: null,
    concept_name: null,
    execution: null,
    status: 'start',
    at: new Date(row.started_at ?? row.created_at).toISOString(),
    label: row.forked_from === null ? 'start' : `forked from ${row.forked_from} at step ${row.forked_at}`,
  } as Checkpoint
}
