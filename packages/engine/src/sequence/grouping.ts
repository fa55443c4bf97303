import { flatten, slice } from '#reference/access'
import { crossProduct, elementAction } from '#reference/combine'
import { ofShape, single } from '#reference/construct'
import { type Reference, SKIP } from '#reference/reference'
import { behaviours, type Dialect } from '#run/dialect'
import { isList, PyDict, PyError, type Value } from '#value/value'

export interface GroupingOptions {
  /** Axes to collapse: one list for all inputs, one list per input, or not said. */
  readonly byAxes: readonly string[] | readonly (readonly string[])[] | null
  /** The axis that gets one cell per element; without it all elements form the list of one cell. */
  readonly createAxis: string | null
  readonly dialect: Dialect
}

export interface LabelledGroupingOptions extends GroupingOptions {
  /** The names under which the inputs appear, in the order of the inputs. */
  readonly labels: readonly string[]
}

/** Collects the elements of all inputs, each as a dict from its input's label to the element. */
export function groupIn(references: readonly Reference[], options: LabelledGroupingOptions): Reference {
  const { labels } = options
  const axes = axesPerInput(references, options)
  if (axes !== null) return groupPerInput(references, axes, { ...options, labels })
  const { product, kept } = groupShared(references, options)
  const annotated = elementAction(cell => annotate(cell, labels), [product])
  return slice(annotated, kept)
}

/** Collects the elements of all inputs into flat lists. */
export function groupAcross(references: readonly Reference[], options: GroupingOptions): Reference {
  const axes = axesPerInput(references, options)
  if (axes !== null) return groupPerInput(references, axes, { ...options, labels: null })
  const { product, kept } = groupShared(references, options)
  return elementAction(flatten, [slice(product, kept)])
}

/**
 * The axes to collapse when a grouping does not name them: those of the context concepts (of all, or of those that
 * `onlyConcepts` contains, as an item or as a part of its text), without the protected ones.
 */
export function contextAxes(
  contexts: readonly { readonly name: string; readonly reference: Reference | null }[],
  options: ContextAxesOptions,
): string[] {
  const { onlyConcepts } = options
  const chosen = contexts.filter(({ name }) => onlyConcepts === null || onlyConcepts.includes(name))
  const axes = new Set(chosen.flatMap(({ reference }) => reference?.axes ?? []))
  return [...axes].filter(axis => !options.protectAxes.includes(axis))
}

export interface ContextAxesOptions {
  readonly onlyConcepts: readonly string[] | string | null
  readonly protectAxes: readonly string[]
}

/** The axes to collapse for each input, or `null` where the inputs are grouped over the axes that they share. */
function axesPerInput(references: readonly Reference[], options: GroupingOptions): (readonly string[] | null)[] | null {
  const { byAxes, createAxis, dialect } = options
  if (byAxes === null || byAxes.length === 0) return null
  if (isPerInput(byAxes)) return references.map((_, i) => byAxes[i] ?? null)
  if (behaviours[dialect].groupingRepair && createAxis === null) return null
  const flat = flatAxes(byAxes)
  return references.map(() => flat)
}

type ByAxes = readonly string[] | readonly (readonly string[])[]

function isPerInput(byAxes: ByAxes): byAxes is readonly (readonly string[])[] {
  return Array.isArray(byAxes[0])
}

function flatAxes(byAxes: ByAxes | null): readonly string[] {
  return byAxes === null ? [] : byAxes.filter(axis => typeof axis === 'string')
}

interface PerInputOptions extends GroupingOptions {
  readonly labels: readonly string[] | null
}

function groupPerInput(
  references: readonly Reference[],
  axes: readonly (readonly string[] | null)[],
  options: PerInputOptions,
): Reference {
  const elements: Value[] = []
  let stacked: Reference | null = null
  references.forEach((reference, i) => {
    const collapsed = reference.axes.filter(axis => axes[i]?.includes(axis) ?? true)
    const isStack = collapsed.length === 0 && reference.axes.length > 0
    if (isStack) stacked ??= reference
    for (const element of isStack ? [reference.data] : elementsOf(reference, collapsed)) {
      elements.push(options.labels === null ? element : PyDict.of([[labelAt(options.labels, i), element]]))
    }
  })
  if (options.createAxis === null) return single(elements)
  return placeOn(options.createAxis, elements, stacked)
}

function elementsOf(reference: Reference, collapsed: readonly string[]): Value[] {
  const remaining = reference.axes.filter(axis => !collapsed.includes(axis))
  const data = remaining.length === 0 ? reference.data : slice(reference, remaining).data
  return flatten(data).filter(element => element !== SKIP)
}

// An input that keeps its axes is one element as a whole, so its axes follow the new one.
function placeOn(createAxis: string, elements: readonly Value[], stacked: Reference | null): Reference {
  if (stacked === null) return { axes: [createAxis], shape: [elements.length], data: elements }
  return ofShape([createAxis, ...stacked.axes], [elements.length, ...stacked.shape], elements)
}

function labelAt(labels: readonly string[], position: number): string {
  return labels[position] ?? `input_${position + 1}`
}

function groupShared(
  references: readonly Reference[],
  options: GroupingOptions,
): { readonly product: Reference; readonly kept: readonly string[] } {
  const [first, ...others] = references
  const shared = first?.axes.filter(axis => others.every(other => other.axes.includes(axis))) ?? []
  const product = crossProduct(references.map(reference => slice(reference, shared)))
  const collapsed = flatAxes(options.byAxes)
  return { product, kept: product.axes.filter(axis => !collapsed.includes(axis)) }
}

function annotate(cell: Value, labels: readonly string[]): Value {
  const values = isList(cell) ? cell : [cell]
  if (values.length !== labels.length) throw new PyError('ValueError', 'The inputs and their labels differ in number.')
  return PyDict.of(values.map((value, i) => [labelAt(labels, i), unwrapOnce(value)]))
}

function unwrapOnce(value: Value): Value {
  if (!isList(value) || value.length !== 1) return value
  const [inner] = value
  return isList(inner) ? inner : value
}
