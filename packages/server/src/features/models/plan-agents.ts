import type { AgentConfig, AgentMapping, MatchType, PlanAgent } from '@slipway/engine/plan/agents'
import { problemWarning, type Problem } from '@slipway/engine/plan/problems'
import type { Models } from './models.ts'
import type { Pattern } from './patterns.ts'

export interface StepIdentity {
  readonly flowIndex: string
  readonly conceptName: string
  readonly sequence: string
}

/** Who a plan's agent file gives a step to. */
export interface StepAgent {
  /** The agent as the plan describes it. */
  readonly described: PlanAgent
  /** The server's agent that answers the step's prompts; null where no agent of the server stands for the plan's. */
  readonly answeredBy: string | null
}

/**
 * The agent of each step: that of the matching rule with the highest priority, the first of equals, else the plan's
 * default; null where the plan has none. Rules whose pattern cannot be used match nothing.
 */
export async function stepAgents(
  config: AgentConfig | null,
  models: Pick<Models, 'agents' | 'has'>,
): Promise<(step: StepIdentity) => StepAgent | null> {
  if (config === null) return () => null
  const rules = (await compiled(config)).toSorted((one, other) => other.mapping.priority - one.mapping.priority)
  const agents = new Map(
    config.agents.map(agent => [agent.id, { described: agent, answeredBy: serverAgentFor(agent, models) }]),
  )
  return step => {
    const rule = rules.find(({ mapping, pattern }) => pattern.ok && pattern.matches(subjectOf(step, mapping.matchType)))
    const id = rule?.mapping.agentId ?? config.defaultAgent
    return (id === null ? undefined : agents.get(id)) ?? null
  }
}

/** A warning for each rule of a plan whose pattern cannot be used. */
export async function agentProblems(config: AgentConfig | null): Promise<Problem[]> {
  const rules = config === null ? [] : await compiled(config)
  return rules.flatMap(({ mapping, pattern }) => {
    if (pattern.ok) return []
    return [
      problemWarning({
        code: 'agent.pattern',
        path: `${mapping.path}/pattern`,
        message: `The pattern matches no step: ${pattern.because}.`,
        hint: 'Write a simpler one, such as 1\\.2(\\.|$) for step 1.2 and everything below it.',
      }),
    ]
  })
}

/**
 * The configured agent that stands for a plan's agent: the one named like its id, else the one named like the model it
 * wishes, else the first that uses that model.
 */
function serverAgentFor(
  wanted: Pick<PlanAgent, 'id' | 'model'>,
  models: Pick<Models, 'agents' | 'has'>,
): string | null {
  if (models.has(wanted.id)) return wanted.id
  if (wanted.model === null) return null
  if (models.has(wanted.model)) return wanted.model
  return models.agents().find(agent => agent.model === wanted.model)?.name ?? null
}

interface CompiledRule {
  readonly mapping: AgentMapping
  readonly pattern: Pattern
}

async function compiled({ mappings }: AgentConfig): Promise<CompiledRule[]> {
  if (mappings.length === 0) return []
  const { compilePatterns } = await import('./patterns.ts')
  const patterns = compilePatterns(mappings.map(mapping => mapping.pattern))
  return mappings.flatMap((mapping, at) => {
    const pattern = patterns[at]
    return pattern === undefined ? [] : [{ mapping, pattern }]
  })
}

function subjectOf(step: StepIdentity, type: MatchType): string {
  switch (type) {
    case 'flow_index':
      return step.flowIndex
    case 'concept_name':
      return step.conceptName
    case 'sequence_type':
      return step.sequence
  }
}
