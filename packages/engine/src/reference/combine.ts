import { requireCells } from '../value/limits.ts'
import { isList, PyError, type Value } from '../value/value.ts'
import { dropNoneAxis } from './access.ts'
import { requireUnique } from './construct.ts'
import { type Reference, SKIP } from './reference.ts'

/** Aligned cells of several tensors, row-major over `axes`; `null` where a skip makes the result a skip. */
export interface Cells<T> {
  readonly axes: readonly string[]
  readonly shape: readonly number[]
  readonly cells: readonly (T | null)[]
}

/** A tensor of things that are no values, such as functions; `null` where there is none. */
export type FunctionCells<F> = Cells<F>

export interface Call<F> {
  readonly fn: F
  readonly value: Value
}

/** For each cell the list of the inputs' elements; skip where one of them is. Shared axes are aligned. */
export function crossProduct(references: readonly Reference[]): Reference {
  const { axes, shape, cells } = align(references, isSkipCell)
  return fromCells(
    axes,
    shape,
    cells.map(cell => cell ?? SKIP),
  )
}

/** The argument lists of an element action; a cell in which an element is skip or `None` is `null`. */
export function elementCells(references: readonly Reference[]): {
  axes: readonly string[]
  shape: readonly number[]
  cells: (readonly Value[] | null)[]
} {
  return align(references, isSkipOrNone)
}

/** The tensor of results of `elementCells`, without `_none_axis` where another axis remains. */
export function fromCells(axes: readonly string[], shape: readonly number[], cells: readonly Value[]): Reference {
  if (axes.length === 0) return { axes, shape, data: cells[0] ?? null }
  if (axes.length === 1) return { axes, shape, data: cells }
  return dropNoneAxis({ axes, shape, data: nest(shape, cells) })
}

/**
 * Applies a function to the aligned elements. A cell is skip where an element is skip or `None`, or where the function
 * throws; `onError` hears of the latter.
 */
export function elementAction(
  apply: (...elements: Value[]) => Value,
  references: readonly Reference[],
  onError?: (error: unknown, cell: number) => void,
): Reference {
  const { axes, shape, cells } = elementCells(references)
  const results = cells.map((cell, i) => {
    if (cell === null) return SKIP
    try {
      return apply(...cell)
    } catch (error) {
      onError?.(error, i)
      return SKIP
    }
  })
  return fromCells(axes, shape, results)
}

/** The calls of a cross action, row-major over the functions' axes and then the values' own; `null` for a skip. */
export function crossActionCells<F>(functions: FunctionCells<F>, values: Reference, newAxis: string): Cells<Call<F>> {
  const { axes, shape, sources } = unite([functions, values])
  requireUnique([...axes, newAxis])
  const [functionSource, valueSource] = sources
  const cells: (Call<F> | null)[] = []
  walk(shape, index => {
    const fn = functions.cells[offset(functions.shape, functionSource ?? [], index)] ?? null
    const value = elementAt(values.data, valueSource ?? [], index)
    cells.push(fn === null || value === SKIP ? null : { fn, value })
  })
  return { axes, shape, cells }
}

/**
 * The tensor of the results of `crossActionCells` with the items of each list along `newAxis`. The first cell decides
 * the length; other lists are cut or filled with skips. What is no list, or holds a skip, is skip.
 */
export function fromCrossActionCells(
  calls: { readonly axes: readonly string[]; readonly shape: readonly number[] },
  newAxis: string,
  results: readonly Value[],
): Reference {
  const lists = results.map(result => (isList(result) && !result.includes(SKIP) ? result : undefined))
  const length = lists.length === 0 ? 0 : (lists[0]?.length ?? 1)
  requireCells([...calls.shape, length])
  const cells = lists.map(list => {
    if (list?.length === length) return list
    return Array.from({ length }, (_, i) => list?.[i] ?? (list && i < list.length ? null : SKIP))
  })
  const axes = [...calls.axes, newAxis]
  requireUnique(axes)
  return dropNoneAxis({ axes, shape: [...calls.shape, length], data: nest(calls.shape, cells) })
}

