import { loadParadigms, type LoadedParadigms } from '#paradigm/load'
import type { Dialect } from '#plan/dialect'
import { compareFlowIndices, parentIndex } from '#plan/flow-index'
import type { ConceptEntry, InferenceEntry } from '#plan/repositories'
import { fromData } from '#reference/construct'
import type { PerceptionContext } from '#reference/perception'
import type { Reference } from '#reference/reference'
import { loopSettings, type LoopSettings } from '#sequence/looping'
import { prepareSequence } from '#sequence/prepare'
import type { PreparedSequence } from '#sequence/result'
import { isList, PyDict, type Value } from '#value/value'
import { behaviours, type Behaviours } from './dialect.ts'

/** What a run executes: the checked repositories of a plan and the text of its own paradigms. */
export interface ProgramSource {
  readonly concepts: readonly ConceptEntry[]
  readonly inferences: readonly InferenceEntry[]
  readonly dialect: Dialect
  /** The plan's own paradigm files by name; they come before the built-in ones. */
  readonly paradigms: ReadonlyMap<string, string>
}

export interface ProgramConcept {
  readonly index: number
  readonly entry: ConceptEntry
  readonly initial: Reference | null
  /** The slot of the last step in flow order that infers it, or -1. */
  readonly producer: number
  /** Items whose value concepts or function concept contain it, in flow order. */
  readonly readers: readonly Item[]
}

/** A flow index. Two steps with the same flow index share one slot, and with it their status. */
export interface ProgramSlot {
  readonly flowIndex: string
  readonly above: readonly number[]
  readonly below: readonly number[]
  readonly items: readonly Item[]
}

/** What a step does not wait for: never, or not before it has executed once. */
export interface Waits {
  readonly neverForSteps: boolean
  readonly laterForSteps: boolean
  readonly neverForFunction: boolean
  readonly laterForFunction: boolean
  readonly neverForValues: boolean
  readonly laterForValues: boolean
  readonly forLoopBase: boolean
}

export interface TimingSettings {
  readonly marker: 'if' | 'if!' | 'after'
  readonly condition: string
  /** Number of the condition concept, or -1 when the plan has none of that name. */
  readonly concept: number
}

export interface Item {
  readonly index: number
  /** Its flow index; a second step of the same flow index gets a number behind it. */
  readonly name: string
  readonly slot: number
  readonly flowIndex: string
  readonly entry: InferenceEntry
  readonly concept: number
  /** Number of the function concept, or -1. */
  readonly fn: number
  readonly values: readonly number[]
  readonly contexts: readonly number[]
  /** The values that must all be complete, and those of which one must be. */
  readonly requiredValues: readonly number[]
  readonly anyOfValues: readonly number[] | null
  readonly waits: Waits
  readonly timing: TimingSettings | null
  readonly isLoop: boolean
  /** Where a loop keeps its iterations; null for other steps. */
  readonly loopKey: string | null
  readonly loop: LoopSettings | null
  readonly prepared: PreparedSequence
}

export interface Program {
  readonly dialect: Dialect
  readonly behaviour: Behaviours
  /** The reference engine as it is, with the faults that other dialects repair. */
  readonly strict: boolean
  /**
   * Whether the labels of a grouping stay with their inputs when one of them has no value. The reference engine lets
   * them shift; only its strict dialect, and older plans that are run under the later dialect, keep that.
   */
  readonly labelsStay: boolean
  /** How signs are perceived; every perception of the run uses this. */
  readonly perception: PerceptionContext
  readonly concepts: readonly ProgramConcept[]
  readonly conceptNumbers: ReadonlyMap<string, number>
  /** In flow order. */
  readonly items: readonly Item[]
  /** Places in `items` by name. */
  readonly itemNumbers: ReadonlyMap<string, number>
  readonly slots: readonly ProgramSlot[]
  readonly slotNumbers: ReadonlyMap<string, number>
  readonly paradigms: LoadedParadigms
}

