import { parseJson } from '@slipway/kit/json'
import { textOf } from '@slipway/engine/plan/files'
import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import { prepareProgram, type Program } from '@slipway/engine/run/program'
import { agentFor, agentsOfPlan, serverAgentFor, type Models } from '#features/models/models'

/** What every run of a plan shares. */
export interface PreparedPlan {
  readonly program: Program
  /** Every flow index once, in file order. */
  readonly flowIndexes: readonly string[]
  /** The concept that the step of a flow index infers. */
  readonly conceptOf: (flowIndex: string) => string
  /** The server's agent that the plan's own rules give a step to; null where they give none. */
  readonly agentOf: (flowIndex: string) => string | null
}

const prepared = new WeakMap<LoadedPlan, PreparedPlan>()

/** Builds a plan's program once, however many runs it has. */
export function preparedPlan(plan: LoadedPlan, models: Models): PreparedPlan {
  const known = prepared.get(plan)
  if (known) return known
  const steps = new Map(plan.inferences.map(inference => [inference.flowIndex, inference]))
  const result: PreparedPlan = {
    program: prepareProgram(plan),
    flowIndexes: [...steps.keys()],
    conceptOf: flowIndex => steps.get(flowIndex)?.conceptToInfer ?? '',
    agentOf: agentRule(plan, models),
  }
  prepared.set(plan, result)
  return result
}

// The plan's rules choose among the plan's agents; which of the server's stands for one is looked up by id or model.
function agentRule(plan: LoadedPlan, models: Models): (flowIndex: string) => string | null {
  const text = plan.agentConfig && textOf(plan.files, plan.agentConfig.path)
  if (text === null) return () => null
  const agents = agentsOfPlan(parseJson(text))
  const steps = new Map(plan.inferences.map(inference => [inference.flowIndex, inference]))
  const chosen = new Map<string, string | null>()
  for (const [flowIndex, { conceptToInfer, sequence }] of steps) {
    const id = agentFor({ flowIndex, conceptName: conceptToInfer, sequence }, agents)
    const agent = agents.agents.find(candidate => candidate.id === id)
    chosen.set(flowIndex, agent ? serverAgentFor(agent, models) : null)
  }
  return flowIndex => chosen.get(flowIndex) ?? null
}
