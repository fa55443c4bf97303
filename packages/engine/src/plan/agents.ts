import { isList, PyDict } from '../value/value.ts'
import { Fields, pointer, readJsonText, type Reporting } from './fields.ts'
import { textOf, type PlanFiles } from './files.ts'
import { didYouMean, problemError, problemWarning, type ProblemDetails } from './problems.ts'

/** What a plan's `.agent.json` says, as far as a server follows it. */
export interface AgentConfig {
  /** Runs the steps that no rule matches. Null only when there are no agents. */
  readonly defaultAgent: string | null
  /** Each id once. */
  readonly agents: readonly PlanAgent[]
  /** In file order; each names one of `agents`. */
  readonly mappings: readonly AgentMapping[]
  readonly path: string
}

/** An agent as a plan describes it: which tools its steps have. Which model answers is the server's to decide. */
export interface PlanAgent {
  readonly id: string
  readonly name: string
  readonly description: string
  /** A wish: the name of a server's agent, or of a model that one of them uses. */
  readonly model: string | null
  readonly paradigmDir: string | null
  readonly fileSystem: { readonly enabled: boolean }
  readonly python: { readonly enabled: boolean; readonly timeoutSeconds: number | null }
  readonly userInput: { readonly enabled: boolean }
}

const matchTypes = ['flow_index', 'concept_name', 'sequence_type'] as const
export type MatchType = (typeof matchTypes)[number]

/** Which agent runs a step: the highest priority whose pattern, a regular expression, matches from the start. */
export interface AgentMapping {
  readonly matchType: MatchType
  readonly pattern: string
  readonly agentId: string
  readonly priority: number
  /** Its JSON pointer, for problems. */
  readonly path: string
}

/** What goes beyond these is left out, with a warning. */
const limits = { agents: 100, mappings: 100, textLength: 500 } as const

/**
 * Reads a plan's agent file. Values of a wrong type are errors; what a run can do without, or must not follow, is left
 * out with a warning: unknown and repeated ids, rules that cannot match, and every setting that would send a prompt or
 * a key to an address of the plan's choice. No problem repeats the value of such a setting.
 */
export function readAgentConfig(files: PlanFiles, at: Reporting): AgentConfig | null {
  const text = textOf(files, at.path)
  if (text === null) {
    warn(at, {
      code: 'agent.file_missing',
      message: 'The agent configuration that the plan names is not in the package.',
      hint: "Add the file, or leave it out and run with the server's agents.",
    })
    return null
  }
  const value = readJsonText(text, at)
  if (value === undefined) return null
  if (!(value instanceof PyDict)) {
    const message = 'An agent configuration must be an object.'
    at.problems.push(
      problemError({ code: 'field.type', path: at.path, message, hint: 'Write {"agents": [...]}, or leave it out.' }),
    )
    return null
  }
  const fields = new Fields(value, at)
  const agents = listOf(fields, { key: 'agents', at, most: limits.agents })
  const known = new Map<string, PlanAgent>()
  for (const { dict, place } of agents) addAgent(known, agentOf(dict, place), place)
  const mappings = listOf(fields, { key: 'mappings', at, most: limits.mappings })
  warnOfProviders(fields, at)
  return {
    defaultAgent: defaultOf(fields, { known, at }),
    agents: [...known.values()],
    mappings: mappings.flatMap(({ dict, place }) => mappingOf(dict, { place, known }) ?? []),
    path: at.path,
  }
}

interface Listed {
  readonly dict: PyDict
  readonly place: Reporting
}

function listOf(fields: Fields, { key, at, most }: { key: string; at: Reporting; most: number }): Listed[] {
  const list = below(at, key)
  const dicts = fields.dicts(key)
  if (dicts.length > most) {
    warn(list, {
      code: 'agent.too_many',
      message: `There are ${dicts.length} ${key}; the first ${most} count.`,
      hint: `Leave ${most} or fewer.`,
    })
  }
  return dicts.slice(0, most).map((dict, position) => ({ dict, place: below(list, position) }))
}

function addAgent(known: Map<string, PlanAgent>, agent: PlanAgent, place: Reporting): void {
  if (!known.has(agent.id)) {
    known.set(agent.id, agent)
    return
  }
  warn(below(place, 'id'), {
    code: 'agent.duplicate',
    message: `There is another agent "${agent.id}" before this one, which counts for nothing.`,
    hint: 'Give each agent an id of its own.',
  })
}

function defaultOf(fields: Fields, { known, at }: { known: ReadonlyMap<string, PlanAgent>; at: Reporting }) {
  const written = fields.text('default_agent')
  const [first = null] = known.keys()
  if (written === null || known.has(written)) return written ?? first
  warnOfUnknown(written, { known, place: below(at, 'default_agent'), instead: first ?? "the run's own agent" })
  return first
}

function agentOf(dict: PyDict, at: Reporting): PlanAgent {
  const fields = new Fields(dict, at)
  const place = below(at, 'tools')
  const tools = new Fields(fields.dict('tools') ?? new PyDict(), place)
  const tool = (name: string): { own: Fields; place: Reporting } => {
    const inside = below(place, name)
    return { own: new Fields(tools.dict(name) ?? new PyDict(), inside), place: inside }
  }
  const [llm, fileSystem, python, userInput] = [
    tool('llm'),
    tool('file_system'),
    tool('python_interpreter'),
    tool('user_input'),
  ]
  warnOfAddresses(llm.own, llm.place)
  warnOfBaseDir(fileSystem.own, fileSystem.place)
  const id = shortText(fields, { key: 'id', at }) ?? 'default'
  return {
    id,
    name: fields.text('name') ?? id,
    description: fields.text('description') ?? '',
    model: shortText(llm.own, { key: 'model', at: llm.place }),
    paradigmDir: tool('paradigm').own.text('dir'),
    fileSystem: { enabled: fileSystem.own.flag('enabled', true) },
    python: { enabled: python.own.flag('enabled', true), timeoutSeconds: timeoutOf(python.own, python.place) },
    userInput: { enabled: userInput.own.flag('enabled', true) && isAsking(userInput.own, userInput.place) },
  }
}

