import { toPlain } from '@slipway/engine/value/codec'
import { select } from '@slipway/engine/reference/access'
import type { Reference } from '@slipway/engine/reference/reference'
import type { Value } from '@slipway/engine/value/value'
import type { ReferencePage } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import { sizeOf } from './excerpt.ts'

/** A part of a tensor, as requests name it. */
export interface AskedPart {
  /** `axis:index` each; the rest of the tensor is paged. */
  readonly at: readonly string[]
  /** Numbers with commas between them, one for each axis that is not fixed. */
  readonly offset?: string | undefined
  readonly limit?: string | undefined
}

export type TensorPart = Pick<ReferencePage, 'fixed' | 'page'>

const mostCells = 10_000
const mostCharacters = 1_000_000

/**
 * The cells of a part of a tensor, as many as a reply may hold: whole rows first, and always one cell, however large.
 * `page.shape` says how far it got. Throws `input.invalid` for axes and places that the tensor does not have.
 */
export function tensorPart(reference: Reference | null, asked: AskedPart): TensorPart {
  const { axes, shape, data } = reference ?? { axes: [], shape: [], data: null }
  const fixed = fixedAxes({ axes, shape }, asked.at)
  const open = axes.flatMap((axis, place) => (fixed.has(axis) ? [] : [{ axis, place, size: shape[place] ?? 0 }]))
  const names = open.map(({ axis }) => axis)
  const offset = numbers(asked.offset, { name: 'offset', axes: names, least: 0 }) ?? open.map(() => 0)
  const limit = numbers(asked.limit, { name: 'limit', axes: names, least: 1 }) ?? open.map(({ size }) => size)
  const left = open.map(({ axis, size }, at) => {
    const start = offset[at] ?? 0
    if (start > size) throw invalid(`\`offset\` is ${start} on the axis ${axis}, which has ${size} places.`)
    return Math.min(limit[at] ?? 0, size - start)
  })
  const index = axes.map(axis => fixed.get(axis))
  const part: Part = { data, index, places: open.map(({ place }) => place), offset }
  const box = fitting(part, left)
  return {
    fixed: Object.fromEntries(fixed),
    page: { axes: names, shape: box, offset, data: cellsOf(part, box, toPlain) },
  }
}

function fixedAxes({ axes, shape }: Pick<Reference, 'axes' | 'shape'>, at: readonly string[]): Map<string, number> {
  const fixed = new Map<string, number>()
  for (const text of at) {
    // The name of an axis may itself have a colon.
    const colon = text.lastIndexOf(':')
    const axis = text.slice(0, colon)
    const place = axes.indexOf(axis)
    if (colon < 0 || !/^\d{1,9}$/.test(text.slice(colon + 1)))
      throw invalid(`\`at\` is "${text}". Write the name of an axis, a colon and a number from 0.`)
    if (place < 0) throw invalid(`The value has no axis "${axis}"; ${axesInWords(axes)}.`)
    if (fixed.has(axis)) throw invalid(`The axis ${axis} is given twice in \`at\`.`)
    const index = Number(text.slice(colon + 1))
    const size = shape[place] ?? 0
    if (index >= size) throw invalid(`The axis ${axis} has ${size} places, counted from 0, and not ${index}.`)
    fixed.set(axis, index)
  }
  return fixed
}

function numbers(
  text: string | undefined,
  { name, axes, least }: { readonly name: string; readonly axes: readonly string[]; readonly least: number },
): number[] | null {
  if (text === undefined) return null
  const parts = text.split(',').map(part => part.trim())
  const isRight = parts.length === axes.length && parts.every(part => /^\d{1,9}$/.test(part) && Number(part) >= least)
  if (isRight) return parts.map(Number)
  throw invalid(
    axes.length === 0
      ? `\`${name}\` has nothing to choose from: no axis is left.`
      : `\`${name}\` is "${text}". Write one number from ${least} for each of the axes ${axes.join(', ')}, with commas.`,
  )
}

/** Where the cells of a part are: `index` has the fixed places, `places` the positions of the other axes. */
interface Part {
  readonly data: Value
  readonly index: readonly (number | undefined)[]
  readonly places: readonly number[]
  readonly offset: readonly number[]
}

/** How many cells of each axis fit into a reply. */
function fitting(part: Part, left: readonly number[]): number[] {
  const box = rowsFirst(left, mostCells)
  let characters = 0
  let cells = 0
  let fits = 0
  cellsOf(part, box, cell => {
    cells++
    if (characters <= mostCharacters) characters += sizeOf(cell, mostCharacters - characters)
    if (characters <= mostCharacters) fits = cells
  })
  return fits === cells ? box : rowsFirst(box, Math.max(1, fits))
}

/** The largest part from the beginning, in row-major order, that has at most so many cells. */
function rowsFirst(sizes: readonly number[], most: number): number[] {
  let rest = most
  return sizes
    .toReversed()
    .map(size => {
      const taken = Math.min(size, Math.max(1, rest))
      rest = Math.floor(rest / Math.max(1, taken))
      return taken
    })
    .toReversed()
}

function cellsOf(part: Part, box: readonly number[], show: (cell: Value) => unknown): unknown {
  const index = [...part.index]
  const build = (depth: number): unknown => {
    const place = part.places[depth]
    if (place === undefined) return show(select(part.data, index))
    const start = part.offset[depth] ?? 0
    return Array.from({ length: box[depth] ?? 0 }, (_, at) => {
      index[place] = start + at
      return build(depth + 1)
    })
  }
  return build(0)
}

function axesInWords(axes: readonly string[]): string {
  return axes.length === 0 ? 'it has none' : `it has ${axes.join(', ')}`
}

function invalid(message: string): AppError {
  return new AppError('input.invalid', message)
}
