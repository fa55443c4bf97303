import { setImmediate as nextTurn } from 'node:timers/promises'
import { applyRecord } from '@slipway/engine/run/apply-record'
import { decodeRecord, decodeSnapshot } from '@slipway/engine/run/codec'
import type { Program } from '@slipway/engine/run/program'
import type { RunRecord } from '@slipway/engine/run/records'
import { loadState, recordedSnapshot, type Snapshot } from '@slipway/engine/run/snapshot'
import { startState } from '@slipway/engine/run/start-state'
import type { Reference } from '@slipway/engine/reference/reference'
import type { RunState } from '@slipway/engine/run/state'
import { AppError } from '@slipway/protocol/errors'
import { selectSteps } from './journal-store.ts'
import { preparedPlan } from './prepared-plan.ts'
import { decodeInputs } from './run-inputs.ts'
import { findContent, type RunRow } from './run-store.ts'
import { ValueReader } from './run-values.ts'
import type { RunsDeps } from './runs.ts'
import { WriteLog } from './write-log.ts'

export type RunStatesDeps = Pick<RunsDeps, 'db' | 'plans' | 'models'>

/** One record of a run and the state after it, which goes on to change when the next moment is taken. */
export interface Moment {
  readonly n: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly record: RunRecord
  readonly state: RunState
}

/** What is remembered of a run that somebody looks at. */
interface KnownRun {
  /** States by the number of the record that they follow, least recently used first. */
  readonly states: Map<number, Snapshot>
  readonly writes: WriteLog
  /** The last one who builds a state of it: one after the other, so that each goes on from what is there. */
  building: Promise<unknown>
}

interface Wanted {
  readonly step: number
  readonly known: KnownRun
}

const recordsPerPage = 100
/** Between two states that are remembered on the way. */
const recordsPerState = 500
const mostStates = 16
const mostRuns = 8

/**
 * The states that runs had, made again from the records on disk. A run that is being driven is seen as of its last
 * commit.
 */
export class RunStates {
  readonly #deps: RunStatesDeps
  /** By the place of the run in the order of all, which unlike its id is never used again. */
  readonly #known = new Map<number, KnownRun>()

  constructor(deps: RunStatesDeps) {
    this.#deps = deps
  }

  /** The program of the package that the run was started with. */
  async program(row: RunRow): Promise<Program> {
    const { plans, models } = this.#deps
    const { plan } = await plans.loadDigest(row.plan_digest)
    return (await preparedPlan(plan, models)).program
  }

  /**
   * The state after the record with this number; the number that a run begins with, 0 or where it was forked, is the
   * state before its first step. Throws `checkpoint.unknown` for numbers that the run does not have.
   */
  async at(row: RunRow, step: number): Promise<Snapshot> {
    return this.#at(row, { step, known: this.#knownRun(row) })
  }

