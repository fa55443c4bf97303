import { elementAction } from '#reference/combine'
import { SKIP, type Reference } from '#reference/reference'
import type { Item } from './program.ts'
import type { PendingFilter, RunState } from './state.ts'

/** The text of a cell that met a judgement's condition. */
export const TRUE_MARKER = '%{truth value}(true)'

/**
 * Takes the filters that timing steps left for this step and gives the references of its value concepts as they are to
 * be seen through them: elements that did not meet the condition are skips. Null when there is nothing to filter.
 */
export function applyFilters(state: RunState, item: Item): ReadonlyMap<number, Reference> | null {
  const filters = state.filters.size === 0 ? undefined : state.filters.get(item.flowIndex)
  if (filters === undefined) return null
  state.filters.delete(item.flowIndex)
  const filtered = new Map<number, Reference>()
  for (const concept of item.values) {
    const reference = state.references[concept] ?? null
    if (reference === null) continue
    const seen = filters.reduce(through, reference)
    if (seen === reference) continue
    filtered.set(concept, seen)
    // The strict dialect keeps the reference engine's habit of filtering the shared value itself.
    if (state.program.strict) state.references[concept] = seen
  }
  return filtered
}

function through(reference: Reference, filter: PendingFilter): Reference {
  const { filterAxis, tensor } = filter.mask
  if (!reference.axes.includes(filterAxis)) return reference
  return elementAction((value, met) => (met === TRUE_MARKER || met === true ? value : SKIP), [reference, tensor])
}
