import { elementCells, fromCells, type Cells } from '#reference/combine'
import { NONE_AXIS, SKIP, type Reference } from '#reference/reference'
import { MAX_WEIGHT, weigh } from '#value/limits'
import type { Value } from '#value/value'
import { report, type StepContext } from './result.ts'
import { all, HostFailure, Spent, type Step } from './step.ts'

export interface CellWork {
  /** What the cells are called in error paths: `functions`, `cells`. */
  readonly what: string
  readonly context: StepContext
}

/**
 * Applies a step to the aligned elements of references; every cell is work of its own. A cell is skip where an element
 * is skip or null, or where its work throws, which is kept as an error of the step.
 */
export function* elementStep(
  references: readonly Reference[],
  work: (elements: readonly Value[]) => Step<Value>,
  options: CellWork,
): Step<Reference> {
  const { axes, shape, cells } = elementCells(references)
  const results = yield* eachCell({ axes, shape, cells }, work, options)
  return fromCells(axes, shape, results)
}

/** The results of the work on each cell, in order; skip where there is nothing to work on or the work throws. */
export function eachCell<T>(
  { axes, shape, cells }: Cells<T>,
  work: (cell: T) => Step<Value>,
  options: CellWork,
): Step<Value[]> {
  const together: AllCells = { context: options.context, what: options.what, axes, shape, weight: 0 }
  return all(cells.map((cell, place) => (cell === null ? skipped() : guarded(work(cell), place, together))))
}

interface AllCells extends CellWork, Pick<Cells<unknown>, 'axes' | 'shape'> {
  /** What the results weigh so far. */
  weight: number
}

const CELL_UNITS = 10
const WEIGHT_PER_UNIT = 500

function* skipped(): Step<Value> {
  return SKIP
}

function* guarded(work: Step<Value>, place: number, together: AllCells): Step<Value> {
  try {
    const value = yield* work
    const weight = weigh(value)
    together.weight += weight
    yield new Spent(CELL_UNITS + weight / WEIGHT_PER_UNIT)
    if (together.weight > MAX_WEIGHT) throw tooMuch()
    return value
  } catch (cause) {
    report(together.context, `${together.what}${indexText(together, place)}`, cause)
    return SKIP
  }
}

// Not an error of one cell: the step as a whole would be too large, so it ends here.
function tooMuch(): HostFailure {
  const message = `The cells of the step are too large together: written out they take more than ${MAX_WEIGHT}.`
  return new HostFailure({ name: 'MemoryError', message })
}

/** `[1][0]`: the place of a cell along the axes that the result will have. */
function indexText({ axes, shape }: Pick<Cells<unknown>, 'axes' | 'shape'>, place: number): string {
  const index: number[] = []
  let rest = place
  for (const size of shape.toReversed()) {
    index.unshift(size === 0 ? 0 : rest % size)
    rest = size === 0 ? 0 : Math.floor(rest / size)
  }
  const shown = axes.length > 1 ? index.filter((_, axis) => axes[axis] !== NONE_AXIS) : index
  return shown.map(position => `[${position}]`).join('')
}

/** The functions at position 0 of the first axis, which are the only ones that a step calls. */
export function firstFunctions<F>({ axes, shape, cells }: Cells<F>): Cells<F> {
  if (axes.length <= 1) return { axes: [NONE_AXIS], shape: [1], cells: [cells[0] ?? null] }
  const rest = shape.slice(1)
  const count = rest.reduce((product, size) => product * size, 1)
  return { axes: axes.slice(1), shape: rest, cells: cells.slice(0, count) }
}
