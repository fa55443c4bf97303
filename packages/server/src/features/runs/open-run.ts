import { Run as EngineRun } from '@slipway/engine/run/run'
import type { RunEnd } from '@slipway/engine/run/records'
import { AppError } from '@slipway/protocol/errors'
import type { RunError } from '@slipway/protocol/runs'
import { join } from 'node:path'
import type { DeployedPlan } from '#features/plans/plans'
import type { PythonSession } from '#features/sandboxes/sandboxes'
import { toFinalConcept } from './final-concepts.ts'
import type { Journal } from './journal.ts'
import type { People } from './people.ts'
import { planTools } from './plan-tools.ts'
import { preparedPlan } from './prepared-plan.ts'
import { RunDriver, type Closing, type RunPosition } from './run-driver.ts'
import { RunEffects } from './run-effects.ts'
import { RunFiles } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import { decodeInputs } from './run-inputs.ts'
import { findRun, selectOutcomes, type RunRow } from './run-store.ts'
import { errorOf } from './run-view.ts'
import type { RunsDeps } from './runs.ts'
import { StepBoard } from './step-board.ts'

export interface OpenedRun extends AsyncDisposable {
  readonly driver: RunDriver
  readonly board: StepBoard
}

export interface OpenRunDeps extends RunsDeps {
  readonly journal: Journal
  readonly people: People
}

/**
 * Work of the engine between two turns of everybody else, about 20 ms. Decisions in the journal are counted in these
 * turns, so a release with another number cannot go on with the unfinished runs of an earlier one.
 */
const unitsPerTurn = 20_000

/** Puts together what drives one run, from its row and its journal. */
export async function openRun(runId: string, deps: OpenRunDeps): Promise<OpenedRun> {
  deps.journal.restart(runId)
  const row = await findRun(deps.db.read, runId)
  if (!row) throw new AppError('run.unknown', `There is no run ${runId}.`)
  const plan = await deps.plans.loadDigest(row.plan_digest)
  const { program, flowIndexes, conceptOf, agentOf } = await preparedPlan(plan.plan, deps.models)
  const board = new StepBoard(flowIndexes)
  const engine = new EngineRun(program, {
    mode: row.mode === 'sequential' ? 'sequential' : 'parallel',
    maxCycles: row.max_cycles,
    seed: runId,
    inputs: decodeInputs(row.inputs),
    unitsPerTurn,
  })
  const workshop = new Workshop(row, plan, deps)
  const driver: RunDriver = new RunDriver({
    runId,
    engine,
    journal: deps.journal,
    position: await positionOf(row, deps),
    board,
    conceptOf,
    now: deps.now,
    effects: new RunEffects({
      runId,
      planId: row.plan_id,
      agentOf: flowIndex => agentOf(flowIndex)?.answeredBy ?? row.agent,
      tools: planTools({ plan: plan.plan, agentOf: flowIndex => agentOf(flowIndex)?.described ?? null }),
      models: deps.models,
      people: deps.people,
      files: () => workshop.files(),
      python: () => workshop.python(),
      tell: event => driver.tell(event),
      ask: (input, event) => driver.ask(input, event),
      now: deps.now,
    }),
    closing: end => closing(end, { engine, board, conceptOf, now: deps.now }),
  })
  return { driver, board, [Symbol.asyncDispose]: () => workshop.close() }
}

/** The run's folder and its interpreter, made when they are first needed. */
class Workshop {
  readonly #row: RunRow
  readonly #plan: DeployedPlan
  readonly #deps: OpenRunDeps
  readonly #folder: RunFolder
  #files: Promise<RunFiles> | null = null
  #session: Promise<PythonSession> | null = null

  constructor(row: RunRow, plan: DeployedPlan, deps: OpenRunDeps) {
    this.#row = row
    this.#plan = plan
    this.#deps = deps
    this.#folder = new RunFolder(deps.runsDir, row.id)
  }

  files(): Promise<RunFiles> {
    this.#files ??= this.#openFiles()
    return this.#files
  }

  python(): Promise<PythonSession> {
    this.#session ??= this.#openSession()
    return this.#session
  }

  async close(): Promise<void> {
    // A copy under way is waited for: nothing of this run works on once it is closed.
    await this.#files?.catch(() => null)
    const session = await this.#session?.catch(() => null)
    await session?.[Symbol.asyncDispose]()
  }

  async #openFiles(): Promise<RunFiles> {
    await this.#folder.prepare(this.#plan.folder)
    const { baseDir, provisionDirs } = this.#plan.plan
    return new RunFiles({ root: this.#folder.work, baseDir, provisionDirs })
  }

  async #openSession(): Promise<PythonSession> {
    await this.files()
    const sandboxes = await this.#deps.sandboxes()
    const { runId, log } = { runId: this.#row.id, log: this.#deps.log }
    return sandboxes.open({
      folder: join(this.#folder.work, this.#plan.plan.baseDir),
      limits: this.#deps.sandboxLimits,
      onOutput: text => log.debug({ runId, text }, 'script printed'),
    })
  }
}

async function positionOf(row: RunRow, deps: OpenRunDeps): Promise<RunPosition> {
  return {
    seq: await deps.events.lastSeqOfRun(row.id),
    advances: row.advances,
    outcomes: await selectOutcomes(deps.db.read, row.id),
    isResumed: row.status === 'pending',
  }
}

interface Ending {
  readonly engine: EngineRun
  readonly board: StepBoard
  readonly conceptOf: (flowIndex: string) => string
  readonly now: () => number
}

function closing(end: RunEnd, { engine, board, conceptOf, now }: Ending): Closing {
  const completedAt = Math.round(now())
  const error = errorOf(end, conceptOf)
  const finals = engine.finals().map(({ name, reference }) => toFinalConcept(name, reference))
  const progress = board.progress()
  const at = { completed_at: new Date(completedAt).toISOString(), progress }
  return {
    change: {
      status: end.status,
      completed_at: completedAt,
      progress: JSON.stringify(progress),
      node_statuses: JSON.stringify(board.statuses()),
      error: error === null ? null : JSON.stringify(error),
      result: JSON.stringify(finals),
    },
    event:
      error === null
        ? { event: 'run:completed', data: { ...at, final_concepts: finals.map(final => final.name) } }
        : { event: 'run:failed', data: { ...at, error } },
  }
}

/** How a run ends that the server could not drive on. */
export function faulted(cause: unknown, { board, now }: Pick<Ending, 'board' | 'now'>): Closing {
  const message =
    cause instanceof AppError ? cause.message : 'The server failed while it drove this run. Its log says more.'
  const error: RunError = { reason: 'internal', message, stuck: [] }
  const completedAt = Math.round(now())
  return {
    change: {
      status: 'failed',
      completed_at: completedAt,
      progress: JSON.stringify(board.progress()),
      node_statuses: JSON.stringify(board.statuses()),
      error: JSON.stringify(error),
      result: '[]',
    },
    event: { event: 'run:failed', data: { completed_at: new Date(completedAt).toISOString(), error } },
  }
}