/** `crossActionCells` and its results in one go, for functions that need nothing from outside. */
export function crossAction<F extends (value: Value) => Value>(
  functions: FunctionCells<F>,
  values: Reference,
  newAxis: string,
): Reference {
  const calls = crossActionCells(functions, values, newAxis)
  const results = calls.cells.map(call => {
    if (call === null) return SKIP
    try {
      return call.fn(call.value)
    } catch {
      return SKIP
    }
  })
  return fromCrossActionCells(calls, newAxis, results)
}

function isSkipCell(value: Value): boolean {
  return value === SKIP
}

function isSkipOrNone(value: Value): boolean {
  return value === SKIP || value === null
}

interface Aligned {
  axes: readonly string[]
  shape: readonly number[]
  cells: (readonly Value[] | null)[]
}

function align(references: readonly Reference[], isMissing: (value: Value) => boolean): Aligned {
  const only = references.length === 1 ? references[0] : undefined
  if (only !== undefined && only.axes.length === 1 && isList(only.data)) {
    return { axes: only.axes, shape: only.shape, cells: only.data.map(item => (isMissing(item) ? null : [item])) }
  }
  const { axes, shape, sources } = unite(references)
  const cells: (readonly Value[] | null)[] = []
  walk(shape, index => {
    let missing = false
    const elements = references.map((reference, i) => {
      const element = elementAt(reference.data, sources[i] ?? [], index)
      missing ||= isMissing(element)
      return element
    })
    cells.push(missing ? null : elements)
  })
  return { axes, shape, cells }
}

/** The union of the axes in order of first appearance, and for each tensor where its own axes are in it. */
function unite(tensors: readonly { readonly axes: readonly string[]; readonly shape: readonly number[] }[]): {
  axes: string[]
  shape: number[]
  sources: number[][]
} {
  const axes: string[] = []
  const shape: number[] = []
  const sources = tensors.map(tensor =>
    tensor.axes.map((axis, i) => {
      const size = tensor.shape[i] ?? 0
      const known = axes.indexOf(axis)
      if (known === -1) {
        shape.push(size)
        return axes.push(axis) - 1
      }
      if (shape[known] !== size) {
        throw new PyError('ValueError', `Shape mismatch for axis '${axis}': ${shape[known]} vs ${size}`)
      }
      return known
    }),
  )
  requireCells(shape)
  return { axes, shape, sources }
}

/** Every index of a shape in row-major order. The array is reused between calls. */
function walk(shape: readonly number[], visit: (index: readonly number[]) => void): void {
  if (shape.includes(0)) return
  const index = new Array<number>(shape.length).fill(0)
  for (;;) {
    visit(index)
    let axis = shape.length - 1
    while (axis >= 0 && (index[axis] ?? 0) + 1 === shape[axis]) index[axis--] = 0
    if (axis < 0) return
    index[axis] = (index[axis] ?? 0) + 1
  }
}

function elementAt(data: Value, source: readonly number[], index: readonly number[]): Value {
  let element = data
  for (const axis of source) {
    if (!isList(element)) return SKIP
    const inner = element[index[axis] ?? 0]
    if (inner === undefined) return SKIP
    element = inner
  }
  return element
}

function offset(shape: readonly number[], source: readonly number[], index: readonly number[]): number {
  let at = 0
  for (let i = 0; i < source.length; i++) at = at * (shape[i] ?? 0) + (index[source[i] ?? 0] ?? 0)
  return at
}

function nest(shape: readonly number[], cells: readonly Value[]): Value {
  if (shape.length === 1) return cells
  let at = 0
  const build = (depth: number): Value => {
    if (depth === shape.length) return cells[at++] ?? null
    return Array.from({ length: shape[depth] ?? 0 }, () => build(depth + 1))
  }
  return build(0)
}
