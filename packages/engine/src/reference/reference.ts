import type { Value } from '../value/value.ts'

/** The marker of a cell that holds nothing. It is text in the plans' own files, so it is text here. */
export const SKIP = '@#SKIP#@'

/** The axis of a value that has no axis of its own. */
export const NONE_AXIS = '_none_axis'

/**
 * A labelled tensor. `data` nests one list per axis; what stands at that depth is a leaf, and a leaf may itself be a
 * list or a dict. Without axes the shape is empty and `data` is `null`: a placeholder without content.
 */
export interface Reference {
  readonly axes: readonly string[]
  readonly shape: readonly number[]
  readonly data: Value
}