  /**
   * The number of the state that a run begins with, 0 or where it was forked, and whether no step had executed in it: a
   * fork either goes on or begins again with the values that it took over.
   */
  async beginning(row: RunRow): Promise<{ readonly step: number; readonly isFresh: boolean }> {
    const { origin } = await findContent(this.#deps.db.read, row.id)
    if (origin === null) return { step: 0, isFresh: true }
    const { records, items } = decodeSnapshot(origin, () => nothing)
    return { step: records, isFresh: items.every(({ executions }) => executions === 0) }
  }

  /** The state in a form that records can be applied to, for whoever asks alone. */
  async stateAt(row: RunRow, step: number): Promise<RunState> {
    return loadState(await this.program(row), await this.at(row, step), optionsOf(row))
  }

  /** The record that wrote the value that a concept had after record `step`; null when the run began with it. */
  async writerOf(row: RunRow, concept: string, step: number): Promise<number | null> {
    const known = this.#knownRun(row)
    await this.#at(row, { step, known })
    return known.writes.writerAt(concept, step)
  }

  /** The records behind number `after` with the states that they led to, up to what is on disk when it comes there. */
  async *walk(row: RunRow, after: number, signal?: AbortSignal): AsyncGenerator<Moment> {
    let state = await this.stateAt(row, after)
    for (;;) {
      signal?.throwIfAborted()
      const page = await this.#page(row, state.records, recordsPerPage)
      for (const { n, at, record } of page) {
        state = applyRecord(state, record)
        yield { n, at, record, state }
      }
      if (page.length < recordsPerPage) return
      await nextTurn()
    }
  }

  async #at(row: RunRow, { step, known }: Wanted): Promise<Snapshot> {
    const building = known.building.then(() => this.#build(row, { step, known }))
    known.building = building.catch(() => undefined)
    return building
  }

  async #build(row: RunRow, { step, known }: Wanted): Promise<Snapshot> {
    const found = known.states.get(step)
    if (found) {
      remember(known.states, step, found)
      return found
    }
    if (step > row.records) throw unknownStep(row, step)
    let state = await this.#nearest(row, { step, known })
    while (state.records < step) {
      // Pages end at round numbers, and so come by those at which a state is remembered.
      const upToRound = recordsPerPage - (state.records % recordsPerPage)
      const page = await this.#page(row, state.records, Math.min(upToRound, step - state.records))
      if (page.length === 0) break
      for (const { n, record } of page) {
        if (n !== state.records + 1) throw unknownStep(row, step)
        state = applyRecord(state, record)
        known.writes.note(n, record)
      }
      if (state.records % recordsPerState === 0) remember(known.states, state.records, recordedSnapshot(state))
      await nextTurn()
    }
    if (state.records !== step) throw unknownStep(row, step)
    const snapshot = recordedSnapshot(state)
    remember(known.states, step, snapshot)
    return snapshot
  }

  async #nearest(row: RunRow, { step, known }: Wanted): Promise<RunState> {
    const before = [...known.states.keys()].filter(number => number < step)
    const nearest = known.states.get(Math.max(...before))
    const program = await this.program(row)
    return nearest === undefined ? this.#beginning(row, program) : loadState(program, nearest, optionsOf(row))
  }

  /** What a run begins with: its inputs, or the state that it was forked with. */
  async #beginning(row: RunRow, program: Program): Promise<RunState> {
    const { read } = this.#deps.db
    const { inputs, origin } = await findContent(read, row.id)
    const values = new ValueReader(read, row.family)
    if (origin !== null) await values.load([origin])
    return startState(program, {
      mode: row.mode === 'sequential' ? 'sequential' : 'parallel',
      inputs: decodeInputs(inputs),
      from: origin === null ? null : decodeSnapshot(origin, values.get),
    })
  }

  async #page(
    row: RunRow,
    after: number,
    limit: number,
  ): Promise<{ readonly n: number; readonly at: number; readonly record: RunRecord }[]> {
    const { read } = this.#deps.db
    const rows = await selectSteps(read, row.id, { after, limit })
    const values = new ValueReader(read, row.family)
    await values.load(rows.map(({ record }) => record))
    return rows.map(({ n, at, record }) => ({ n, at, record: decodeRecord(record, values.get) }))
  }

  #knownRun(row: RunRow): KnownRun {
    const known = this.#known.get(row.position) ?? {
      states: new Map<number, Snapshot>(),
      writes: new WriteLog(),
      building: Promise.resolve(),
    }
    remember(this.#known, row.position, known, mostRuns)
    return known
  }
}

const nothing: Reference = { axes: [], shape: [], data: null }

function remember<T>(all: Map<number, T>, key: number, value: T, most = mostStates): void {
  all.delete(key)
  all.set(key, value)
  const [oldest] = all.keys()
  if (all.size > most && oldest !== undefined) all.delete(oldest)
}

function optionsOf({ mode }: RunRow): { readonly parallel: boolean } {
  return { parallel: mode !== 'sequential' }
}

function unknownStep({ id, records }: RunRow, step: number): AppError {
  return new AppError(
    'checkpoint.unknown',
    `The run ${id} has no checkpoint ${step}; its newest is ${records}. \`GET /api/checkpoints/${id}\` lists them.`,
  )
}
