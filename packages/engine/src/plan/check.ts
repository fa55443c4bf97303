import { checkConcepts } from './checks/concepts.ts'
import type { CheckContext } from './checks/context.ts'
import { checkInterpretations } from './checks/interpretations.ts'
import { checkProvisions } from './checks/provisions.ts'
import { checkReadiness } from './checks/readiness.ts'
import { checkSteps } from './checks/steps.ts'
import { conceptsByName, type LoadedPlan } from './manifest.ts'
import { problemError, type Problem } from './problems.ts'

export interface CheckOptions {
  /** Names of the paradigms that the engine brings; the plan's own are found in the plan. */
  readonly builtInParadigms?: ReadonlySet<string>
  /** Normalised names of the Python packages that scripts can use; without it requirements are not checked. */
  readonly pythonPackages?: ReadonlySet<string>
}

const mostComparisons = 20_000

/** Every decision of a run looks at all steps, so these are what still keeps a run going at a good pace. */
const most = { concepts: 50_000, steps: 10_000, valuesOfStep: 1_000 } as const

function isTooLarge({ plan, problems }: CheckContext): boolean {
  const crowded = plan.inferences.find(step => step.valueConcepts.length > most.valuesOfStep)
  const tooLarge = (path: string, what: string): void => {
    problems.push(
      problemError({
        code: 'plan.too_large',
        path,
        message: `The plan has too many ${what}.`,
        hint: 'Split the plan into several, or let one step go over a list instead of repeating it.',
      }),
    )
  }
  if (plan.concepts.length > most.concepts) tooLarge(plan.sources.concepts, `concepts: the most are ${most.concepts}`)
  if (plan.inferences.length > most.steps) tooLarge(plan.sources.inferences, `steps: the most are ${most.steps}`)
  if (crowded) tooLarge(crowded.path, `values at one step: the most are ${most.valuesOfStep}`)
  return problems.length > 0
}

/** Everything that is wrong or doubtful about a loaded plan, errors first, in the order of the plan. */
export function checkPlan(plan: LoadedPlan, options: CheckOptions = {}): readonly Problem[] {
  const problems: Problem[] = []
  const context: CheckContext = {
    plan,
    concepts: conceptsByName(plan),
    inferredBy: Map.groupBy(plan.inferences, step => step.conceptToInfer),
    inputNames: new Set([...plan.inputs.map(input => input.name), ...plan.defaultInputs.keys()]),
    builtInParadigms: options.builtInParadigms ?? new Set(),
    pythonPackages: options.pythonPackages ?? null,
    problems,
    comparisons: { left: mostComparisons },
  }
  if (isTooLarge(context)) return problems
  checkConcepts(context)
  checkSteps(context)
  checkInterpretations(context)
  checkReadiness(context)
  checkProvisions(context)
  const errors = problems.filter(problem => problem.severity === 'error')
  return [...errors, ...problems.filter(problem => problem.severity === 'warning')]
}
