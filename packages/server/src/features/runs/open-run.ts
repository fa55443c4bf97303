import { Run as EngineRun } from '@slipway/engine/run/run'
import type { RunEnd } from '@slipway/engine/run/records'
import { decodeSnapshot } from '@slipway/engine/run/codec'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import { AppError } from '@slipway/protocol/errors'
import type { RunError } from '@slipway/protocol/runs'
import type { DeployedPlan } from '#features/plans/plans'
import { readCommand } from './commands.ts'
import { EntryWriter } from './entry-writer.ts'
import { toFinalConcept } from './final-concepts.ts'
import {
  findSnapshot,
  selectAppliedCommands,
  selectOutcomes,
  selectWaitingCommands,
  type SnapshotRow,
} from './journal-store.ts'
import type { Journal } from './journal.ts'
import type { People } from './people.ts'
import { planTools } from './plan-tools.ts'
import { preparedPlan, type PreparedPlan } from './prepared-plan.ts'
import { RunDriver, type Closing, type RecordedEntry } from './run-driver.ts'
import { RunEffects } from './run-effects.ts'
import { decodeInputs } from './run-inputs.ts'
import { settleRun } from './settle.ts'
import { findContent, type RunContentRow, type RunRow } from './run-store.ts'
import { ValueReader } from './run-values.ts'
import { errorOf } from './run-view.ts'
import type { RunsDeps } from './runs.ts'
import { StepBoard } from './step-board.ts'
import { Workshop } from './workshop.ts'

export interface OpenedRun extends AsyncDisposable {
  readonly driver: RunDriver
  readonly board: StepBoard
}

export interface OpenRunDeps extends RunsDeps {
  readonly journal: Journal
  readonly people: People
}

/** Work of the engine between two turns of everybody else, about 20 ms. */
const unitsPerTurn = 20_000

/** Puts together what drives one run, from its row, which this server holds the lease of, and its journal. */
export async function openRun(row: RunRow, deps: OpenRunDeps): Promise<OpenedRun> {
  deps.journal.restart(row.id)
  const plan = await deps.plans.loadDigest(row.plan_digest)
  const prepared = await preparedPlan(plan.plan, deps.models)
  const stored = await readStored(row, deps)
  const board = new StepBoard(prepared.flowIndexes)
  const engine = openEngine(row, prepared, stored)
  if (stored.from) board.begin(stored.from)
  const workshop = new Workshop(row, plan, deps)
  const { interrupted } = stored
  const { conceptOf } = prepared
  const writer = new EntryWriter({
    runId: row.id,
    family: row.family,
    lease: row.lease,
    position: row,
    snapshotCycle: stored.from?.tracker.cycleCount ?? 0,
    snapshotRecords: stored.from?.records ?? 0,
    interrupted,
    conceptOf,
    now: deps.now,
  })
  const driver: RunDriver = new RunDriver({
    organisation: row.organisation,
    runId: row.id,
    engine,
    journal: deps.journal,
    writer,
    position: row,
    consumed: stored.snapshot?.entries ?? 0,
    recorded: stored.recorded,
    isNew: row.started_at === null,
    isResumed: row.status === 'pending' && row.started_at !== null,
    interrupted,
    board,
    snapshotEvery: deps.checkpointFrequency,
    now: deps.now,
    effects: effectsOf(row, { plan, prepared, workshop, deps, driver: () => driver }),
    closing: (end, cancelledAs) => closing(end, { engine, board, conceptOf, now: deps.now, cancelledAs }),
    settle: (tx, end, openKeys) => settleRun(tx, row.id, { end, openKeys, now: deps.now }),
  })
  driver.take(stored.waiting)
  if (row.status === 'pausing') driver.pause()
  return { driver, board, [Symbol.asyncDispose]: () => workshop.close() }
}

function openEngine(row: RunRow, { program }: PreparedPlan, { content, from }: Stored): EngineRun {
  return new EngineRun(program, {
    mode: row.mode === 'sequential' ? 'sequential' : 'parallel',
    maxCycles: row.max_cycles,
    seed: row.seed,
    inputs: decodeInputs(content.inputs),
    unitsPerTurn,
    from,
  })
}

