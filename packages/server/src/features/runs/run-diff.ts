import { compareFlowIndices } from '@slipway/engine/plan/flow-index'
import { encodeReference } from '@slipway/engine/run/codec'
import { decodeValue, encodeValue, fromPlain } from '@slipway/engine/value/codec'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { parseJson } from '@slipway/kit/json'
import type { RunCost, RunDiff, StepDiff } from '@slipway/protocol/checkpoints'
import type { FinalConcept, Run, RunId } from '@slipway/protocol/runs'
import { excerptOf } from './excerpt.ts'
import { toFinalConcept } from './final-concepts.ts'
import { countSteps, sumCalls } from './inspection-store.ts'
import { knownRun, type RunRef } from './known-run.ts'
import { readFacts, type CallFact, type StepFact, type WrittenFact } from './run-facts.ts'
import { lineOf, partingOf, type Stretch } from './run-line.ts'
import type { RunStates } from './run-states.ts'
import { findContent, type RunRow } from './run-store.ts'
import { ValueReader } from './run-values.ts'
import type { RunsDeps } from './runs.ts'

export type RunDiffsDeps = Pick<RunsDeps, 'db'> & {
  readonly states: RunStates
  /** A run as clients see it. */
  readonly view: (row: RunRow) => Promise<Run>
}

const mostOfValue = 2_000
const mostOfReply = 1_000_000
/** Pairs of executions whose values are in memory at the same time. */
const pairsAtOnce = 20

/** Says what two runs did differently. */
export class RunDiffs {
  readonly #deps: RunDiffsDeps

  constructor(deps: RunDiffsDeps) {
    this.#deps = deps
  }

