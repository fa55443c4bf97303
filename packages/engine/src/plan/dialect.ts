import { PyDict, type Value } from '../value/value.ts'

/**
 * Which behaviour of the reference engine a plan was written for. `2026-01` has the grouping repair, `2026-01-strict`
 * has not, `2026-03` is what plans of the later compiler need.
 */
export type Dialect = '2026-01' | '2026-01-strict' | '2026-03'

export const dialects: readonly Dialect[] = ['2026-01', '2026-01-strict', '2026-03']

export function asDialect(text: unknown): Dialect | null {
  return dialects.find(dialect => dialect === text) ?? null
}

/**
 * The dialect that only its own compiler's traces can mean, else null: `by_axes_source` in a grouping, `output_axis` in
 * a working interpretation, or a value concept with `axis_name` beside an `is_invariant` of null.
 */
export function detectDialect(concepts: readonly PyDict[], inferences: readonly PyDict[]): Dialect | null {
  const traced = inferences.some(inference => {
    const interpretation = dictOf(inference.get('working_interpretation'))
    return interpretation.has('output_axis') || dictOf(interpretation.get('syntax')).has('by_axes_source')
  })
  return traced || concepts.some(isLaterForm) ? '2026-03' : null
}

/** Whether the later compiler wrote this concept: it alone puts an `is_invariant` of null beside an axis name. */
export function isLaterForm(concept: PyDict): boolean {
  return typeof concept.get('axis_name') === 'string' && concept.get('is_invariant') === null
}

function dictOf(value: Value | undefined): PyDict {
  return value instanceof PyDict ? value : new PyDict()
}
