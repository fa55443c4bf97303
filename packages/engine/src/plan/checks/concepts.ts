import { shapeOf } from '../../reference/construct.ts'
import { requireCells, weigh } from '../../value/limits.ts'
import { isList, PyError, type Value } from '../../value/value.ts'
import { problemError, problemWarning } from '../problems.ts'
import { conceptTypes, type ConceptEntry } from '../repositories.ts'
import { nearHint, type CheckContext } from './context.ts'

/** Types, names, axes and data of the concepts. */
export function checkConcepts(context: CheckContext): void {
  const { plan, problems } = context
  for (const concept of plan.concepts) {
    checkType(context, concept)
    checkAxes(context, concept)
    checkSize(context, concept)
  }
  for (const [name, same] of Map.groupBy(plan.concepts, concept => concept.conceptName)) {
    const [, second] = same
    if (!second) continue
    problems.push(
      problemWarning({
        code: 'concept.duplicate',
        path: second.path,
        message: `${name} stands in the concept repository ${same.length} times; the last one counts.`,
        hint: 'Keep one of the entries.',
      }),
    )
  }
  if (!plan.concepts.some(concept => concept.isFinal)) {
    problems.push(
      problemWarning({
        code: 'plan.no_final',
        path: plan.sources.concepts,
        message: 'No concept is final, so a run has no result to show.',
        hint: 'Mark the answer with "is_final_concept": true.',
      }),
    )
  }
  checkInputs(context)
}

function checkType(context: CheckContext, concept: ConceptEntry): void {
  if (conceptTypes.has(concept.type)) return
  context.problems.push(
    problemError({
      code: 'concept.type',
      path: `${concept.path}/type`,
      message:
        concept.type === ''
          ? `${concept.conceptName} has no type.`
          : `${concept.conceptName} has the unknown type "${concept.type}".`,
      hint: nearHint(context, concept.type, {
        known: conceptTypes,
        otherwise: 'Values are {}, [] or <>; steps are ({}) or <{}>; operators such as $. or &[#] name themselves.',
      }),
    }),
  )
}

function checkAxes({ plan, problems }: CheckContext, concept: ConceptEntry): void {
  const input = plan.defaultInputs.get(concept.conceptName)
  const data = input ? input.data : concept.referenceData
  const axes = input ? input.axes : concept.referenceAxisNames
  if (axes === null) return
  const repeated = axes.find((axis, at) => axes.indexOf(axis) < at)
  if (repeated !== undefined) {
    problems.push(
      problemError({
        code: 'concept.axes',
        path: `${concept.path}/reference_axis_names`,
        message: `${concept.conceptName} has the axis "${repeated}" twice.`,
        hint: 'Give every axis its own name.',
      }),
    )
    return
  }
  const dimensions = data === null ? axes.length : depthOf(isList(data) ? data : [data])
  if (axes.length <= dimensions) return
  problems.push(
    problemError({
      code: 'concept.axes',
      path: `${concept.path}/reference_axis_names`,
      message: `${concept.conceptName} has ${axes.length} axis names for data of ${dimensions} dimensions.`,
      hint: 'Nest the data in as many lists as there are names, or remove names.',
    }),
  )
}

function checkSize({ plan, problems }: CheckContext, concept: ConceptEntry): void {
  const input = plan.defaultInputs.get(concept.conceptName)
  const data = input ? input.data : concept.referenceData
  const axes = input ? input.axes : concept.referenceAxisNames
  if (!isList(data)) return
  try {
    weigh(data)
    const shape = shapeOf(data)
    requireCells(axes === null || axes.length === 0 ? shape : shape.slice(0, axes.length))
  } catch (error) {
    if (!(error instanceof PyError)) throw error
    problems.push(
      problemError({
        code: 'concept.too_large',
        path: `${concept.path}/reference_data`,
        message: `The data of ${concept.conceptName} cannot be used: ${error.message}`,
        hint: 'Put large data into a file of the package and name it in a sign.',
      }),
    )
  }
}

function checkInputs(context: CheckContext): void {
  const { plan, problems } = context
  if (plan.sources.manifest === null || plan.inputs.length === 0) return
  const declared = plan.inputs.filter(input => input.required)
  for (const input of declared) {
    const concept = context.concepts.get(input.name)
    if (!concept || concept.isGround || !context.inferredBy.has(input.name)) continue
    problems.push(
      problemWarning({
        code: 'input.inferred',
        path: concept.path,
        message: `${input.name} is declared as an input, but a step infers it as well.`,
        hint: 'Declare only what is given from outside.',
      }),
    )
  }
}

function depthOf(data: Value): number {
  if (!isList(data)) return 0
  return 1 + data.reduce<number>((deepest, item) => Math.max(deepest, depthOf(item)), 0)
}
