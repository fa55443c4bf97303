import { checkConcepts } from './checks/concepts.ts'
import type { CheckContext } from './checks/context.ts'
import { checkInterpretations } from './checks/interpretations.ts'
import { checkProvisions } from './checks/provisions.ts'
import { checkReadiness } from './checks/readiness.ts'
import { checkSteps } from './checks/steps.ts'
import { conceptsByName, type LoadedPlan } from './manifest.ts'
import type { Problem } from './problems.ts'

export interface CheckOptions {
  /** Names of the paradigms that the engine brings; the plan's own are found in the plan. */
  readonly builtInParadigms?: ReadonlySet<string>
  /** Normalised names of the Python packages that scripts can use; without it requirements are not checked. */
  readonly pythonPackages?: ReadonlySet<string>
}

const mostComparisons = 20_000

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
  checkConcepts(context)
  checkSteps(context)
  checkInterpretations(context)
  checkReadiness(context)
  checkProvisions(context)
  const errors = problems.filter(problem => problem.severity === 'error')
  return [...errors, ...problems.filter(problem => problem.severity === 'warning')]
}
