import type { Dialect } from '#plan/dialect'

export type { Dialect } from '#plan/dialect'

/** What differs between the dialects. Code asks for one of these, never for a dialect's name. */
export interface Behaviours {
  /** A flat, non-empty `by_axes` without `create_axis` groups over the axes that all inputs share. */
  readonly groupingRepair: boolean
  /** Perceiving a sign without a norm, or of norm `literal`, reads its payload as a Python literal where it is one. */
  readonly literalUntypedSigns: boolean
  /** A list is one input of a step unless it was unpacked on purpose; otherwise each item becomes an input. */
  readonly packListsByDefault: boolean
  /** A single perceived value keeps its type; otherwise it becomes text. */
  readonly keepSingleValues: boolean
  /** A loop waits for its values before its first execution too. */
  readonly loopsWaitForValues: boolean
  /** `output_axis` names the axis of a list result, and a name that is taken gets a suffix. */
  readonly namedOutputAxis: boolean
  /** The iterations of an inner `looping` step survive when the loop around it goes on; otherwise they start anew. */
  readonly keepNestedLoops: boolean
  /** Only whole words and JSON count as booleans; otherwise a word of agreement anywhere in the text does. */
  readonly exactBooleans: boolean
  /** Languages of the fenced code blocks that are looked into. */
  readonly fenceLanguages: readonly string[]
  /** When a truth mask filters the inputs of the guarded step: always, or only while the workspace is in use. */
  readonly filterInjection: 'when-workspace' | 'always'
}

const january: Behaviours = {
  groupingRepair: true,
  literalUntypedSigns: false,
  packListsByDefault: false,
  keepSingleValues: false,
  loopsWaitForValues: false,
  namedOutputAxis: false,
  keepNestedLoops: false,
  exactBooleans: false,
  fenceLanguages: ['python', 'py', 'json'],
  filterInjection: 'when-workspace',
}

export const behaviours: Readonly<Record<Dialect, Behaviours>> = {
  '2026-01': january,
  '2026-01-strict': { ...january, groupingRepair: false, keepNestedLoops: true },
  '2026-03': {
    ...january,
    literalUntypedSigns: true,
    packListsByDefault: true,
    keepSingleValues: true,
    loopsWaitForValues: true,
    namedOutputAxis: true,
    exactBooleans: true,
    fenceLanguages: ['python', 'py', 'json', 'ncds', 'ncd'],
  },
}
