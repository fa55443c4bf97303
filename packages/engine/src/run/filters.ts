import { elementAction } from '#reference/combine'
import { SKIP, type Reference } from '#reference/reference'
import type { Item } from './program.ts'
import type { PendingFilter, RunState } from './state.ts'

/** The text of a cell that met a judgement's condition. */
export const TRUE_MARKER = '%{truth value}(true)'

/** What a step took of the filters that waited for it. */
export interface TakenFilters {
  readonly taken: readonly PendingFilter[]
  /** The values of its concepts as they are to be seen through them. */
  readonly seen: Map<number, Reference>
  /** Shared values that were replaced, as they were before. */
  readonly replaced: (readonly [concept: number, before: Reference])[]
}

/** Takes the filters that timing steps left for this step; null when there are none. */
export function takeFilters(state: RunState, item: Item): TakenFilters | null {
  const taken = state.filters.size === 0 ? undefined : state.filters.get(item.flowIndex)
  if (taken === undefined) return null
  state.filters.delete(item.flowIndex)
  return { taken, seen: new Map(), replaced: [] }
}

/**
 * Looks at the values of a step through the filters that it took: elements that did not meet the condition are skips.
 * Throws where the axes of a value and a mask do not fit.
 */
export function lookThrough(state: RunState, item: Item, { taken, seen, replaced }: TakenFilters): void {
  for (const concept of item.values) {
    const reference = state.references[concept] ?? null
    if (reference === null) continue
    const filtered = taken.reduce(through, reference)
    if (filtered === reference) continue
    seen.set(concept, filtered)
    // The strict dialect keeps the reference engine's habit of filtering the shared value itself.
    if (!state.program.strict) continue
    replaced.push([concept, reference])
    state.references[concept] = filtered
  }
}

/** Puts back what a step took that was given up. */
export function giveBack(state: RunState, item: Item, { taken, seen, replaced }: TakenFilters): void {
  state.filters.set(item.flowIndex, [...taken, ...(state.filters.get(item.flowIndex) ?? [])])
  for (const [concept, before] of replaced) {
    if (state.references[concept] === seen.get(concept)) state.references[concept] = before
  }
}

/** The shared values that are still as the filters of a step left them. */
export function stillFiltered(state: RunState, { seen, replaced }: TakenFilters): (readonly [number, Reference])[] {
  return replaced.flatMap(([concept]) => {
    const filtered = seen.get(concept)
    return filtered !== undefined && state.references[concept] === filtered ? [[concept, filtered] as const] : []
  })
}

function through(reference: Reference, filter: PendingFilter): Reference {
  const { filterAxis, tensor } = filter.mask
  if (!reference.axes.includes(filterAxis)) return reference
  return elementAction((value, met) => (met === TRUE_MARKER || met === true ? value : SKIP), [reference, tensor])
}
