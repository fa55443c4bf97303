import { isList, MAX_DEPTH, PyBytes, PyDict, PyError, PyFloat, type Value } from './value.ts'

/**
 * Cells of one tensor. Each cell is a value of its own in prompts, records and replies; a hundred thousand of them
 * are worked off in well under a second, and what a plan does cell by cell never has as many.
 */
export const MAX_CELLS = 100_000

/** Characters of one text that a plan puts together: several times what any model reads at once. */
export const MAX_TEXT = 16 * 1024 * 1024

/** What one value may weigh, written out: its characters, and `ITEM_WEIGHT` for every value inside of it. */
export const MAX_WEIGHT = 32 * 1024 * 1024

const ITEM_WEIGHT = 32

/** Throws `MemoryError` for the shape of a tensor with more than `MAX_CELLS` cells. */
export function requireCells(shape: readonly number[]): void {
  let cells = 1
  for (const size of shape) cells *= size
  if (cells > MAX_CELLS) {
    throw new PyError('MemoryError', `A tensor of ${shape.join(' x ')} cells is too large; it may have ${MAX_CELLS}.`)
  }
}

/** Throws `MemoryError` for a text of more than `MAX_TEXT` characters. */
export function requireText(length: number): void {
  if (length > MAX_TEXT) {
    throw new PyError('MemoryError', `A text of ${length} characters is too long; it may have ${MAX_TEXT}.`)
  }
}

/**
 * What a value weighs, counting what stands in it twice twice, as it will be written. Small values can share their
 * parts in such a way that they are endless once written, so counting ends with a `MemoryError` at `most`.
 */
export function weigh(value: Value, most = MAX_WEIGHT): number {
  let weight = 0
  const visit = (item: Value, depth: number): void => {
    weight += typeof item === 'string' ? ITEM_WEIGHT + item.length : ITEM_WEIGHT
    if (weight > most) throw new PyError('MemoryError', `A value is too large: written out it takes more than ${most}.`)
    if (item === null || typeof item !== 'object' || item instanceof PyFloat) return
    if (depth > MAX_DEPTH) throw new PyError('RecursionError', `A value is nested deeper than ${MAX_DEPTH} levels.`)
    if (isList(item)) for (const inner of item) visit(inner, depth + 1)
    else if (item instanceof PyBytes) weight += item.bytes.length
    else if (item instanceof PyDict) {
      for (const [key, inner] of item.entries()) {
        visit(key, depth + 1)
        visit(inner, depth + 1)
      }
    } else for (const inner of item.items) visit(inner, depth + 1)
  }
  visit(value, 1)
  return weight
}
