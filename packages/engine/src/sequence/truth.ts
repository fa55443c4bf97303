import { elementAction } from '#reference/combine'
import { transpose } from '#reference/access'
import type { Reference } from '#reference/reference'
import { SKIP } from '#reference/reference'
import { str } from '#value/python-repr'
import { isList, PyDict, type Value } from '#value/value'

export const TRUE_MARKER = '%{truth value}(true)'
export const FALSE_MARKER = '%{truth value}(false)'

const QUANTIFIERS = ['all', 'some', 'none', 'exists'] as const
type Quantifier = (typeof QUANTIFIERS)[number]

/** What a judgement asks of the answers: how many of them, along which axes, must be `condition`. */
export interface Assertion {
  /** A quantifier or `for-each` by axis. */
  readonly quantifiers: readonly (readonly [axis: string, quantifier: string])[]
  readonly condition: Value
}

export interface Judgement {
  readonly conditionMet: boolean
  /** The axis whose elements are judged one by one, where there is one: the result is then a mask for it. */
  readonly filterAxis: string | null
  readonly reference: Reference
}

/** The assertion of a plan's `assertion_condition`; `null` where a step has none. */
export function readAssertion(entry: Value | undefined): Assertion | null {
  if (!(entry instanceof PyDict) || entry.size === 0) return null
  const quantifiers = entry.get('quantifiers')
  return {
    quantifiers: quantifiers instanceof PyDict ? [...quantifiers.entries()].map(([k, v]) => [str(k), str(v)]) : [],
    condition: entry.get('condition') ?? true,
  }
}

/**
 * Judges a tensor of answers. With `for-each` on an axis it has, every element along it is judged and the result is a
 * mask; otherwise the quantifiers look at all cells and give one answer; without quantifiers each cell is compared.
 */
export function judge(reference: Reference, assertion: Assertion | null): Judgement {
  if (assertion === null) return { conditionMet: true, filterAxis: null, reference }
  const marker = markerOf(assertion.condition)
  const criteria = assertion.quantifiers.filter(([, quantifier]) => isQuantifier(quantifier))
  const filterAxis = reference.axes.find(axis => quantifierOf(assertion, axis) === 'for-each')
  if (filterAxis !== undefined) return judgeEach(reference, { assertion, filterAxis, marker })
  if (criteria.length === 0)
    return masked(
      elementAction(cell => markerFor(cell === marker), [reference]),
      null,
    )
  const met = criteria.every(([, quantifier]) => holds(reference.data, quantifier as Quantifier, marker))
  return {
    conditionMet: met,
    filterAxis: null,
    reference: { axes: ['assertion_result'], shape: [1], data: [markerFor(met)] },
  }
}

/** Whether a cell is what the condition asks for. Bare booleans never are; answers are texts. */
export function cellMatches(cell: Value, marker: string): boolean {
  if (typeof cell !== 'string') return false
  if (cell.includes(marker)) return true
  if (marker === TRUE_MARKER) return cell.includes('(True)') || cell.includes('true)')
  if (marker === FALSE_MARKER) return cell.includes('(False)') || cell.includes('false)')
  return false
}

/** Keeps the cells at which the mask is true, and makes the others skips. */
export function applyTruthMask(reference: Reference, mask: Reference): Reference {
  return elementAction((cell, truth) => (truth === TRUE_MARKER ? cell : SKIP), [reference, mask])
}

interface EachOptions {
  readonly assertion: Assertion
  readonly filterAxis: string
  readonly marker: string
}

function judgeEach(reference: Reference, options: EachOptions): Judgement {
  const { assertion, filterAxis, marker } = options
  const criterion = reference.axes.find(axis => axis !== filterAxis && isQuantifier(quantifierOf(assertion, axis)))
  if (criterion === undefined) {
    return masked(
      elementAction(cell => markerFor(cellMatches(cell, marker)), [reference]),
      filterAxis,
    )
  }
  const order = [filterAxis, ...reference.axes.filter(axis => axis !== filterAxis)]
  const { data, shape } = transpose(reference, order)
  const quantifier = quantifierOf(assertion, criterion) as Quantifier
  const markers = (isList(data) ? data : []).map(part => markerFor(holds(part, quantifier, marker)))
  return masked({ axes: [filterAxis], shape: shape.slice(0, 1), data: markers }, filterAxis)
}

function masked(reference: Reference, filterAxis: string | null): Judgement {
  return { conditionMet: holds(reference.data, 'some', TRUE_MARKER), filterAxis, reference }
}

function holds(data: Value, quantifier: Quantifier, marker: string): boolean {
  const isUniversal = quantifier === 'all' || quantifier === 'none'
  if (data === SKIP || (isList(data) && data.length === 0)) return isUniversal
  if (isList(data)) {
    return isUniversal
      ? data.every(part => holds(part, quantifier, marker))
      : data.some(part => holds(part, quantifier, marker))
  }
  return quantifier === 'none' ? !cellMatches(data, marker) : cellMatches(data, marker)
}

function quantifierOf(assertion: Assertion, axis: string): string {
  return assertion.quantifiers.find(([name]) => name === axis)?.[1] ?? ''
}

function isQuantifier(text: string): text is Quantifier {
  return QUANTIFIERS.some(quantifier => quantifier === text)
}

function markerOf(condition: Value): string {
  if (condition === true || condition === 'true') return TRUE_MARKER
  if (condition === false || condition === 'false') return FALSE_MARKER
  return str(condition)
}

function markerFor(truth: boolean): string {
  return truth ? TRUE_MARKER : FALSE_MARKER
}
