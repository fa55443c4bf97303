import { isList, PyDict, type Value } from '../value/value.ts'
import { Fields, pointer, readJsonText, type Reporting } from './fields.ts'
import { textOf, type PlanFiles } from './files.ts'
import { problemWarning } from './problems.ts'

/** What a plan's `.agent.json` says. */
export interface AgentConfig {
  readonly defaultAgent: string | null
  readonly agents: readonly PlanAgent[]
  readonly mappings: readonly AgentMapping[]
  readonly path: string
}

export interface PlanAgent {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly model: string | null
  readonly paradigmDir: string | null
  readonly fileSystem: { readonly enabled: boolean; readonly baseDir: string | null }
  readonly python: { readonly enabled: boolean; readonly timeoutSeconds: number | null }
  readonly userInput: { readonly enabled: boolean; readonly mode: string }
}

/** Which agent runs a step: the highest priority whose pattern, a regular expression, matches from the start. */
export interface AgentMapping {
  readonly matchType: string
  readonly pattern: string
  readonly agentId: string
  readonly priority: number
}

export function readAgentConfig(files: PlanFiles, at: Reporting): AgentConfig | null {
  const text = textOf(files, at.path)
  if (text === null) {
    at.problems.push(
      problemWarning({
        code: 'agent.file_missing',
        path: at.path,
        message: 'The agent configuration that the plan names is not in the package.',
        hint: "Add the file, or leave it out and run with the server's agents.",
      }),
    )
    return null
  }
  const value = readJsonText(text, at)
  if (!(value instanceof PyDict)) return null
  const fields = new Fields(value, at)
  return {
    defaultAgent: fields.text('default_agent'),
    agents: dictsIn(fields.value('agents')).map((dict, n) => agentOf(dict, under(at, 'agents', n))),
    mappings: dictsIn(fields.value('mappings')).map((dict, n) => mappingOf(dict, under(at, 'mappings', n))),
    path: at.path,
  }
}

function agentOf(dict: PyDict, at: Reporting): PlanAgent {
  const fields = new Fields(dict, at)
  const tools = fields.dict('tools') ?? new PyDict()
  const tool = (name: string): Fields => {
    const place = { path: pointer(pointer(at.path, 'tools'), name), problems: at.problems }
    return new Fields(new Fields(tools, at).dict(name) ?? new PyDict(), place)
  }
  const [llm, fileSystem, python, userInput] = [
    tool('llm'),
    tool('file_system'),
    tool('python_interpreter'),
    tool('user_input'),
  ]
  const id = fields.text('id') ?? 'default'
  return {
    id,
    name: fields.text('name') ?? id,
    description: fields.text('description') ?? '',
    model: llm.text('model'),
    paradigmDir: tool('paradigm').text('dir'),
    fileSystem: { enabled: fileSystem.flag('enabled', true), baseDir: fileSystem.text('base_dir') },
    python: { enabled: python.flag('enabled', true), timeoutSeconds: python.integer('timeout') },
    userInput: { enabled: userInput.flag('enabled', true), mode: userInput.text('mode') ?? 'blocking' },
  }
}

function mappingOf(dict: PyDict, at: Reporting): AgentMapping {
  const fields = new Fields(dict, at)
  return {
    matchType: fields.text('match_type') ?? 'flow_index',
    pattern: fields.text('pattern') ?? '',
    agentId: fields.text('agent_id') ?? '',
    priority: fields.integer('priority') ?? 0,
  }
}

function under(at: Reporting, list: string, position: number): Reporting {
  return { path: pointer(pointer(at.path, list), position), problems: at.problems }
}

function dictsIn(value: Value): PyDict[] {
  return isList(value) ? value.filter(item => item instanceof PyDict) : []
}
