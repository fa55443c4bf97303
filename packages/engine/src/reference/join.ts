import { requireCells } from '../value/limits.ts'
import { PyError, type Value } from '../value/value.ts'
import { transpose } from './access.ts'
import { axisList, EMPTY, requireUnique } from './construct.ts'
import type { Reference } from './reference.ts'

/** Stacks tensors of the same axes and shape along a new first axis. */
export function join(references: readonly Reference[], newAxis: string): Reference {
  const [first] = references
  if (first === undefined) return EMPTY
  requireCells([references.length, ...first.shape])
  const stacked = references.map((reference, i): Value => {
    if (!sameSet(reference.axes, first.axes)) {
      const found = `Expected ${axisList(first.axes)}, got ${axisList(reference.axes)}`
      throw new PyError('ValueError', `Axis mismatch at index ${i}. ${found}`)
    }
    const ordered = transpose(reference, first.axes)
    if (ordered.shape.some((size, axis) => size !== first.shape[axis])) {
      const found = `Expected ${tupleText(first.shape)}, got ${tupleText(ordered.shape)}`
      throw new PyError('ValueError', `Shape mismatch at index ${i}. ${found}`)
    }
    return ordered.data
  })
  const axes = [newAxis, ...first.axes]
  requireUnique(axes)
  return { axes, shape: [references.length, ...first.shape], data: stacked }
}

/** A shape as Python shows it: `(2,)`, `(2, 3)`. */
export function tupleText(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(axis => b.includes(axis))
}
