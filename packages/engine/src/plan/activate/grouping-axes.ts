import type { InferenceGroup } from '../nci.ts'
import { annotation, annotationList, balancedList, functionText, splitList, stripOuterBrackets } from './annotations.ts'

/** Which axes each value of a grouping gives up, and where that was said. One list for every value, in order. */
export interface GroupingAxes {
  readonly axes: readonly (readonly string[])[]
  readonly origin: 'option_d_per_concept' | 'option_c_functional' | 'option_b_inline' | 'fallback_ref_axes'
}

const noneAxis = '_none_axis'

export function groupingAxes(group: InferenceGroup): GroupingAxes {
  const children = group.value_concepts
  const own = children.map(child => annotationList(child.attached_comments, 'collapse_in_grouping'))
  if (own.length > 0 && own.every(axes => axes !== null)) return { axes: own, origin: 'option_d_per_concept' }
  const written = annotation(group.function_concept.attached_comments, 'by_axes')
  if (written !== null) return { axes: fit(parseAxes(written), children.length), origin: 'option_c_functional' }
  const inline = balancedList(functionText(group.function_concept), '%-')
  if (inline !== null) return { axes: fit(parseAxes(inline), children.length), origin: 'option_b_inline' }
  return {
    axes: children.map(child => annotationList(child.attached_comments, 'ref_axes') ?? [noneAxis]),
    origin: 'fallback_ref_axes',
  }
}

// A flat list speaks for every value; nested lists speak for one value each.
function parseAxes(text: string): { readonly nested: boolean; readonly lists: readonly (readonly string[])[] } {
  const inner = stripOuterBrackets(text.trim())
  if (!inner.includes('[')) return { nested: false, lists: [orNone(splitList(inner))] }
  return { nested: true, lists: [...inner.matchAll(/\[([^[\]]*)\]/g)].map(([, list]) => orNone(splitList(list ?? ''))) }
}

function fit({ nested, lists }: ReturnType<typeof parseAxes>, count: number): readonly (readonly string[])[] {
  const rest = nested ? [noneAxis] : (lists[0] ?? [noneAxis])
  return Array.from({ length: count }, (_, at) => lists[at] ?? rest)
}

function orNone(axes: readonly string[]): readonly string[] {
  return axes.length > 0 ? axes : [noneAxis]
}
