import { encodeReference } from '@slipway/engine/run/codec'
import { isRefusal, planCommand, type Command } from '@slipway/engine/run/commands'
import { openGate } from '@slipway/engine/run/gate'
import { matchInput } from '@slipway/engine/plan/inputs'
import type { ConceptEntry } from '@slipway/engine/plan/repositories'
import type { Program } from '@slipway/engine/run/program'
import type { SnapshotConcept } from '@slipway/engine/run/snapshot'
import type { RunState } from '@slipway/engine/run/state'
import type { Reference } from '@slipway/engine/reference/reference'
import type { ConceptState, LogLine, ReferencePage, StepView, ValueChange } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import { excerptOf } from './excerpt.ts'
import { isWrite } from './write-log.ts'
import { selectSteps } from './journal-store.ts'
import { knownRun, type RunRef } from './known-run.ts'
import { toLogLine } from './run-logs.ts'
import type { Moment, RunStates } from './run-states.ts'
import type { RunRow } from './run-store.ts'
import type { RunsDeps } from './runs.ts'
import { toStepView } from './step-view.ts'
import { tensorPart, type AskedPart } from './tensor-page.ts'

export type InspectorDeps = Pick<RunsDeps, 'db' | 'events' | 'plans'> & { readonly states: RunStates }

export interface Paging {
  readonly after: number
  readonly limit: number
}

/** A part of a list, and what to give as `after` for the next one; null at the end. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: number | null
}

// Texts and tensors in lists end there; the reference itself has pages.
const mostOfValue = 2_000
const mostOfPage = 1_000_000
const eventsPerPage = 1_000
/** Events that one request looks through for lines. */
const mostEvents = 20_000

/** Looks into runs, live or over, without changing anything. */
export class Inspector {
  readonly #deps: InspectorDeps

  constructor(deps: InspectorDeps) {
    this.#deps = deps
  }

  /** Every concept of the plan as it was after record `step`, or is now, in the order of the plan. */
  async references(run: RunRef, step?: number): Promise<ConceptState[]> {
    const row = await this.#row(run)
    const program = await this.#deps.states.program(row)
    const { concepts } = await this.#deps.states.at(row, step ?? row.records)
    const saved = new Map(concepts.map(concept => [concept.name, concept]))
    return program.concepts.map(({ entry }) => conceptState(entry, saved.get(entry.conceptName)))
  }

  async reference(
    run: RunRef,
    name: string,
    { step, ...part }: AskedPart & { readonly step?: number | undefined },
  ): Promise<ReferencePage> {
    const row = await this.#row(run)
    const { states } = this.#deps
    const entry = await this.#concept(row, name)
    const concept = entry.conceptName
    const at = step ?? row.records
    const saved = (await states.at(row, at)).concepts.find(one => one.name === concept)
    const state = conceptState(entry, saved)
    const written = state.has_reference ? await states.writerOf(row, concept, at) : null
    return { ...state, ...tensorPart(saved?.reference ?? null, part), written_at: written }
  }

  /** Without `after` the list begins with what the concept was given, where it was given something. */
  async referenceHistory(
    run: RunRef,
    name: string,
    {
      after,
      limit,
      signal,
    }: { readonly after?: number | undefined; readonly limit: number; readonly signal: AbortSignal },
  ): Promise<Page<ValueChange>> {
    const row = await this.#row(run)
    const { states } = this.#deps
    const { conceptName: concept } = await this.#concept(row, name)
    const { step: begin } = await states.beginning(row)
    const from = Math.max(begin, after ?? 0)
    if (from > row.records) return { items: [], next: null }
    let before = referenceIn(await states.stateAt(row, from), concept)
    const list = new ValueList(limit)
    if (after === undefined && before !== null) {
      const given = { step: from, flow_index: null, execution: null, at: isoTime(row.created_at) }
      if (list.add(given, before)) return { items: list.items, next: from }
    }
    for await (const moment of states.walk(row, from, signal)) {
      const reference = referenceIn(moment.state, concept)
      const isNew = hasWritten(moment, concept, { before, reference })
      if (isNew && list.add(whoWrote(moment), reference)) return { items: list.items, next: moment.n }
      before = reference
    }
    return { items: list.items, next: null }
  }

  async steps(
    run: RunRef,
    { flowIndex, ...paging }: Paging & { readonly flowIndex?: string | undefined },
  ): Promise<Page<StepView>> {
    const row = await this.#row(run)
    return this.#steps(row, { ...paging, flowIndex })
  }