  /**
   * Steps are put side by side by flow index and by which execution of it they are, counted from where the histories of
   * the two runs part. Once there are `limit` differences the rest is not looked at any more. Ids of signs are chosen
   * anew in every run, so they make no difference.
   */
  async diff(
    runs: { readonly a: RunRef; readonly b: RunRef },
    { limit, signal }: { readonly limit: number; readonly signal: AbortSignal },
  ): Promise<RunDiff> {
    const { db, states, view } = this.#deps
    const [a, b] = [await this.#row(runs.a), await this.#row(runs.b)]
    const context = { read: db.read, states }
    const parting = partingOf(await lineOf(a, context), await lineOf(b, context))
    const facts = {
      a: await readFacts(db.read, parting.a, signal),
      b: await readFacts(db.read, parting.b, signal),
    }
    const differences = new Differences(limit)
    const pairs = pairsOf(facts.a.steps, facts.b.steps)
    for (let start = 0; start < pairs.length && !differences.isFull; start += pairsAtOnce) {
      signal.throwIfAborted()
      await this.#compare(pairs.slice(start, start + pairsAtOnce), { a, b, differences })
    }
    const { common } = parting
    return {
      a: await view(a),
      b: await view(b),
      common: common && { run_id: common.runId as RunId, step: common.step },
      inputs: await this.#inputs(a, b),
      steps: differences.steps,
      equal_steps: differences.equal + (await this.#count(parting.shared)),
      finals: await this.#finals(a, b),
      cost: { a: await this.#cost(a), b: await this.#cost(b) },
      truncated: differences.isFull || facts.a.isCut || facts.b.isCut,
    }
  }

  async #compare(
    pairs: readonly Pair[],
    { a, b, differences }: { readonly a: RunRow; readonly b: RunRow; readonly differences: Differences },
  ): Promise<void> {
    const sides = { a: new Side(this.#deps, a.family), b: new Side(this.#deps, b.family) }
    const unequal = pairs.filter(pair => !isSurelyEqual(pair))
    await sides.a.load(unequal.map(pair => pair.a))
    await sides.b.load(unequal.map(pair => pair.b))
    for (const pair of pairs) {
      if (differences.isFull) return
      differences.add(isSurelyEqual(pair) ? null : differenceOf(pair, sides))
    }
  }

  async #inputs(a: RunRow, b: RunRow): Promise<RunDiff['inputs']> {
    const [given, other] = [await readInputs(this.#deps, a), await readInputs(this.#deps, b)]
    const names = new Set([...given.keys(), ...other.keys()])
    return [...names].flatMap(name => {
      const [one, two] = [given.get(name), other.get(name)]
      const isEqual = one !== undefined && two !== undefined && encodeValue(one) === encodeValue(two)
      return isEqual ? [] : [{ concept_name: name, a: shownInput(one), b: shownInput(two) }]
    })
  }

  async #finals(a: RunRow, b: RunRow): Promise<RunDiff['finals']> {
    const [one, two] = [await this.#finalsOf(a), await this.#finalsOf(b)]
    const names = new Set([...one.keys(), ...two.keys()])
    return [...names].map(name => {
      const [left, right] = [one.get(name), two.get(name)]
      const isEqual = left !== undefined && right !== undefined && dataText(left) === dataText(right)
      return { concept_name: name, equal: isEqual, a: shown(left?.value), b: shown(right?.value) }
    })
  }

  /** Those of a run that is not over are as they are now. */
  async #finalsOf(row: RunRow): Promise<Map<string, FinalConcept>> {
    const { result } = await findContent(this.#deps.db.read, row.id)
    const finals = result === null ? await this.#presentFinals(row) : (parseJson(result) as FinalConcept[])
    return new Map(finals.map(final => [final.name, final]))
  }

  async #presentFinals(row: RunRow): Promise<FinalConcept[]> {
    const { program, references } = await this.#deps.states.stateAt(row, row.records)
    return program.concepts.flatMap(({ entry, index }) =>
      entry.isFinal ? [toFinalConcept(entry.conceptName, references[index] ?? null)] : [],
    )
  }

  async #cost({ id, records, started_at: from, completed_at: to }: RunRow): Promise<RunCost> {
    const { read } = this.#deps.db
    const steps = await countSteps(read, id, { after: 0, until: records })
    return { steps, ...(await sumCalls(read, id)), wall_ms: from === null || to === null ? null : to - from }
  }

  async #count(stretches: readonly Stretch[]): Promise<number> {
    let count = 0
    for (const { row, after, until } of stretches)
      count += await countSteps(this.#deps.db.read, row.id, { after, until })
    return count
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}

/** One execution on both sides; null where a run did not execute the step that often. */
interface Pair {
  readonly a: StepFact | null
  readonly b: StepFact | null
}

/** In flow order. */
function pairsOf(a: readonly StepFact[], b: readonly StepFact[]): Pair[] {
  const [left, right] = [byFlowIndex(a), byFlowIndex(b)]
  const flowIndexes = [...new Set([...left.keys(), ...right.keys()])].sort(compareFlowIndices)
  return flowIndexes.flatMap(flowIndex => {
    const [ones, others] = [left.get(flowIndex) ?? [], right.get(flowIndex) ?? []]
    const length = Math.max(ones.length, others.length)
    return Array.from({ length }, (_, place) => ({ a: ones[place] ?? null, b: others[place] ?? null }))
  })
}

function byFlowIndex(steps: readonly StepFact[]): Map<string, StepFact[]> {
  return Map.groupBy(steps, step => step.flowIndex)
}

class Differences {
  readonly steps: StepDiff[] = []
  equal = 0
  readonly #limit: number
  #size = 0
  #isFull = false

  constructor(limit: number) {
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** Null for a pair that is equal. */
  add(found: StepDiff | null): void {
    if (found === null) {
      this.equal++
      return
    }
    // Full is said when something is left out, not when the last one fits.
    if (this.steps.length >= this.#limit || this.#size >= mostOfReply) {
      this.#isFull = true
      return
    }
    this.steps.push(found)
    this.#size += JSON.stringify(found).length
  }
}

/** What one run has written and asked, read for some of its executions. */
class Side {
  readonly #values: ValueReader

  constructor({ db }: Pick<RunDiffsDeps, 'db'>, family: string) {
    this.#values = new ValueReader(db.read, family)
  }

  async load(steps: readonly (StepFact | null)[]): Promise<void> {
    const found = steps.filter(step => step !== null)
    const tokens = found.flatMap(({ written }) => written.flatMap(({ token }) => token ?? []))
    await this.#values.load([...tokens, ...found.flatMap(({ calls }) => calls.map(({ inputs }) => inputs))])
  }

  /** For comparison. */
  written({ name, token, kept }: WrittenFact): string {
    return JSON.stringify([name, kept, token === null ? null : encodeReference(this.#values.get(parseJson(token)))])
  }

  value({ token }: WrittenFact): unknown {
    return token === null ? null : excerptOf(this.#values.get(parseJson(token)).data, mostOfValue).data
  }

  asked({ type, inputs }: CallFact): string {
    return `${type} ${this.#values.text(inputs)}`
  }

  inputs({ type, inputs }: CallFact): unknown {
    return { type, ...(shown(parseJson(this.#values.text(inputs))) as object) }
  }
}

interface Sides {
  readonly a: Side
  readonly b: Side
}

// Values are kept by their content, so what stands for them is enough to see that they are the same.
function isSurelyEqual({ a, b }: Pair): boolean {
  if (a === null || b === null || a.status !== b.status) return false
  return JSON.stringify([a.written, a.calls]) === JSON.stringify([b.written, b.calls])
}

function differenceOf(pair: Pair, sides: Sides): StepDiff | null {
  const { a, b } = pair
  const some = a ?? b
  if (some === null) return null
  const value = valueChange(pair, sides)
  const prompt = a === null || b === null ? null : promptChange(a, b, sides)
  const status = { a: a?.status ?? null, b: b?.status ?? null }
  const difference = kindOf(pair, { value, prompt })
  if (difference === null) return null
  const { flowIndex, conceptName, execution } = some
  return { flow_index: flowIndex, concept_name: conceptName, execution, difference, status, value, prompt }
}

function kindOf({ a, b }: Pair, { value, prompt }: Pick<StepDiff, 'value' | 'prompt'>): StepDiff['difference'] | null {
  if (b === null) return 'only_a'
  if (a === null) return 'only_b'
  if (a.status !== b.status) return 'status'
  if (value !== null) return 'value'
  return prompt === null ? null : 'prompt'
}

/** What both wrote, by concept, where it differs. */
function valueChange({ a, b }: Pair, sides: Sides): StepDiff['value'] {
  const [left, right] = [writtenOf(a, sides.a), writtenOf(b, sides.b)]
  const names = [...new Set([...left.keys(), ...right.keys()])]
  const different = names.filter(name => left.get(name)?.text !== right.get(name)?.text)
  if (different.length === 0) return null
  const shownOf = (written: Written): unknown =>
    Object.fromEntries(different.flatMap(name => (written.has(name) ? [[name, written.get(name)?.value()]] : [])))
  return { a: a && shownOf(left), b: b && shownOf(right) }
}

type Written = ReadonlyMap<string, { readonly text: string; readonly value: () => unknown }>

function writtenOf(step: StepFact | null, side: Side): Written {
  return new Map(
    step?.written.map(one => [one.name, { text: withoutIds(side.written(one)), value: () => side.value(one) }]),
  )
}

function promptChange(a: StepFact, b: StepFact, sides: Sides): StepDiff['prompt'] {
  const paths = new Set([...a.calls, ...b.calls].map(({ path }) => path))
  for (const path of paths) {
    const one = a.calls.find(call => call.path === path)
    const other = b.calls.find(call => call.path === path)
    const isSame = one && other && withoutIds(sides.a.asked(one)) === withoutIds(sides.b.asked(other))
    if (isSame === true) continue
    return { a: one ? sides.a.inputs(one) : null, b: other ? sides.b.inputs(other) : null }
  }
  return null
}

const signHead = /%(\{[A-Za-z0-9_]+\})?[0-9a-f]{3}\(/g

function withoutIds(text: string): string {
  return text.replace(signHead, '%$1(')
}

async function readInputs({ db }: RunDiffsDeps, { id }: RunRow): Promise<Map<string, Value>> {
  const inputs = decodeValue((await findContent(db.read, id)).inputs)
  const entries = inputs instanceof PyDict ? [...inputs.entries()] : []
  return new Map(entries.flatMap(([name, input]) => (typeof name === 'string' ? [[name, input]] : [])))
}

function shownInput(input: Value | undefined): unknown {
  if (!(input instanceof PyDict)) return null
  return excerptOf(input.get('data') ?? null, mostOfValue).data
}

function dataText({ axes, shape, data }: FinalConcept): string {
  return withoutIds(JSON.stringify([axes, shape, data]))
}

function shown(plain: unknown): unknown {
  return plain === undefined ? null : excerptOf(fromPlain(plain), mostOfValue).data
}