/** Numbers concepts and steps, reads what steps are configured with, and loads paradigms: once per plan, not per run. */
export function prepareProgram(source: ProgramSource): Program {
  const names = conceptNumbersOf(source.concepts)
  const entries = [...source.inferences].sort((a, b) => compareFlowIndices(a.flowIndex, b.flowIndex))
  const slotNumbers = new Map<string, number>()
  for (const { flowIndex } of entries) if (!slotNumbers.has(flowIndex)) slotNumbers.set(flowIndex, slotNumbers.size)
  const paradigms = loadParadigms(source.paradigms)
  const options: ItemOptions = { names, slotNumbers, dialect: source.dialect, paradigms }
  const laterCompiler = source.inferences.some(isFromLaterCompiler) || source.concepts.some(entry => entry.isLaterForm)
  const items = named(entries).map((place, index) => prepareItem(place.entry, { index, name: place.name }, options))
  return {
    dialect: source.dialect,
    behaviour: behaviours[source.dialect],
    strict: source.dialect === '2026-01-strict',
    labelsStay: source.dialect === '2026-01' || (source.dialect === '2026-03' && laterCompiler),
    perception: {
      dialect: source.dialect,
      // An older plan that is run under the later dialect means text where a newer one means a literal.
      literalUntypedSigns: behaviours[source.dialect].literalUntypedSigns && laterCompiler,
    },
    concepts: conceptsOf(source.concepts, names, items),
    conceptNumbers: names,
    items,
    itemNumbers: new Map(items.map(item => [item.name, item.index])),
    slots: slotsOf(slotNumbers, items),
    slotNumbers,
    paradigms,
  }
}

/** The program with other settings of its steps; the given one stays as it is. Flow indices and concepts must be the same. */
export function withEntries(program: Program, changed: ReadonlyMap<number, InferenceEntry>): Program {
  const { conceptNumbers: names, slotNumbers, dialect, paradigms } = program
  const options: ItemOptions = { names, slotNumbers, dialect, paradigms }
  const items = program.items.map(item => {
    const entry = changed.get(item.index)
    return entry === undefined ? item : prepareItem(entry, item, options)
  })
  const readers = readersOf(items)
  const concepts = program.concepts.map(concept => ({ ...concept, readers: readers.get(concept.index) ?? [] }))
  const itemsOf = Map.groupBy(items, item => item.slot)
  const slots = program.slots.map((slot, number) => ({ ...slot, items: itemsOf.get(number) ?? [] }))
  return { ...program, items, concepts, slots }
}

/** Only the later compiler writes these two keys. */
function isFromLaterCompiler(entry: InferenceEntry): boolean {
  return entry.workingInterpretation.has('output_axis') || syntaxOf(entry).has('by_axes_source')
}

/** A value as a concept holds it: what is no list is meant as a list of one. */
export function givenReference(data: Value, axes: readonly string[] | null): Reference {
  return fromData(isList(data) ? data : [data], axes)
}

// Of two entries with one name the later one counts, as in the reference engine.
function conceptNumbersOf(entries: readonly ConceptEntry[]): Map<string, number> {
  const numbers = new Map<string, number>()
  for (const { conceptName } of entries) if (!numbers.has(conceptName)) numbers.set(conceptName, numbers.size)
  return numbers
}

function conceptsOf(
  entries: readonly ConceptEntry[],
  names: ReadonlyMap<string, number>,
  items: readonly Item[],
): ProgramConcept[] {
  const latest = new Map(entries.map(entry => [entry.conceptName, entry]))
  const producers = new Map(items.map(item => [item.concept, item.slot]))
  const readers = readersOf(items)
  return [...names].flatMap(([name, index]) => {
    const entry = latest.get(name)
    if (!entry) return []
    const initial = entry.referenceData === null ? null : givenReference(entry.referenceData, entry.referenceAxisNames)
    return [{ index, entry, initial, producer: producers.get(index) ?? -1, readers: readers.get(index) ?? [] }]
  })
}

function readersOf(items: readonly Item[]): Map<number, Item[]> {
  const readers = new Map<number, Item[]>()
  for (const item of items) {
    for (const concept of new Set([item.fn, ...item.values])) {
      const known = readers.get(concept)
      if (known) known.push(item)
      else readers.set(concept, [item])
    }
  }
  return readers
}

function slotsOf(slotNumbers: ReadonlyMap<string, number>, items: readonly Item[]): ProgramSlot[] {
  const itemsOf = Map.groupBy(items, item => item.slot)
  const above = [...slotNumbers.keys()].map(flowIndex => slotsAbove(flowIndex, slotNumbers))
  const below = above.map((): number[] => [])
  for (const [slot, ancestors] of above.entries()) for (const ancestor of ancestors) below[ancestor]?.push(slot)
  return [...slotNumbers].map(([flowIndex, slot]) => ({
    flowIndex,
    above: above[slot] ?? [],
    below: below[slot] ?? [],
    items: itemsOf.get(slot) ?? [],
  }))
}

