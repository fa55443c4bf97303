import { requireCells } from '../value/limits.ts'
import { repr } from '../value/python-repr.ts'
import { isList, PyError, type Value } from '../value/value.ts'
import { NONE_AXIS, type Reference, SKIP } from './reference.ts'

/** A reference without axes and content. */
export const EMPTY: Reference = { axes: [], shape: [], data: null }

/**
 * A tensor from nested lists. Without names the axes are `axis_0`, `axis_1` … for every level; fewer names than levels
 * leave the deeper lists as leaves, more names throw, and so do more cells than a tensor may have. Ragged lists are
 * filled with skips to the longest of each level.
 */
export function fromData(data: Value, axes?: readonly string[] | null): Reference {
  const full = shapeOf(data)
  const names = axes === undefined || axes === null || axes.length === 0 ? full.map((_, i) => `axis_${i}`) : axes
  if (names.length > full.length) {
    throw new PyError(
      'ValueError',
      `Number of axis names (${names.length}) cannot be greater than data rank (${full.length})`,
    )
  }
  requireUnique(names)
  const shape = full.slice(0, names.length)
  requireCells(shape)
  return { axes: names, shape, data: pad(data, shape, 0) }
}

/** One cell on the axis of values without an axis. */
export function single(value: Value): Reference {
  return { axes: [NONE_AXIS], shape: [1], data: [value] }
}

/** A tensor of known shape; data that do not fill it are padded with skips or cut. */
export function ofShape(axes: readonly string[], shape: readonly number[], data: Value): Reference {
  requireUnique(axes)
  requireCells(shape)
  return { axes, shape, data: pad(data, shape, 0) }
}

export function requireUnique(axes: readonly string[]): void {
  if (axes.length > 1 && new Set(axes).size !== axes.length) throw new PyError('ValueError', 'Axes must be unique')
}

/** Axis names as the reference engine's messages show them: `['r', 'c']`. */
export function axisList(axes: readonly string[]): string {
  return repr(axes)
}

/** The longest length found at each level of nested lists. */
export function shapeOf(data: Value): number[] {
  const shape: number[] = []
  measure(data, shape, 0)
  return shape
}

function measure(data: Value, shape: number[], depth: number): void {
  if (!isList(data)) return
  shape[depth] = Math.max(shape[depth] ?? 0, data.length)
  for (const item of data) measure(item, shape, depth + 1)
}

// Where a list is expected and something else stands, the place becomes a list of skips, but one level of them only.
function pad(data: Value, shape: readonly number[], depth: number): Value {
  const length = shape[depth]
  if (length === undefined) return data
  if (!isList(data)) return new Array<Value>(length).fill(SKIP)
  if (depth === shape.length - 1 && data.length === length) return data
  const padded: Value[] = []
  for (let i = 0; i < length; i++) {
    const item = data[i]
    padded.push(item === undefined ? SKIP : pad(item, shape, depth + 1))
  }
  return padded
}
