import type { Reference } from '#reference/reference'
import { encodeValue } from '#value/codec'
import { isList, type Value } from '#value/value'
import type { ConceptChange, Growth } from './records.ts'

/**
 * Collections of loops and lists that a plan appends to grow by an element at a time. Their records hold what was added
 * alone, so that a loop of a thousand turns does not leave a thousand whole collections.
 */
export function growthOf(before: Reference | null, after: Reference): Growth | null {
  if (before === null || !isList(before.data) || !isList(after.data)) return null
  const kept = before.data.length
  if (kept === 0 || kept >= after.data.length || !isSameBut(before, after)) return null
  for (let place = 0; place < kept; place++) if (!isSame(before.data[place], after.data[place])) return null
  const data = after.data.slice(kept)
  return { kept, added: { axes: after.axes, shape: [data.length, ...after.shape.slice(1)], data } }
}

/** The reference that a concept has after a change. */
export function changedReference(before: Reference | null, { reference, grown }: ConceptChange): Reference | null {
  if (grown === undefined) return reference === undefined ? before : reference
  const { kept, added } = grown
  const first = before !== null && isList(before.data) ? before.data.slice(0, kept) : []
  const rest = isList(added.data) ? added.data : []
  return { axes: added.axes, shape: [first.length + rest.length, ...added.shape.slice(1)], data: [...first, ...rest] }
}

// A run that was read from disk has equal values instead of the same ones, and must make the same records.
function isSame(a: Value | undefined, b: Value | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && encodeValue(a) === encodeValue(b))
}

/** Whether two references hold the same, whether they are the same or one was read from disk. */
export function isSameReference(a: Reference | null, b: Reference | null): boolean {
  if (a === null || b === null || a === b) return a === b
  return isSame([a.axes, a.shape, a.data], [b.axes, b.shape, b.data])
}

function isSameBut(before: Reference, after: Reference): boolean {
  return (
    before.axes.length === after.axes.length &&
    before.axes.every((axis, place) => axis === after.axes[place]) &&
    before.shape.every((size, place) => place === 0 || size === after.shape[place])
  )
}
