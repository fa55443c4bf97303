import { AppError } from '@slipway/protocol/errors'
import { RE2JS } from 're2js'
import { z } from 'zod'
import type { Models } from './models.ts'

/** An agent as a plan describes it: which tools its steps have. Which model answers is the server's to decide. */
export interface PlanAgent {
  readonly id: string
  readonly name: string
  /** A wish: the name of a server agent or of a model that one of them uses. */
  readonly model: string | null
  readonly paradigmFolder: string | null
  readonly fileSystem: { readonly enabled: boolean; readonly baseFolder: string | null }
  readonly python: { readonly enabled: boolean; readonly timeoutSeconds: number | null }
  readonly userInput: { readonly enabled: boolean; readonly mode: 'blocking' | 'async' | 'disabled' }
}

export type MatchType = 'flow_index' | 'concept_name' | 'sequence_type'

/**
 * A rule that gives steps to an agent. `matches` looks at the start of a text of at most 500 characters,
 * like Python's `re.match`.
 */
export interface PlanMapping {
  readonly matchType: MatchType
  readonly pattern: string
  readonly agentId: string
  readonly priority: number
  matches(text: string): boolean
}

export interface PlanAgents {
  readonly defaultAgent: string | null
  readonly agents: readonly PlanAgent[]
  readonly mappings: readonly PlanMapping[]
  /** Places in the file that were left out of account, for whoever deploys the plan. */
  readonly ignored: readonly string[]
}

export interface StepIdentity {
  readonly flowIndex: string
  readonly conceptName: string
  readonly sequence: string
}

/** Patterns come from strangers: they run in time linear in text and program, and both have limits besides. */
const limits = {
  agents: 100,
  mappings: 100,
  patternLength: 500,
  programSize: 1000,
  subjectLength: 500,
  refusals: 5,
} as const

const Id = z.string().min(1).max(200)
const Enabled = z.boolean().default(true)

const Tools = z.looseObject({
  llm: z.looseObject({ model: z.string().max(200).nullish() }).nullish(),
  paradigm: z.looseObject({ dir: z.string().max(1000).nullish() }).nullish(),
  file_system: z.looseObject({ enabled: Enabled, base_dir: z.string().max(1000).nullish() }).nullish(),
  python_interpreter: z.looseObject({ enabled: Enabled, timeout: z.number().positive().nullish() }).nullish(),
  user_input: z
    .looseObject({ enabled: Enabled, mode: z.enum(['blocking', 'async', 'disabled']).default('blocking') })
    .nullish(),
})

/** What an agent may use when its file says nothing about the tool. */
const unsaid: Pick<PlanAgent, 'fileSystem' | 'python' | 'userInput'> = {
  fileSystem: { enabled: true, baseFolder: null },
  python: { enabled: true, timeoutSeconds: null },
  userInput: { enabled: true, mode: 'blocking' },
}

const AgentFile = z.looseObject({
  default_agent: Id.nullish(),
  agents: z
    .array(z.looseObject({ id: Id, name: z.string().max(200).nullish(), tools: Tools.nullish() }))
    .max(limits.agents)
    .default([]),
  mappings: z
    .array(
      z.looseObject({
        match_type: z.enum(['flow_index', 'concept_name', 'sequence_type']),
        pattern: z.string().max(limits.patternLength),
        agent_id: Id,
        priority: z.number().default(0),
      }),
    )
    .max(limits.mappings)
    .default([]),
  llm_providers: z.unknown().optional(),
})
type AgentFile = z.infer<typeof AgentFile>

/** Settings that would send a prompt or a key to an address of the plan's choice. */
const addressKeys = ['base_url', 'api_base', 'api_key', 'api_key_env', 'provider', 'headers']

/**
 * Reads a plan's `.agent.json`, already parsed from JSON. Key variables, addresses and providers in it are ignored and
 * listed in `ignored`: a plan that could name them could have a key sent to its author. Throws `plan.invalid` with
 * `details: {problems: [{path, message}]}` that lists everything wrong at once.
 */
