import { isList, PyDict, PyFloat, type Value } from '../../value/value.ts'
import { problemWarning } from '../problems.ts'
import type { InferenceEntry } from '../repositories.ts'
import { stepPath, type CheckContext } from './context.ts'

/**
 * Warns where a list value stands before another value. In the January dialects every item of a list becomes an input
 * of its own, so the later values move to higher numbers than the step's prompt or script expects.
 */
export function checkListShift(context: CheckContext, step: InferenceEntry): void {
  if (context.plan.dialect === '2026-03') return
  const order = asDict(step.workingInterpretation.get('value_order'))
  const selectors = asDict(step.workingInterpretation.get('value_selectors'))
  const names = [...order.entries()].sort(([, a], [, b]) => placeOf(a) - placeOf(b)).map(([name]) => name)
  for (const name of names.slice(0, -1)) {
    if (typeof name !== 'string' || saysPacking(asDict(selectors.get(name)))) continue
    if (!isListValue(context, name)) continue
    context.problems.push(
      problemWarning({
        code: 'step.list_shifts_inputs',
        path: stepPath(context, step),
        message: `${name} is a list: in this dialect each of its items becomes an input, and the values after it shift.`,
        hint: `Pass it last, add "value_selectors": {"${name}": {"packed": true}}, or use the dialect 2026-03.`,
      }),
    )
  }
}

function saysPacking(selector: PyDict): boolean {
  return ['packed', 'unpack', 'unpack_before_selection', 'index', 'key', 'branch'].some(key => selector.has(key))
}

/** Whether one cell of the concept is known to be a list of several items. */
function isListValue(context: CheckContext, name: string): boolean {
  const producers = context.inferredBy.get(name) ?? []
  if (producers.some(isCollectingGroup)) return true
  const concept = context.concepts.get(name)
  if (!concept || producers.length > 0) return false
  const axes = concept.referenceAxisNames?.length
  return axes !== undefined && deepest(concept.referenceData, axes).some(leaf => isList(leaf) && leaf.length > 1)
}

// A grouping that gives every value its own axes and makes no new one ends in a single cell: the list of everything.
function isCollectingGroup(step: InferenceEntry): boolean {
  if (step.sequence !== 'grouping' || step.valueConcepts.length < 2) return false
  const syntax = asDict(step.workingInterpretation.get('syntax'))
  const axes = syntax.get('by_axes')
  const created = syntax.get('create_axis') ?? null
  return created === null && isList(axes) && isList(axes[0])
}

function deepest(data: Value, depth: number): readonly Value[] {
  if (depth === 0) return [data]
  return isList(data) ? data.flatMap(item => deepest(item, depth - 1)) : []
}

function placeOf(value: Value): number {
  return value instanceof PyFloat ? value.value : Number(value)
}

function asDict(value: Value | undefined): PyDict {
  return value instanceof PyDict ? value : new PyDict()
}
