import type { InferenceEntry } from '#plan/repositories'
import { leaves, renameAxis } from '#reference/access'
import { elementAction } from '#reference/combine'
import { EMPTY } from '#reference/construct'
import { join } from '#reference/join'
import { NONE_AXIS, SKIP, type Reference } from '#reference/reference'
import type { Dialect } from '#run/dialect'
import { identityOf } from '#run/identity'
import type { LoopIteration } from '#run/state'
import { isList, PyDict, type Value } from '#value/value'
import { groupAcross } from './grouping.ts'
import type { PreparedSequence, StepContext, StepResult } from './result.ts'

/** What a loop goes over and what it writes, by names of concepts. */
export interface LoopSettings {
  readonly key: string
  /** Name of the concept that holds the current element. */
  readonly current: string
  /** Name under which the body's result is kept. */
  readonly inferred: string
  readonly base: string
  readonly groupBase: string
  readonly carried: readonly Carried[]
}

/** A value that goes from one iteration into a later one. */
interface Carried {
  readonly name: string
  /** How many iterations back the value comes from. */
  readonly back: number
}

/** Axis of the collected results until it gets the name of the collection's own. */
const ITERATION_AXIS = '_iteration_axis'
const VALUE_AXIS = 'value'

export function prepareLoop(
  entry: InferenceEntry,
  options: { readonly key: string; readonly dialect: Dialect },
): PreparedSequence {
  const settings = loopSettings(entry, options)
  return { lanes: [], start: context => runLoop(context, settings) }
}

export function loopSettings(
  entry: InferenceEntry,
  { key, dialect }: { readonly key: string; readonly dialect: Dialect },
): LoopSettings {
  const syntax = entry.workingInterpretation.get('syntax')
  const text = (name: string): string | null => {
    const value = syntax instanceof PyDict ? syntax.get(name) : null
    return typeof value === 'string' ? value : null
  }
  const base = text('LoopBaseConcept') ?? entry.valueConcepts[0] ?? ''
  const inferred = syntax instanceof PyDict ? (syntax.get('ConceptToInfer') ?? null) : null
  const first = isList(inferred) ? inferred[0] : inferred
  return {
    key,
    base,
    current: text('CurrentLoopBaseConcept') ?? `${base}*`,
    inferred: typeof first === 'string' ? first : entry.conceptToInfer,
    groupBase: text('group_base') ?? '',
    carried: syntax instanceof PyDict ? carriedOf(syntax, dialect) : [],
  }
}

function carriedOf(syntax: PyDict, dialect: Dialect): Carried[] {
  const value = syntax.get('InLoopConcept') ?? null
  if (value === null || (value instanceof PyDict && value.size === 0)) {
    return dialect === '2026-01-strict' ? [] : compiledCarries(syntax.get('CarryStateConcept') ?? null)
  }
  if (!(value instanceof PyDict)) return []
  return [...value.entries()].flatMap(([name, rule]) => {
    if (typeof name !== 'string') return []
    if (typeof rule === 'number') return [{ name, back: rule }]
    if (!(rule instanceof PyDict)) return []
    const current = rule.get('current_name')
    const back = rule.get('carry_over')
    return [{ name: typeof current === 'string' ? current : name, back: typeof back === 'number' ? back : 1 }]
  })
}

/** The compiler writes what it carries under a key of its own, and always means the iteration before. */
function compiledCarries(value: Value): Carried[] {
  return (isList(value) ? value : [value]).flatMap(name => (typeof name === 'string' ? [{ name, back: 1 }] : []))
}

/** One turn of a loop: keeps what the body made of the current element, and hands out the next one. */
function runLoop(context: StepContext, settings: LoopSettings): StepResult {
  const { item, state } = context
  const { given, base } = collections(context, settings)
  if (base === null) return { status: 'pending' }
  const elements = elementsOf(context, settings, given)
  const before = state.loops.get(settings.key) ?? []
  const current = currentElement(context, settings)
  const seen = new Set(before.map(iteration => iteration.identity))
  const isNew = current !== null && !seen.has(current.identity)
  const iterations = isNew ? [...before, iterationOf(context, settings, current)] : before
  const next = elements.find(({ identity }) => identity !== current?.identity && !seen.has(identity)) ?? null
  const present = new Set(elements.map(({ identity }) => identity))
  const loop = {
    key: settings.key,
    iterations,
    total: present.size,
    context: contextAfter(context, settings, { iterations, isNew, next: next?.element ?? EMPTY }),
  }
  const collected = isNew ? collect(iterations, present, { base, inferred: settings.inferred }) : null
  const done = new Set(iterations.filter(hasResult(settings)).map(({ identity }) => identity))
  if ([...present].every(identity => done.has(identity))) {
    const output = collected ?? (context.reference(item.concept) === null ? emptyLike(base) : null)
    return { status: 'completed', loop, ...(output === null ? {} : { output }) }
  }
  return { status: 'pending', loop, ...(collected === null ? {} : { output: collected }) }
}