export function agentsOfPlan(json: unknown): PlanAgents {
  const read = AgentFile.safeParse(json)
  if (!read.success) {
    throw invalid(read.error.issues.map(issue => ({ path: issue.path.map(String).join('.'), message: issue.message })))
  }
  const file = read.data
  const problems: Problem[] = []
  const ids = new Set(file.agents.map(agent => agent.id))
  const known = (id: string, path: string): void => {
    if (!ids.has(id)) problems.push({ path, message: `there is no agent with the id ${JSON.stringify(id)}` })
  }
  if (file.default_agent != null && ids.size > 0) known(file.default_agent, 'default_agent')
  if (ids.size < file.agents.length) problems.push({ path: 'agents', message: 'two agents have the same id' })
  let refused = 0
  const mappings = file.mappings.flatMap((mapping, at) => {
    known(mapping.agent_id, `mappings.${at}.agent_id`)
    // Compiling a pattern only to refuse it costs up to a tenth of a second: a few are enough to make the point.
    if (refused >= limits.refusals) return []
    const compiled = compile(mapping.pattern)
    if (compiled instanceof RE2JS) return [mappingOf(mapping, compiled)]
    refused += 1
    problems.push({ path: `mappings.${at}.pattern`, message: compiled.message })
    return []
  })
  if (problems.length > 0) throw invalid(problems)
  return {
    defaultAgent: file.default_agent ?? file.agents[0]?.id ?? null,
    agents: file.agents.map(agentOf),
    mappings,
    ignored: ignoredOf(file),
  }
}

/**
 * The id of the plan's agent for a step: the explicit one by flow index, else the matching rule with the highest
 * priority (the first of equals), else the plan's default. `null` where the plan names none.
 */
export function agentFor(
  step: StepIdentity,
  plan: Pick<PlanAgents, 'mappings' | 'defaultAgent'>,
  options: { readonly explicit?: ReadonlyMap<string, string> | undefined } = {},
): string | null {
  const explicit = options.explicit?.get(step.flowIndex)
  if (explicit !== undefined) return explicit
  let best: PlanMapping | undefined
  for (const mapping of plan.mappings) {
    if (best !== undefined && mapping.priority <= best.priority) continue
    if (mapping.matches(subjectOf(step, mapping.matchType))) best = mapping
  }
  return best?.agentId ?? plan.defaultAgent
}

/**
 * The configured agent that stands for a plan's agent: the one named like its id, else the one named like the model it
 * wishes, else the first that uses that model. `null` where there is none; what then is for the caller to say.
 */
export function serverAgentFor(
  wanted: { readonly id: string; readonly model: string | null },
  models: Pick<Models, 'agents' | 'has'>,
): string | null {
  if (models.has(wanted.id)) return wanted.id
  if (wanted.model === null) return null
  if (models.has(wanted.model)) return wanted.model
  return models.agents().find(agent => agent.model === wanted.model)?.name ?? null
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

function agentOf(agent: AgentFile['agents'][number]): PlanAgent {
  const { llm, paradigm, file_system: files, python_interpreter: python, user_input: input } = agent.tools ?? {}
  return {
    id: agent.id,
    name: agent.name ?? agent.id,
    model: llm?.model ?? null,
    paradigmFolder: paradigm?.dir ?? null,
    fileSystem: files == null ? unsaid.fileSystem : { enabled: files.enabled, baseFolder: files.base_dir ?? null },
    python: python == null ? unsaid.python : { enabled: python.enabled, timeoutSeconds: python.timeout ?? null },
    userInput: input == null ? unsaid.userInput : { enabled: input.enabled, mode: input.mode },
  }
}

function mappingOf(mapping: AgentFile['mappings'][number], pattern: RE2JS): PlanMapping {
  return {
    matchType: mapping.match_type,
    pattern: mapping.pattern,
    agentId: mapping.agent_id,
    priority: mapping.priority,
    matches: text => text.length <= limits.subjectLength && pattern.matcher(text).lookingAt(),
  }
}

function compile(pattern: string): RE2JS | { readonly message: string } {
  try {
    const compiled = RE2JS.compile(pattern)
    if (compiled.programSize() <= limits.programSize) return compiled
    return { message: 'the pattern repeats too much; use smaller counts' }
  } catch {
    return {
      message:
        'this is no regular expression that runs in linear time; look-around and back-references are not allowed',
    }
  }
}

function ignoredOf(file: AgentFile): string[] {
  const ignored = file.agents.flatMap((agent, at) => {
    const llm = agent.tools?.llm ?? {}
    return addressKeys.filter(key => key in llm).map(key => `agents.${at}.tools.llm.${key}`)
  })
  const providers: unknown = file['llm_providers']
  if (Array.isArray(providers) && providers.length > 0) ignored.push('llm_providers')
  return ignored
}

interface Problem {
  readonly path: string
  readonly message: string
}

function invalid(problems: readonly Problem[]): AppError {
  const list = problems.map(problem => `${problem.path || 'file'}: ${problem.message}`).join('; ')
  return new AppError('plan.invalid', `The plan's agent file can not be used: ${list}`, { details: { problems } })
}
