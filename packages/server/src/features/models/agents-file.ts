import { AppError } from '@slipway/protocol/errors'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import {
  demoAgent,
  demoAgentName,
  providerNames,
  type AgentConfig,
  type ModelsConfig,
  type ProviderName,
} from './agents.ts'

/** Where each provider is unless `base_url` says otherwise; `null` where the adapter knows or there is no address. */
const homes: Readonly<Record<ProviderName, { readonly baseUrl: string | null; readonly key: boolean }>> = {
  demo: { baseUrl: null, key: false },
  openai: { baseUrl: 'https://api.openai.com/v1', key: true },
  dashscope: { baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1', key: true },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', key: false },
  'openai-compatible': { baseUrl: null, key: false },
  anthropic: { baseUrl: null, key: true },
}

const maxFileLength = 1_000_000
/** Node's own HTTP client gives up on an answer's first byte after five minutes. */
const longestTimeoutMs = 300_000

const AgentEntry = z
  .strictObject({
    provider: z.enum(providerNames, `must be one of ${providerNames.join(', ')}`),
    model: z.string('must be the name of a model').min(1, 'must not be empty').max(200).optional(),
    api_key_env: z
      .string('must be the name of an environment variable')
      .regex(
        /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
        'must be the name of an environment variable, for example OPENAI_API_KEY; a key itself never belongs here',
      )
      .optional(),
    base_url: z
      .string('must be an address such as http://127.0.0.1:8080/v1')
      .refine(isPlainHttpUrl, 'must be an http or https address without user name, password, query or fragment')
      .optional(),
    timeout_ms: z.int('must be a whole number of milliseconds').min(1).max(longestTimeoutMs).optional(),
    max_retries: z.int('must be a whole number').min(0).max(10).optional(),
    temperature: z.number('must be a number, or null to send none').min(0).max(2).nullable().optional(),
    max_output_tokens: z.int('must be a whole number').min(1).max(1_000_000).optional(),
  })
  .superRefine((entry, context) => {
    const needs = (key: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [key], message: `is missing: ${message}` })
    if (entry.provider === 'demo') return
    if (entry.model === undefined) needs('model', 'name the model that the provider shall use')
    if (entry.provider === 'openai-compatible' && entry.base_url === undefined) {
      needs('base_url', 'openai-compatible needs the address of the API, for example http://127.0.0.1:8080/v1')
    }
    if (homes[entry.provider].key && entry.api_key_env === undefined) {
      needs('api_key_env', `name the environment variable that holds the key of ${entry.provider}`)
    }
  })
type AgentEntry = z.infer<typeof AgentEntry>

const AgentName = z
  .string()
  .regex(/^[\p{L}\p{N}_][\p{L}\p{N}_.:/-]{0,99}$/u, 'is no name: letters, digits and _ . : / - only, at most 100')

const AgentsFile = z.strictObject({
  agents: z.record(AgentName, AgentEntry, 'must map agent names to their settings').default({}),
  default_agent: z.string('must be the name of an agent').optional(),
})

/**
 * Reads `config/agents.yaml`. `path` only names the file in messages. Adds the `demo` agent where there is none.
 * Throws `config.invalid` with every problem and its place in the file; values are never quoted.
 */
export function parseAgents(text: string, path: string): ModelsConfig {
  const checked = AgentsFile.safeParse(readYaml(text, path) ?? {})
  if (!checked.success) throw invalid(path, checked.error.issues.flatMap(describe))
  const agents = Object.entries(checked.data.agents).map(([name, entry]) => agentOf(name, entry))
  const own = agents.find(agent => agent.name === demoAgentName)
  if (own !== undefined && own.provider !== 'demo') {
    throw invalid(path, ['agents.demo.provider: must be demo; give an agent of another provider another name'])
  }
  const all = own === undefined ? [...agents, demoAgent] : agents
  return { agents: all, defaultAgent: defaultOf(checked.data.default_agent, { all, given: agents.length, path }) }
}

function defaultOf(
  name: string | undefined,
  file: { readonly all: readonly AgentConfig[]; readonly given: number; readonly path: string },
): string {
  const names = file.all.map(agent => agent.name).join(', ')
  if (name === undefined) {
    if (file.given === 0) return demoAgentName
    throw invalid(file.path, [`default_agent: is missing: name one of ${names}`])
  }
  if (!file.all.some(agent => agent.name === name)) {
    throw invalid(file.path, [`default_agent: there is no agent of that name; name one of ${names}`])
  }
  return name
}

function agentOf(name: string, entry: AgentEntry): AgentConfig {
  return {
    name,
    provider: entry.provider,
    model: entry.model ?? demoAgent.model,
    keyVariable: entry.api_key_env ?? null,
    baseUrl: entry.base_url ?? homes[entry.provider].baseUrl,
    timeoutMs: entry.timeout_ms ?? demoAgent.timeoutMs,
    maxRetries: entry.max_retries ?? 3,
    temperature: entry.temperature === undefined ? 0 : entry.temperature,
    maxOutputTokens: entry.max_output_tokens ?? null,
  }
}

function readYaml(text: string, path: string): unknown {
  if (text.length > maxFileLength) throw invalid(path, [`the file is longer than ${maxFileLength} characters`])
  const document = parseDocument(text, { prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    // The library's message may quote the file, and with it a key written in the wrong place.
    const line = text.slice(0, error.pos[0]).split('\n').length
    throw invalid(path, [`line ${line}: this is not YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`])
  }
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown
  } catch {
    throw invalid(path, ['the file has an unknown or endless alias'])
  }
}

function describe(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => `${place === '' ? key : `${place}.${key}`}: ${unknownKey(key)}`)
  }
  if (issue.code === 'invalid_key') return [`${place}: ${issue.issues[0]?.message ?? issue.message}`]
  return [`${place === '' ? 'file' : place}: ${issue.message}`]
}

function unknownKey(key: string): string {
  return /key|token|secret/i.test(key)
    ? 'is not a setting; put the key into an environment variable and name that with api_key_env'
    : 'is not a setting'
}

function invalid(path: string, problems: readonly string[]): AppError {
  return new AppError('config.invalid', `${path} can not be used: ${problems.join('; ')}`, {
    details: { file: path, problems },
  })
}

function isPlainHttpUrl(text: string): boolean {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) return false
  return url.username === '' && url.password === '' && url.search === '' && url.hash === ''
}
