import type { InferenceEntry } from '#plan/repositories'
import { leaves } from '#reference/access'
import { elementAction } from '#reference/combine'
import { SKIP, type Reference } from '#reference/reference'
import { FALSE_MARKER, TRUE_MARKER } from '#sequence/truth'
import { PyDict, type Value } from '#value/value'
import type { TruthMask } from './records.ts'

/**
 * Whether a judgement counts as met when somebody gives its value: when any cell says that it is true. A judgement
 * without an assertion is always met, whatever its value.
 */
export function conditionMet(entry: InferenceEntry, reference: Reference): boolean {
  const assertion = entry.workingInterpretation.get('assertion_condition')
  const asserts = entry.sequence === 'judgement_python' || (assertion instanceof PyDict && assertion.size > 0)
  return !asserts || leaves(reference).some(isTrue)
}

/** The mask that a given value makes of the one before; null when it has not the axis any more. */
export function maskOf(reference: Reference, { filterAxis }: TruthMask): TruthMask | null {
  if (!reference.axes.includes(filterAxis)) return null
  return { tensor: elementAction(cell => (isTrue(cell) ? TRUE_MARKER : FALSE_MARKER), [reference]), filterAxis }
}

const TRUE_TEXT = /^(true|yes)$|\((true|t)\)/i

function isTrue(cell: Value): boolean {
  if (typeof cell === 'string') return cell !== SKIP && TRUE_TEXT.test(cell.trim())
  return cell === true || cell === 1
}
