import { requireCells } from '../value/limits.ts'
import { isList, PyError, type Value } from '../value/value.ts'
import { isSkip, leaves, select } from './access.ts'
import { tupleText } from './join.ts'
import type { Reference } from './reference.ts'

/**
 * Appends the cells of `other` to `target` along an axis of the target (chosen from the axes that do not match when
 * none is given). Along an inner axis each cell of the outer axes that both share gets its own; otherwise every list
 * along that axis gets all of them.
 */
export function append(target: Reference, other: Reference, byAxis?: string | null): Reference {
  const axis = byAxis ?? inferAxis(target, other)
  const position = target.axes.indexOf(axis)
  if (position === -1) throw new PyError('ValueError', `Axis '${axis}' not found in target axes`)
  return position === target.axes.length - 1 ? appendCells(target, other) : appendBlocks(target, other, position)
}

function inferAxis(target: Reference, other: Reference): string {
  const unconsumed = target.axes.filter(axis => !other.axes.includes(axis))
  const unmatched = other.axes.filter(axis => !target.axes.includes(axis)).length
  const [only] = unconsumed
  if (only !== undefined && unconsumed.length === 1) return only
  if (unmatched > 0 && unmatched < unconsumed.length) return unconsumed[unconsumed.length - unmatched] ?? ''
  return target.axes.at(-1) ?? ''
}

function appendBlocks(target: Reference, other: Reference, position: number): Reference {
  const blockShape = target.shape.slice(position + 1)
  const size = blockShape.reduce((product, length) => product * length, 1)
  const cells = content(other)
  if (size === 0 || cells.length % size !== 0) {
    throw new PyError(
      'ValueError',
      `Shape mismatch: ${cells.length} elements cannot be divided into blocks of shape ${tupleText(blockShape)}`,
    )
  }
  const blocks: Value[] = []
  for (let at = 0; at < cells.length; at += size) blocks.push(block(cells.slice(at, at + size), blockShape, 0))
  const extend = (data: Value, depth: number): Value => {
    if (!isList(data)) return data
    return depth === position ? [...data, ...blocks] : data.map(item => extend(item, depth + 1))
  }
  const shape = target.shape.map((length, i) => (i === position ? length + blocks.length : length))
  requireCells(shape)
  return { axes: target.axes, shape, data: extend(target.data, 0) }
}

function block(cells: readonly Value[], shape: readonly number[], depth: number): Value {
  if (depth === shape.length) return cells[0] ?? null
  const length = shape[depth] ?? 1
  const step = cells.length / length
  return Array.from({ length }, (_, i) => block(cells.slice(i * step, (i + 1) * step), shape, depth + 1))
}

function appendCells(target: Reference, other: Reference): Reference {
  const prefix = target.axes.slice(0, -1)
  const positions = prefix.map(axis => other.axes.indexOf(axis))
  const cellWise =
    prefix.length > 0 && positions.every((position, i) => position !== -1 && other.shape[position] === target.shape[i])
  const all = cellWise ? [] : content(other)
  if (!cellWise) requireCells([...target.shape.slice(0, -1), (target.shape.at(-1) ?? 0) + all.length])
  const index: number[] = []
  let longest = 0
  const extend = (data: Value, depth: number): Value => {
    if (!isList(data)) return data
    if (depth < prefix.length) {
      return data.map((item, i) => {
        index[depth] = i
        return extend(item, depth + 1)
      })
    }
    const extended = [...data, ...(cellWise ? cellsAt(other, positions, index) : all)]
    longest = Math.max(longest, extended.length)
    return extended
  }
  const data = extend(target.data, 0)
  return { axes: target.axes, shape: [...target.shape.slice(0, -1), longest], data }
}

function cellsAt(other: Reference, positions: readonly number[], index: readonly number[]): Value[] {
  const wanted = other.axes.map((_, i) => {
    const at = positions.indexOf(i)
    return at === -1 ? undefined : index[at]
  })
  const remaining = other.axes.length - positions.length
  const sub = select(other.data, wanted)
  return remaining === 0 ? [sub].filter(cell => !isSkip(cell)) : flattenTo(sub, remaining)
}

function flattenTo(data: Value, depth: number): Value[] {
  if (depth === 0 || !isList(data)) return isSkip(data) ? [] : [data]
  return data.flatMap(item => flattenTo(item, depth - 1))
}

function content(other: Reference): Value[] {
  return leaves(other).filter(cell => !isSkip(cell))
}
