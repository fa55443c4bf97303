import { hasContent } from '#reference/access'
import { append } from '#reference/append'
import { elementAction } from '#reference/combine'
import { fromData, ofShape, shapeOf, single } from '#reference/construct'
import type { Reference } from '#reference/reference'
import { JsonError, readJson } from '#value/json-read'
import { isList, type Value } from '#value/value'
import { selectPart, type Selector, UnpackedList } from './selectors.ts'

/** What a specification gives when neither a source nor the destination has anything. */
export const NO_RESULT: Reference = { axes: ['result'], shape: [0], data: [] }

/** `.` The first source with content, else what the destination holds, else an empty tensor. */
export function specification(sources: readonly (Reference | null)[], destination: Reference | null): Reference {
  return sources.find(hasContent) ?? destination ?? NO_RESULT
}

/**
 * `%` A value that the plan itself gives. A list is laid out on `axisNames` (or on axes made for it), as is a text that
 * is a JSON list; any other text or value is one cell. Without a value there is no result.
 */
export function abstraction(faceValue: Value, axisNames: readonly string[] | null): Reference | null {
  if (faceValue === null) return null
  const value = typeof faceValue === 'string' && faceValue.startsWith('[') ? jsonListOrText(faceValue) : faceValue
  return isList(value) ? fromData(value, axisNames) : single(value)
}

/**
 * `+` The source appended to the destination along the first of `byAxes` that the destination has, else along its first
 * axis. Where one of the two is missing, the other one.
 */
export function continuation(
  source: Reference | null,
  destination: Reference | null,
  byAxes: readonly string[] | string | null,
): Reference | null {
  if (source === null || destination === null) return source ?? destination
  const [wanted] = typeof byAxes === 'string' ? [byAxes] : (byAxes ?? [])
  const axis = wanted !== undefined && destination.axes.includes(wanted) ? wanted : destination.axes[0]
  return axis === undefined ? source : append(destination, source, axis)
}

/** `-` A part of every cell; the items of a list that the selector unpacks become cells of the axis it stands on. */
export function derelation(source: Reference | null, selector: Selector): Reference | null {
  if (source === null) return null
  const parts = elementAction(element => selectPart(element, selector), [source])
  const data = splice(parts.data)
  if (data === parts.data) return parts
  return ofShape(parts.axes, shapeOf(data).slice(0, parts.axes.length), data)
}

/** `=` The source's value under another name. */
export function identity(source: Reference | null): Reference | null {
  return source === null || source.axes.length === 0 ? null : source
}

function splice(data: Value): Value {
  if (!isList(data)) return data
  if (data.some(item => item instanceof UnpackedList)) {
    return data.flatMap(item => (item instanceof UnpackedList ? item.items : [item]))
  }
  const spliced = data.map(splice)
  return spliced.some((item, i) => item !== data[i]) ? spliced : data
}

function jsonListOrText(text: string): Value {
  try {
    return readJson(text)
  } catch (error) {
    if (error instanceof JsonError) return text
    throw error
  }
}