/** The slots of the flow indices above this one, outermost first. */
function slotsAbove(flowIndex: string, slotNumbers: ReadonlyMap<string, number>): number[] {
  const above: number[] = []
  for (let index = parentIndex(flowIndex); index !== ''; index = parentIndex(index)) {
    const slot = slotNumbers.get(index)
    if (slot !== undefined) above.unshift(slot)
  }
  return above
}

interface ItemOptions {
  readonly names: ReadonlyMap<string, number>
  readonly slotNumbers: ReadonlyMap<string, number>
  readonly dialect: Dialect
  readonly paradigms: LoadedParadigms
}

function named(entries: readonly InferenceEntry[]): { readonly entry: InferenceEntry; readonly name: string }[] {
  const counts = new Map<string, number>()
  return entries.map(entry => {
    const count = (counts.get(entry.flowIndex) ?? 0) + 1
    counts.set(entry.flowIndex, count)
    return { entry, name: count === 1 ? entry.flowIndex : `${entry.flowIndex}/${count}` }
  })
}

function prepareItem(entry: InferenceEntry, { index, name }: Pick<Item, 'index' | 'name'>, options: ItemOptions): Item {
  const numberOf = (name: string | null): number => (name === null ? -1 : (options.names.get(name) ?? -1))
  const values = entry.valueConcepts.map(numberOf).filter(number => number >= 0)
  const isLoop = entry.sequence === 'looping' || entry.sequence === 'quantifying'
  const loopKey = isLoop ? loopKeyOf(entry) : null
  const anyOf = entry.sequence === 'assigning' ? listedSources(entry, values, numberOf) : null
  return {
    index,
    name,
    slot: options.slotNumbers.get(entry.flowIndex) ?? -1,
    flowIndex: entry.flowIndex,
    entry,
    concept: numberOf(entry.conceptToInfer),
    fn: numberOf(entry.functionConcept),
    values,
    contexts: entry.contextConcepts.map(numberOf).filter(number => number >= 0),
    requiredValues: anyOf === null ? values : values.filter(value => !anyOf.includes(value)),
    anyOfValues: anyOf,
    waits: {
      neverForSteps: entry.startWithSupportReferenceOnly,
      laterForSteps: entry.startWithoutSupportReferenceOnlyOnce,
      neverForFunction: entry.startWithoutFunction,
      laterForFunction: entry.startWithoutFunctionOnlyOnce,
      neverForValues: entry.startWithoutValue,
      laterForValues: entry.startWithoutValueOnlyOnce,
      forLoopBase: isLoop,
    },
    timing: entry.sequence === 'timing' ? timingOf(entry, numberOf) : null,
    isLoop,
    loopKey,
    loop: loopKey === null ? null : loopSettings(entry, { key: loopKey, dialect: options.dialect }),
    prepared: prepareSequence(entry, { ...options, loopKey }),
  }
}

function syntaxOf(entry: InferenceEntry): PyDict {
  const syntax = entry.workingInterpretation.get('syntax')
  return syntax instanceof PyDict ? syntax : new PyDict()
}

// A list of sources means: the first that is there. One of them is enough; everything else must be complete.
function listedSources(
  entry: InferenceEntry,
  values: readonly number[],
  numberOf: (name: string) => number,
): number[] | null {
  const sources = syntaxOf(entry).get('assign_source') ?? null
  if (!isList(sources)) return null
  const listed = sources.flatMap(name => (typeof name === 'string' ? [numberOf(name)] : []))
  const among = listed.filter(number => values.includes(number))
  return among.length > 0 ? among : null
}

function timingOf(entry: InferenceEntry, numberOf: (name: string) => number): TimingSettings | null {
  const syntax = syntaxOf(entry)
  const marker = syntax.get('marker')
  const condition = syntax.get('condition')
  if (typeof condition !== 'string') return null
  if (marker !== 'if' && marker !== 'if!' && marker !== 'after') return null
  return { marker, condition, concept: numberOf(condition) }
}

function loopKeyOf(entry: InferenceEntry): string {
  const syntax = syntaxOf(entry)
  const index = syntax.get(entry.sequence === 'looping' ? 'loop_index' : 'quantifier_index')
  const base = syntax.get('LoopBaseConcept')
  return `${typeof index === 'number' ? index : 0}_${typeof base === 'string' ? base : ''}`
}