function effectsOf(
  row: RunRow,
  parts: {
    readonly plan: DeployedPlan
    readonly prepared: PreparedPlan
    readonly workshop: Workshop
    readonly deps: OpenRunDeps
    readonly driver: () => RunDriver
  },
): RunEffects {
  const { plan, prepared, workshop, deps, driver } = parts
  const { agentOf, mayRepeat } = prepared
  return new RunEffects({
    runId: row.id,
    planId: row.plan_id,
    agentOf: flowIndex => agentOf(flowIndex)?.answeredBy ?? row.agent,
    tools: planTools({ plan: plan.plan, agentOf: flowIndex => agentOf(flowIndex)?.described ?? null }),
    models: deps.models,
    people: deps.people,
    workshop,
    mayRepeat,
    stepTimeoutMs: row.step_timeout_ms,
    inputTimeoutMs: row.input_timeout_ms,
    announce: (event, input) => driver().announce(event, input),
    now: deps.now,
  })
}

/** What a run has on disk besides its row. */
interface Stored {
  readonly content: RunContentRow
  readonly snapshot: SnapshotRow | undefined
  /** The state that the engine begins with; undefined for the beginning of a run. */
  readonly from: Snapshot | undefined
  readonly recorded: readonly RecordedEntry[]
  readonly waiting: Parameters<RunDriver['take']>[0]
  readonly interrupted: ReadonlySet<string>
}

async function readStored(row: RunRow, { db, events }: OpenRunDeps): Promise<Stored> {
  const { read } = db
  const content = await findContent(read, row.id)
  const waitingRows = await selectWaitingCommands(read, row.id)
  // Nothing of a new run is on disk but its row.
  const isNew = row.started_at === null
  const snapshot = isNew ? undefined : await findSnapshot(read, row.id)
  const after = snapshot?.entries ?? 0
  const calls = isNew ? [] : await selectOutcomes(read, row.id, after)
  const commands = isNew ? [] : await selectAppliedCommands(read, row.id, after)
  const values = new ValueReader(read, row.family)
  const begin = snapshot?.data ?? content.origin
  await values.load([
    ...(begin === null ? [] : [begin]),
    ...calls.map(call => call.outcome),
    ...[...commands, ...waitingRows].map(({ command }) => command),
  ])
  const recorded: RecordedEntry[] = [
    ...calls.map(({ n, key, outcome }) => ({ type: 'call', n, key, outcome: values.text(outcome) }) as const),
    ...commands.map(({ n, starts, command }) => {
      return { type: 'command', n: n ?? 0, starts: starts ?? 0, ...readCommand(command, values) } as const
    }),
  ].sort((a, b) => a.n - b.n)
  const source = { organisation: row.organisation, runId: row.id }
  const begun = isNew ? [] : await events.named(source, ['llm:call_started', 'tool:call_started'], snapshot?.seq ?? 0)
  const answered = new Set(calls.map(({ key }) => key))
  const keys = begun.map(event => String(event['key'])).filter(key => !answered.has(key))
  return {
    content,
    snapshot,
    from: begin === null ? undefined : decodeSnapshot(begin, values.get),
    recorded,
    waiting: waitingRows.map(({ id, command }) => ({ id, ...readCommand(command, values) })),
    interrupted: new Set(keys),
  }
}

interface Ending {
  readonly engine: EngineRun
  readonly board: StepBoard
  readonly conceptOf: (flowIndex: string) => string
  readonly now: () => number
  readonly cancelledAs: string | null
}

function closing(end: RunEnd, { engine, board, conceptOf, now, cancelledAs }: Ending): Closing {
  const completedAt = Math.round(now())
  const found = errorOf(end, conceptOf)
  const error =
    found?.reason === 'cancelled' && cancelledAs === 'timeout' ? { ...found, reason: 'timeout' as const } : found
  const finals = engine.finals().map(({ name, reference }) => toFinalConcept(name, reference))
  const progress = board.progress()
  const at = { completed_at: new Date(completedAt).toISOString(), progress }
  return {
    change: {
      status: end.status,
      completed_at: completedAt,
      progress: JSON.stringify(progress),
      error: error === null ? null : JSON.stringify(error),
    },
    content: { node_statuses: JSON.stringify(board.statuses()), result: JSON.stringify(finals) },
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
      error: JSON.stringify(error),
    },
    content: { node_statuses: JSON.stringify(board.statuses()), result: '[]' },
    event: { event: 'run:failed', data: { completed_at: new Date(completedAt).toISOString(), error } },
  }
}
