import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import { prepareProgram, type Program } from '@slipway/engine/run/program'
import { stepAgents, type Models, type StepAgent } from '#features/models/models'

/** What every run of a plan shares. */
export interface PreparedPlan {
  readonly program: Program
  /** Every flow index once, in file order. */
  readonly flowIndexes: readonly string[]
  /** The concept that the step of a flow index infers. */
  readonly conceptOf: (flowIndex: string) => string
  /** Who the plan's own rules give the step to; null where they give it to nobody. */
  readonly agentOf: (flowIndex: string) => StepAgent | null
  /**
   * Whether the calls of a step may be made again when a crash leaves it open whether they were made. A step says no
   * with `"not_repeatable": true` in its working interpretation.
   */
  readonly mayRepeat: (flowIndex: string) => boolean
}

const prepared = new WeakMap<LoadedPlan, Promise<PreparedPlan>>()

/** Builds a plan's program once, however many runs it has. */
export function preparedPlan(plan: LoadedPlan, models: Models): Promise<PreparedPlan> {
  const known = prepared.get(plan)
  if (known) return known
  const result = prepare(plan, models)
  prepared.set(plan, result)
  return result
}

async function prepare(plan: LoadedPlan, models: Models): Promise<PreparedPlan> {
  const agentOf = await stepAgents(plan.agentConfig, models)
  const steps = new Map(
    plan.inferences.map(({ flowIndex, conceptToInfer: conceptName, sequence, workingInterpretation }) => {
      const step = { flowIndex, conceptName, sequence }
      const mayRepeat = workingInterpretation.get('not_repeatable') !== true
      return [flowIndex, { conceptName, agent: agentOf(step), mayRepeat }]
    }),
  )
  return {
    program: prepareProgram(plan),
    flowIndexes: [...steps.keys()],
    conceptOf: flowIndex => steps.get(flowIndex)?.conceptName ?? '',
    agentOf: flowIndex => steps.get(flowIndex)?.agent ?? null,
    mayRepeat: flowIndex => steps.get(flowIndex)?.mayRepeat ?? true,
  }
}
