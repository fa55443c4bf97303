import { repr } from '../value/python-repr.ts'
import { isList, PyError, type Value } from '../value/value.ts'
import { axisList, requireUnique } from './construct.ts'
import { NONE_AXIS, type Reference, SKIP } from './reference.ts'

/** The cell or sub-tensor at an index; axes that are not named select everything. What lies outside is skip. */
export function get(reference: Reference, index: Readonly<Record<string, number>>): Value {
  return select(
    reference.data,
    reference.axes.map(axis => (Object.hasOwn(index, axis) ? index[axis] : undefined)),
  )
}

/**
 * Keeps these axes in this order; each cell is the sub-tensor over the others, and skip where the top level of that
 * holds a skip. Without axes the whole data become one cell on `_none_axis`.
 */
export function slice(reference: Reference, axes: readonly string[]): Reference {
  if (axes.length === 0) return { axes: [NONE_AXIS], shape: [1], data: [reference.data] }
  const positions = axes.map(axis => positionOf(reference, axis))
  requireUnique(axes)
  const shape = positions.map(position => reference.shape[position] ?? 0)
  const index = new Array<number | undefined>(reference.axes.length).fill(undefined)
  const build = (depth: number): Value => {
    const position = positions[depth]
    if (position === undefined) return wholeOrSkip(select(reference.data, index))
    const cells: Value[] = []
    for (let i = 0; i < (shape[depth] ?? 0); i++) {
      index[position] = i
      cells.push(build(depth + 1))
    }
    index[position] = undefined
    return cells
  }
  return { axes, shape, data: build(0) }
}

/** The same cells with the axes in another order, which must name every axis once. */
export function transpose(reference: Reference, order: readonly string[]): Reference {
  if (order.length !== reference.axes.length || order.some(axis => !reference.axes.includes(axis))) {
    throw new PyError(
      'ValueError',
      `New axis order ${axisList(order)} must be a permutation of ${axisList(reference.axes)}`,
    )
  }
  requireUnique(order)
  if (order.every((axis, i) => axis === reference.axes[i])) return reference
  const positions = order.map(axis => reference.axes.indexOf(axis))
  const shape = positions.map(position => reference.shape[position] ?? 0)
  const index = new Array<number | undefined>(order.length).fill(undefined)
  const build = (depth: number): Value => {
    const position = positions[depth]
    if (position === undefined) return select(reference.data, index)
    return Array.from({ length: shape[depth] ?? 0 }, (_, i) => {
      index[position] = i
      return build(depth + 1)
    })
  }
  return { axes: order, shape, data: build(0) }
}

/** All cells in row-major order, skips included. A cell that is a list is one leaf. */
export function leaves(reference: Reference): Value[] {
  const found: Value[] = []
  collect(reference.data, reference.axes.length, found)
  return found
}

/** Everything in nested lists that is not a list itself, depth first. */
export function flatten(data: Value): Value[] {
  const found: Value[] = []
  collect(data, Number.POSITIVE_INFINITY, found)
  return found
}

export function isSkip(value: Value): boolean {
  return value === SKIP
}

/** A copy of nested lists without skips and without the lists that are empty then. */
export function withoutSkips(data: Value): Value {
  if (!isList(data)) return data
  const kept: Value[] = []
  for (const item of data) {
    if (item === SKIP) continue
    const inner = withoutSkips(item)
    if (!isList(inner) || inner.length > 0) kept.push(inner)
  }
  return kept
}

/** Whether anything but skips is in it; `None` and zero are content. */
export function hasContent(reference: Reference | null): reference is Reference {
  if (reference === null || reference.axes.length === 0) return false
  const rest = withoutSkips(reference.data)
  return !isList(rest) || rest.length > 0
}

/** The same tensor with one axis renamed; unchanged when the axis is missing or the new name is taken. */
export function renameAxis(reference: Reference, from: string, to: string): Reference {
  if (from === to || !reference.axes.includes(from) || reference.axes.includes(to)) return reference
  return { ...reference, axes: reference.axes.map(axis => (axis === from ? to : axis)) }
}

/** Element 0 of `_none_axis`, where there is another axis to stand on. */
export function dropNoneAxis(reference: Reference): Reference {
  const position = reference.axes.indexOf(NONE_AXIS)
  if (position === -1 || reference.axes.length < 2) return reference
  const index = reference.axes.map((_, i) => (i === position ? 0 : undefined))
  return {
    axes: reference.axes.filter((_, i) => i !== position),
    shape: reference.shape.filter((_, i) => i !== position),
    data: select(reference.data, index),
  }
}

/** The cell or sub-tensor at positions; `undefined` selects a whole axis. A position beyond the end gives skip. */
export function select(data: Value, index: readonly (number | undefined)[], depth = 0): Value {
  if (depth === index.length) return data
  if (data === SKIP) return SKIP
  const at = index[depth]
  if (at === undefined) {
    if (rest(index, depth)) return data
    return isList(data) ? data.map(item => select(item, index, depth + 1)) : SKIP
  }
  if (!isList(data)) return SKIP
  const item = data.at(at)
  return item === undefined ? SKIP : select(item, index, depth + 1)
}

function rest(index: readonly (number | undefined)[], from: number): boolean {
  for (let i = from; i < index.length; i++) if (index[i] !== undefined) return false
  return true
}

function collect(data: Value, depth: number, found: Value[]): void {
  if (depth > 0 && isList(data)) for (const item of data) collect(item, depth - 1, found)
  else found.push(data)
}

function wholeOrSkip(value: Value): Value {
  return isList(value) && value.includes(SKIP) ? SKIP : value
}

function positionOf(reference: Reference, axis: string): number {
  const position = reference.axes.indexOf(axis)
  if (position >= 0) return position
  throw new PyError('KeyError', repr(`Axis '${axis}' not found in ${axisList(reference.axes)}`))
}
