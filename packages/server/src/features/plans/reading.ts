import { builtInParadigms } from '@slipway/engine/paradigm/built-in/paradigms'
import { loadParadigms } from '@slipway/engine/paradigm/load'
import { checkPlan } from '@slipway/engine/plan/check'
import type { Dialect } from '@slipway/engine/plan/dialect'
import type { PlanFiles } from '@slipway/engine/plan/files'
import { loadPlan, type LoadedPlan } from '@slipway/engine/plan/manifest'
import { AppError } from '@slipway/protocol/errors'
import type { PlanProblem } from '@slipway/protocol/plans'

export interface CheckedPlan {
  readonly plan: LoadedPlan
  /** Warnings only. */
  readonly problems: readonly PlanProblem[]
}

export interface ReadingOptions {
  readonly defaultDialect: Dialect
  /** The Python packages of a list that scripts cannot use here. */
  readonly missingPackages: (requirements: readonly string[]) => Promise<readonly string[]>
  /** What other parts of the server warn of. */
  readonly warningsOf: (plan: LoadedPlan) => Promise<readonly PlanProblem[]>
}

/** Reads and checks a plan for the first time. Throws `plan.invalid` with all problems, and `plan.requirements`. */
export async function readNewPlan(files: PlanFiles, options: ReadingOptions): Promise<CheckedPlan> {
  const loaded = loadPlan(files, { defaultDialect: options.defaultDialect })
  if (!loaded.ok) throw invalid(loaded.problems)
  const { plan } = loaded
  const found = checkPlan(plan, { builtInParadigms: new Set(builtInParadigms.keys()) })
  const problems = [...loaded.problems, ...found, ...paradigmProblems(plan)]
  if (problems.some(problem => problem.severity === 'error')) throw invalid(problems)
  const missing = plan.pythonRequirements.length === 0 ? [] : await options.missingPackages(plan.pythonRequirements)
  if (missing.length > 0) {
    throw new AppError(
      'plan.requirements',
      `The plan's scripts need Python packages that this server does not have: ${missing.join(', ')}. ` +
        'Take them out of python_requirements.txt and the scripts, or use a sandbox that has them.',
      { details: { missing } },
    )
  }
  return { plan, problems: [...problems, ...(await options.warningsOf(plan))] }
}

/** Reads a plan that was checked when it was deployed. */
export function readDeployedPlan(files: PlanFiles, dialect: Dialect): LoadedPlan {
  const loaded = loadPlan(files, { defaultDialect: dialect })
  if (!loaded.ok) throw invalid(loaded.problems)
  return loaded.plan
}

const mostListed = 200

function invalid(problems: readonly PlanProblem[]): AppError {
  const errors = problems.filter(problem => problem.severity === 'error')
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  const said = first ? ` ${first.path === '' ? '' : `${first.path}: `}${first.message} ${first.hint}` : ''
  return new AppError('plan.invalid', `The plan cannot be used.${said}${more}`, {
    details: { problems: problems.slice(0, mostListed) },
  })
}

/** Paradigms that steps name and the engine cannot read: a run would only fail at that step. */
function paradigmProblems(plan: LoadedPlan): PlanProblem[] {
  const paradigms = loadParadigms(plan.paradigms)
  const named = new Map(
    plan.inferences.flatMap(step => {
      const name = step.workingInterpretation.get('paradigm')
      return typeof name === 'string' && plan.paradigms.has(name) ? [[name, step.flowIndex] as const] : []
    }),
  )
  return [...named].flatMap(([name, flowIndex]) => {
    const paradigm = paradigms.get(name)
    if (!(paradigm instanceof Error)) return []
    const folder = plan.provisionDirs.get('paradigms')
    return [
      {
        severity: 'error' as const,
        code: 'paradigm.invalid',
        path: `${folder === undefined || folder === '' ? '' : `${folder}/`}${name}.json`,
        message: `The paradigm of step ${flowIndex} cannot be used: ${paradigm.message}`,
        hint: 'Correct the paradigm, or name another one in the step.',
      },
    ]
  })
}
