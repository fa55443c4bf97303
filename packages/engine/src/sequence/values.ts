import type { InferenceEntry } from '#plan/repositories'
import { crossProduct, elementAction } from '#reference/combine'
import type { Reference } from '#reference/reference'
import { isList, PyDict, PyError, PyFloat, type Value } from '#value/value'
import { elementStep } from './cells.ts'
import { pack, processElement } from './input-values.ts'
import type { Perceiving, PerceptionContext } from '#reference/perception'
import type { StepContext } from './result.ts'
import { hasPerception, readSelector, selectPart, transform, UnpackedList, type Selector } from './selectors.ts'
import type { Step } from './step.ts'

/** The values of a step in the order in which its function gets them. */
export interface ValueOrder {
  readonly entries: readonly { readonly name: string; readonly selector: Selector }[]
}

/** The written order; without one, `unordered` says whether the values count as they stand or not at all. */
export function readValueOrder(
  entry: InferenceEntry,
  { unordered = 'none' }: { readonly unordered?: 'none' | 'as_listed' } = {},
): ValueOrder {
  const order = entry.workingInterpretation.get('value_order')
  const selectors = entry.workingInterpretation.get('value_selectors')
  if (!(order instanceof PyDict)) {
    const listed = unordered === 'as_listed' ? entry.valueConcepts : []
    return { entries: listed.map(name => ({ name, selector: {} })) }
  }
  const named = [...order.entries()].flatMap(([name, place]) =>
    typeof name === 'string' ? [{ name, place: numberOf(place) }] : [],
  )
  named.sort((a, b) => a.place - b.place)
  return {
    entries: named.map(({ name }) => ({
      name,
      selector: readSelector(selectors instanceof PyDict ? selectors.get(name) : undefined),
    })),
  }
}

function numberOf(value: Value): number {
  if (typeof value === 'number') return value
  return value instanceof PyFloat ? value.value : Number.MAX_SAFE_INTEGER
}

export interface ValueOptions {
  /** How one element is perceived; compositions read files, Python steps pass locations on. */
  readonly process?: (element: Value, context: PerceptionContext) => Perceiving
}

/**
 * The perceived inputs, one list of elements per cell, over the union of the values' axes; null when no value was
 * taken. Names that are no values of the step are left out.
 */
export function perceiveValues(
  context: StepContext,
  order: ValueOrder,
  { process = processElement }: ValueOptions = {},
): Step<Reference | null> {
  // All references are read before anything is perceived: what other steps write meanwhile is not seen.
  return perceiveTaken(context, takeReferences(context, order), process)
}

function* perceiveTaken(
  context: StepContext,
  taken: readonly Taken[],
  process: Required<ValueOptions>['process'],
): Step<Reference | null> {
  const perceived: Reference[] = []
  for (const { reference, selector } of taken)
    perceived.push(yield* perceiveOne(context, { reference, selector, process }))
  return perceived.length === 0 ? null : crossProduct(perceived)
}

interface Taken {
  readonly reference: Reference
  readonly selector: Selector
}

function takeReferences(context: StepContext, order: ValueOrder): Taken[] {
  const { item } = context
  requireReferences(context)
  const names = item.entry.valueConcepts
  const used = new Set<number>()
  return order.entries.flatMap(({ name, selector }) => {
    const wanted = selector.sourceConcept ?? name
    const place = names.findIndex(
      (value, at) => value === wanted && (selector.sourceConcept !== undefined || !used.has(at)),
    )
    if (place < 0) return []
    if (selector.sourceConcept === undefined) used.add(place)
    const concept = context.program.conceptNumbers.get(wanted) ?? -1
    const reference = context.reference(concept)
    if (reference === null) return []
    // Without a source only the flag that keeps a list together counts.
    return [{ reference, selector: selector.sourceConcept === undefined ? { packed: selector.packed } : selector }]
  })
}

// The reference engine copies all values before it looks at their order, so one that nothing asks for is missed too.
function requireReferences({ item, program, reference }: StepContext): void {
  const missing = item.values.find(concept => reference(concept) === null)
  if (missing === undefined) return
  throw new PyError('ValueError', `The value ${program.concepts[missing]?.entry.conceptName ?? ''} has no reference.`)
}

function* perceiveOne(context: StepContext, taken: Taken & Required<ValueOptions>): Step<Reference> {
  const { selector, process } = taken
  const { perception } = context.program
  const work = { what: 'values', context }
  let reference = taken.reference
  if (selector.sourceConcept !== undefined) {
    reference = elementAction(element => selectPart(element, selector), [reference])
    if (hasPerception(selector)) {
      const transforming = { ...perception, nextId: context.nextSignId }
      reference = yield* elementStep(
        [reference],
        ([element]) => transform(element ?? null, selector, transforming),
        work,
      )
    }
  }
  reference = yield* elementStep([reference], ([element]) => process(element ?? null, perception), work)
  if (selector.packed === undefined) return reference
  return elementAction(cell => (selector.packed === true ? pack(cell) : unpacked(cell)), [reference])
}

function unpacked(cell: Value): Value {
  return isList(cell) ? new UnpackedList(cell) : cell
}