  async flowHistory(run: RunRef, flowIndex: string, paging: Paging): Promise<Page<StepView>> {
    const row = await this.#row(run)
    knownStep(await this.#deps.states.program(row), flowIndex)
    return this.#steps(row, { ...paging, flowIndex })
  }

  /** May have fewer lines than asked for where most events are no lines of this kind. */
  async logs(
    run: RunRef,
    filter: Paging & { readonly flowIndex?: string | undefined; readonly level?: LogLine['level'] | undefined },
  ): Promise<Page<LogLine>> {
    const { organisation, id: runId } = await this.#row(run)
    const { flowIndex, level, limit } = filter
    const items: LogLine[] = []
    let { after } = filter
    for (let read = 0; read < mostEvents; read += eventsPerPage) {
      const events = await this.#deps.events.read({ organisation, runId }, { after, limit: eventsPerPage })
      for (const event of events) {
        after = event.seq
        const line = toLogLine(event)
        if (line === null || (level ?? line.level) !== line.level) continue
        if (flowIndex !== undefined && line.flow_index !== flowIndex) continue
        items.push(line)
        if (items.length >= limit) return { items, next: after }
      }
      if (events.length < eventsPerPage) return { items, next: null }
    }
    return { items, next: after }
  }

  /** The steps that would run again if the concept got another value now, in flow order. */
  async dependents(run: RunRef, name: string): Promise<string[]> {
    const row = await this.#row(run)
    const { conceptName: concept } = await this.#concept(row, name)
    const state = await this.#deps.states.stateAt(row, row.records)
    const value = { data: null, axes: null }
    return resetBy({ type: 'override', concept, value, rerunDependents: true }, state)
  }

  /** The steps that a re-run from this one would execute again now, itself included, in flow order. */
  async descendants(run: RunRef, flowIndex: string): Promise<string[]> {
    const row = await this.#row(run)
    const state = await this.#deps.states.stateAt(row, row.records)
    knownStep(state.program, flowIndex)
    return resetBy({ type: 'rerun', flowIndex }, state)
  }

  async #steps(
    { id }: RunRow,
    { limit, ...filter }: Paging & { readonly flowIndex: string | undefined },
  ): Promise<Page<StepView>> {
    const rows = await selectSteps(this.#deps.db.read, id, { ...filter, limit: limit + 1 })
    const items = rows.slice(0, limit).map(toStepView)
    return { items, next: rows.length > limit ? (items.at(-1)?.n ?? null) : null }
  }

  /** The concept that a name means, as it is found for inputs. */
  async #concept(row: RunRow, name: string): Promise<ConceptEntry> {
    const { plan } = await this.#deps.plans.loadDigest(row.plan_digest)
    const match = matchInput(plan, name)
    const { concepts } = await this.#deps.states.program(row)
    const found = match.ok ? concepts.find(({ entry }) => entry.conceptName === match.name) : undefined
    if (found) return found.entry
    const isAmbiguous = !match.ok && match.problem.code === 'input.ambiguous'
    const why = isAmbiguous ? match.problem.message : `The plan has no concept "${name}".`
    throw new AppError('concept.unknown', `${why} \`references\` of the run lists them by their exact names.`)
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}

/** Values for a reply, until there are enough of them or they are large enough together. */
class ValueList {
  readonly items: ValueChange[] = []
  readonly #limit: number
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** True when nothing more is to come. */
  add(when: Pick<ValueChange, 'step' | 'flow_index' | 'execution' | 'at'>, reference: Reference | null): boolean {
    if (reference === null) {
      this.items.push({ ...when, axes: null, shape: null, data: null, truncated: false })
    } else {
      const { data, truncated, size } = excerptOf(reference.data, mostOfValue)
      this.items.push({ ...when, axes: [...reference.axes], shape: [...reference.shape], data, truncated })
      this.#size += size
    }
    return this.items.length >= this.#limit || this.#size >= mostOfPage
  }
}

function conceptState(entry: ConceptEntry, saved: SnapshotConcept | undefined): ConceptState {
  const { reference, status } = saved ?? { reference: null, status: 'empty' as const }
  const { axes, shape } = valueOf(reference) ?? { axes: [], shape: [] }
  return {
    concept_name: entry.conceptName,
    natural_name: entry.naturalName,
    is_ground: entry.isGround,
    is_final: entry.isFinal,
    status,
    has_reference: axes.length > 0,
    axes: [...axes],
    shape: [...shape],
  }
}

/** Null for a placeholder without content, too. */
function valueOf(reference: Reference | null): Reference | null {
  return reference === null || reference.axes.length === 0 ? null : reference
}

function referenceIn({ references, program }: RunState, concept: string): Reference | null {
  return valueOf(references[program.conceptNumbers.get(concept) ?? -1] ?? null)
}

// Going back to an earlier moment gives all concepts their values of then, most of which they still have.
function hasWritten(
  { record }: Moment,
  concept: string,
  { before, reference }: { readonly before: Reference | null; readonly reference: Reference | null },
): boolean {
  if (record.kind === 'command' && record.snapshot !== null) return textOf(before) !== textOf(reference)
  return record.changes.some(change => change.name === concept && isWrite(change)) && (before ?? reference) !== null
}

function textOf(reference: Reference | null): string | null {
  return reference === null ? null : JSON.stringify(encodeReference(reference))
}

function whoWrote({ n, at, record }: Moment): Pick<ValueChange, 'step' | 'flow_index' | 'execution' | 'at'> {
  const isStep = record.kind === 'step'
  return {
    step: n,
    flow_index: isStep ? record.flowIndex : null,
    execution: isStep ? record.execution : null,
    at: isoTime(at),
  }
}

/** What a command would reset if it came now; nothing is changed. */
function resetBy(command: Command, state: RunState): string[] {
  const plan = planCommand(command, { state, gate: openGate, isEnded: false })
  if (isRefusal(plan)) throw new AppError('run.command', plan.message)
  return plan.items.flatMap(({ flowIndex, reason }) => (reason === 'rerun' ? [flowIndex] : []))
}

function knownStep(program: Program, flowIndex: string): void {
  if (program.slotNumbers.has(flowIndex)) return
  throw new AppError('step.unknown', `The plan has no step ${flowIndex}. Its graph shows them.`)
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
