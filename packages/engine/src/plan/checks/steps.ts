import { problemError, problemWarning } from '../problems.ts'
import { sequences, type InferenceEntry } from '../repositories.ts'
import { nearHint, stepPath, type CheckContext } from './context.ts'

/** Sequences, names and flow indices of the steps. */
export function checkSteps(context: CheckContext): void {
  const { plan, problems } = context
  for (const step of plan.inferences) {
    checkSequence(context, step)
    checkNames(context, step)
  }
  for (const [flowIndex, same] of Map.groupBy(plan.inferences, step => step.flowIndex)) {
    const [, second] = same
    if (!second) continue
    problems.push(
      problemWarning({
        code: 'step.duplicate_index',
        path: second.path,
        message: `${same.length} steps have the flow index ${flowIndex}; they share one status.`,
        hint: 'Give every step its own flow index.',
      }),
    )
  }
  if (plan.inferences.length === 0) {
    problems.push(
      problemError({
        code: 'plan.no_steps',
        path: plan.sources.inferences,
        message: 'The plan has no step.',
        hint: 'Compile the plan again; its inference repository is empty.',
      }),
    )
  }
}

function checkSequence(context: CheckContext, step: InferenceEntry): void {
  if (sequences.includes(step.sequence)) return
  const older = step.sequence === 'imperative' || step.sequence === 'judgement'
  context.problems.push(
    problemError({
      code: 'step.sequence',
      path: stepPath(context, step),
      message: older
        ? `"${step.sequence}" runs only with a paradigm in its working interpretation; this step has none.`
        : `No sequence is called "${step.sequence}".`,
      hint: older
        ? `Name a "paradigm", which makes it ${step.sequence}_in_composition.`
        : nearHint(context, step.sequence, {
            known: sequences,
            otherwise: `The sequences are ${sequences.join(', ')}.`,
          }),
    }),
  )
}

function checkNames(context: CheckContext, step: InferenceEntry): void {
  const roles: readonly (readonly [role: string, names: readonly string[]])[] = [
    ['concept to infer', [step.conceptToInfer]],
    ['function concept', step.functionConcept === null ? [] : [step.functionConcept]],
    ['value concept', step.valueConcepts],
    ['context concept', step.contextConcepts],
  ]
  for (const [role, names] of roles) {
    for (const name of new Set(names)) {
      if (context.concepts.has(name)) continue
      context.problems.push(
        problemError({
          code: 'concept.unknown',
          path: stepPath(context, step),
          message: `The ${role} ${name} is not in the concept repository.`,
          hint: nearHint(context, name, {
            known: context.concepts.keys(),
            otherwise: 'Add it to the concept repository, or correct the name.',
          }),
        }),
      )
    }
  }
}