/** What is looped over: all values that are there, and of these the one whose axis the results lie on. */
function collections(
  { item, program, reference }: StepContext,
  settings: LoopSettings,
): { readonly given: readonly Reference[]; readonly base: Reference | null } {
  const given = item.values.flatMap(concept => {
    const value = reference(concept)
    return value === null || value.axes.length === 0 ? [] : [{ concept, value }]
  })
  const named = given.find(({ concept }) => concept === program.conceptNumbers.get(settings.base))
  return { given: given.map(({ value }) => value), base: (named ?? given[0])?.value ?? null }
}

interface Element {
  readonly element: Reference
  readonly identity: string
}

/** The elements of the collection in order. Equal elements are one: a loop goes over each value once. */
function elementsOf(context: StepContext, settings: LoopSettings, given: readonly Reference[]): Element[] {
  const byAxes = [loopAxis(context, settings)]
  const { dialect } = context.program
  const grouped = nameElementAxis(context, settings, groupAcross(given, { byAxes, createAxis: null, dialect }))
  const longest = Math.max(0, ...leaves(grouped).map(cell => (isList(cell) ? cell.length : 0)))
  const elements: Element[] = []
  for (let place = 0; place < longest; place++) {
    const element = elementAction(cell => (isList(cell) ? (cell[place] ?? null) : null), [grouped])
    if (leaves(element).every(cell => cell === null || cell === SKIP)) break
    elements.push({ element, identity: identityOf(element.data) })
  }
  return elements
}

function loopAxis(context: StepContext, settings: LoopSettings): string {
  const { item, program } = context
  const named = item.values.find(value => program.concepts[value]?.entry.conceptName === settings.groupBase)
  const concept = named === undefined ? undefined : program.concepts[named]
  if (concept) return concept.entry.axisName
  for (const value of item.values) {
    const axis = context.reference(value)?.axes[0]
    if (axis !== undefined) return axis
  }
  return NONE_AXIS
}

function nameElementAxis(context: StepContext, settings: LoopSettings, grouped: Reference): Reference {
  const { item, program } = context
  const named = item.contexts.find(concept => program.concepts[concept]?.entry.conceptName === `${settings.base}*`)
  const concept = named === undefined ? undefined : program.concepts[named]
  return concept ? renameAxis(grouped, NONE_AXIS, concept.entry.axisName) : grouped
}

function currentElement(context: StepContext, settings: LoopSettings): Element | null {
  const concept = context.program.conceptNumbers.get(settings.current) ?? -1
  const element = context.item.contexts.includes(concept) ? context.reference(concept) : null
  if (element === null || isBlank(element)) return null
  return { element, identity: identityOf(element.data) }
}

function iterationOf(context: StepContext, settings: LoopSettings, current: Element): LoopIteration {
  const values = new Map<string, Reference>()
  const result = context.item.fn < 0 ? null : context.reference(context.item.fn)
  if (result !== null && !isBlank(result)) values.set(settings.inferred, result)
  for (const { name } of settings.carried) {
    const reference = context.reference(context.program.conceptNumbers.get(name) ?? -1)
    if (reference !== null) values.set(name, reference)
  }
  return { ...current, values }
}

function contextAfter(
  context: StepContext,
  settings: LoopSettings,
  turn: { readonly iterations: readonly LoopIteration[]; readonly isNew: boolean; readonly next: Reference },
): [number, Reference][] {
  const { program } = context
  const written: [number, Reference][] = []
  const current = program.conceptNumbers.get(settings.current)
  if (current !== undefined) written.push([current, turn.next])
  for (const { name, back } of settings.carried) {
    const concept = program.conceptNumbers.get(name)
    if (concept === undefined) continue
    const stored = back > 0 ? turn.iterations.at(-back)?.values.get(name) : undefined
    const value = turn.isNew && stored ? stored : context.reference(concept)
    if (value !== null) written.push([concept, value])
  }
  return written
}

function hasResult(settings: LoopSettings): (iteration: LoopIteration) => boolean {
  return iteration => iteration.values.has(settings.inferred)
}

/** The bodies' results in the order of the iterations, for the elements that the collection still has. */
function collect(
  iterations: readonly LoopIteration[],
  present: ReadonlySet<string>,
  names: { readonly base: Reference; readonly inferred: string },
): Reference | null {
  const results = iterations.flatMap(({ identity, values }) => {
    const result = values.get(names.inferred)
    return result && present.has(identity) ? [result] : []
  })
  if (results.length === 0) return null
  const joined = join(results, ITERATION_AXIS)
  const axes = joined.axes.map((axis, place) => {
    if (place === 0) return names.base.axes[0] ?? axis
    return axis === NONE_AXIS ? VALUE_AXIS : axis
  })
  // Names are given all at once or, where two would be the same, one by one as far as they are free.
  if (new Set(axes).size === axes.length) return { ...joined, axes }
  return renameAxis(renameAxis(joined, ITERATION_AXIS, axes[0] ?? NONE_AXIS), NONE_AXIS, VALUE_AXIS)
}

function emptyLike(base: Reference): Reference {
  return { axes: [base.axes[0] ?? NONE_AXIS], shape: [0], data: [] }
}

/** Whether nothing is in it: no axes, or only nulls. Skips are what became of a body that threw, so they count. */
function isBlank(reference: Reference): boolean {
  return reference.axes.length === 0 || leaves(reference).every(cell => cell === null)
}