function mappingOf(
  dict: PyDict,
  { place, known }: { place: Reporting; known: ReadonlyMap<string, PlanAgent> },
): AgentMapping | null {
  const fields = new Fields(dict, place)
  const written = fields.text('match_type') ?? 'flow_index'
  const matchType = matchTypes.find(type => type === written)
  const pattern = shortText(fields, { key: 'pattern', at: place })
  const agentId = fields.text('agent_id') ?? ''
  const priority = fields.number('priority') ?? 0
  if (matchType === undefined) {
    warn(below(place, 'match_type'), {
      code: 'agent.match_type',
      message: `Rules cannot match by "${short(written)}"; this one is left out.`,
      hint: didYouMean(written, { known: matchTypes, otherwise: `Write ${matchTypes.join(', or ')}.` }),
    })
    return null
  }
  if (pattern === null) {
    if (!fields.has('pattern')) {
      warn(place, {
        code: 'agent.pattern',
        message: 'The rule has no pattern and is left out.',
        hint: 'Add a "pattern"; ".*" matches every step.',
      })
    }
    return null
  }
  if (!known.has(agentId)) {
    warnOfUnknown(agentId, { known, place: below(place, 'agent_id'), instead: null })
    return null
  }
  return { matchType, pattern, agentId, priority, path: place.path }
}

function timeoutOf(python: Fields, at: Reporting): number | null {
  const seconds = python.number('timeout')
  if (seconds === null || seconds > 0) return seconds
  warn(below(at, 'timeout'), {
    code: 'agent.setting',
    message: 'A time limit must be more than 0 seconds; this one is left out.',
    hint: "Write the seconds that a script may take, or leave it to the server's limit.",
  })
  return null
}

// A question never holds up other steps, so there is nothing to choose between `blocking` and `async`.
function isAsking(userInput: Fields, at: Reporting): boolean {
  const mode = userInput.text('mode') ?? 'blocking'
  if (!['blocking', 'async', 'disabled'].includes(mode)) {
    warn(below(at, 'mode'), {
      code: 'agent.setting',
      message: `There is no mode "${short(mode)}" of asking people; questions are asked.`,
      hint: 'Write blocking, async or disabled.',
    })
  }
  return mode !== 'disabled'
}

/** Settings that would send a prompt or a key to an address of the plan's choice. */
const addressKeys = ['base_url', 'api_base', 'api_key', 'api_key_env', 'provider', 'headers']

function warnOfAddresses(llm: Fields, at: Reporting): void {
  for (const key of addressKeys.filter(name => llm.value(name) !== null)) warnOfAddress(below(at, key), key)
}

function warnOfProviders(fields: Fields, at: Reporting): void {
  const providers = fields.value('llm_providers')
  if (providers === null || (isList(providers) && providers.length === 0)) return
  warnOfAddress(below(at, 'llm_providers'), 'llm_providers')
}

function warnOfAddress(place: Reporting, key: string): void {
  warn(place, {
    code: 'agent.ignored',
    message: `"${key}" is ignored: addresses and keys of models belong to the server.`,
    hint: 'Leave it out, and set the model up in the agents.yaml of the server.',
  })
}

function warnOfBaseDir(fileSystem: Fields, at: Reporting): void {
  if (fileSystem.text('base_dir') === null) return
  warn(below(at, 'base_dir'), {
    code: 'agent.ignored',
    message: `"base_dir" is ignored: steps read and write in the folder of their own run.`,
    hint: 'Leave it out, and bring files along in the package or as inputs.',
  })
}

interface Unknown {
  readonly known: ReadonlyMap<string, PlanAgent>
  readonly place: Reporting
  /** The agent that is taken instead; null for a rule, which is left out. */
  readonly instead: string | null
}

function warnOfUnknown(id: string, { known, place, instead }: Unknown): void {
  const then = instead === null ? 'the rule is left out' : `${instead} is taken instead`
  warn(place, {
    code: 'agent.unknown',
    message: `The file describes no agent "${short(id)}"; ${then}.`,
    hint: didYouMean(id, { known: known.keys(), otherwise: 'Add it to "agents", or name one that is there.' }),
  })
}

/** Text of at most `limits.textLength`; longer text is left out. */
function shortText(fields: Fields, { key, at }: { key: string; at: Reporting }): string | null {
  const text = fields.text(key)
  if (text === null || text.length <= limits.textLength) return text
  warn(below(at, key), {
    code: 'agent.too_long',
    message: `"${key}" has ${text.length} characters and is left out.`,
    hint: `Write at most ${limits.textLength} characters.`,
  })
  return null
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function below(at: Reporting, token: string | number): Reporting {
  return { path: pointer(at.path, token), problems: at.problems }
}

function warn(at: Reporting, details: Omit<ProblemDetails, 'path'>): void {
  at.problems.push(problemWarning({ ...details, path: at.path }))
}
