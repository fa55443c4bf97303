import { AppError } from '@slipway/protocol/errors'
import type { AgentView as AgentViewSchema } from '@slipway/protocol/system'
import type { z } from 'zod'
import { anthropicProvider } from './adapters/anthropic-provider.ts'
import { demoProvider } from './adapters/demo-provider.ts'
import { openaiCompatibleProvider } from './adapters/openai-compatible-provider.ts'
import type { AgentConfig, ModelsConfig, ProviderName } from './agents.ts'
import type { ModelProvider } from './provider.ts'
import type { RetrySettings } from './router.ts'

export { demoOnly, type ModelsConfig } from './agents.ts'
export { agentProblems, stepAgents, type StepAgent } from './plan-agents.ts'
export type { ModelProvider } from './provider.ts'

export type AgentView = z.infer<typeof AgentViewSchema>

export interface GenerateRequest {
  /** Name of a configured agent. */
  readonly agent: string
  readonly prompt: string
  readonly json: boolean
  readonly signal: AbortSignal
}

export interface GenerateReply {
  readonly text: string
  readonly model: string
  readonly provider: string
  /** Tokens as the provider counted them, `null` where it did not say. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly attempts: number
}

export interface Models {
  /**
   * One chat completion. Rejects with `agent.unknown`, `model.key_missing`, `model.refused`, `model.timeout` or
   * `model.unavailable`, and with the signal's reason when it aborts.
   */
  generate(request: GenerateRequest): Promise<GenerateReply>
  agents(): readonly AgentView[]
  has(agent: string): boolean
  readonly defaultAgent: string
}

export interface ModelsOptions {
  /** Reads an environment variable; asked at each call, so that a changed key needs no restart of its own. */
  readonly env?: ((name: string) => string | undefined) | undefined
  readonly retry?: Partial<RetrySettings> | undefined
  /** Largest answer that is read, in bytes. */
  readonly maxReplyBytes?: number | undefined
  /** Stands in for the adapter of a provider. */
  readonly providers?: Partial<Record<ProviderName, ModelProvider>> | undefined
}

const systemText = 'You are a helpful assistant.'
const defaultRetry: RetrySettings = { firstDelayMs: 500, longestDelayMs: 20_000, longestRetryAfterMs: 60_000 }
const defaultMaxReplyBytes = 8 * 1024 * 1024

/** Reads the text of `config/agents.yaml`; throws `config.invalid`. What reads it is loaded only where there is one. */
export async function parseAgents(text: string, path: string): Promise<ModelsConfig> {
  const file = await import('./agents-file.ts')
  return file.parseAgents(text, path)
}

export function createModels(config: ModelsConfig, options: ModelsOptions = {}): Models {
  const byName = new Map(config.agents.map(agent => [agent.name, agent]))
  const providers = { ...adapters(options.maxReplyBytes ?? defaultMaxReplyBytes), ...options.providers }
  const settings = { ...defaultRetry, ...options.retry }
  const env = options.env ?? (() => undefined)
  return {
    defaultAgent: config.defaultAgent,
    has: agent => byName.has(agent),
    agents: () => config.agents.map(agent => viewOf(agent, { env, isDefault: agent.name === config.defaultAgent })),
    async generate(request) {
      request.signal.throwIfAborted()
      const agent = byName.get(request.agent)
      if (agent === undefined) {
        const names = [...byName.keys()].join(', ')
        throw new AppError('agent.unknown', `There is no agent ${request.agent}; the configured ones are ${names}`)
      }
      const call = {
        model: agent.model,
        system: systemText,
        prompt: request.prompt,
        json: request.json,
        temperature: agent.temperature,
        maxOutputTokens: agent.maxOutputTokens,
        baseUrl: agent.baseUrl,
        apiKey: keyOf(agent, env),
        signal: request.signal,
      }
      const { route } = await import('./router.ts')
      const { reply, attempts } = await route(providers[agent.provider], call, { agent, settings })
      return { ...reply, provider: agent.provider, attempts }
    },
  }
}

function adapters(maxReplyBytes: number): Record<ProviderName, ModelProvider> {
  const compatible = openaiCompatibleProvider({ maxReplyBytes })
  return {
    demo: demoProvider(),
    openai: compatible,
    dashscope: compatible,
    ollama: compatible,
    'openai-compatible': compatible,
    anthropic: anthropicProvider({ maxReplyBytes }),
  }
}

function keyOf(agent: AgentConfig, env: (name: string) => string | undefined): string | null {
  if (agent.keyVariable === null) return null
  const key = env(agent.keyVariable)?.trim()
  if (key !== undefined && key !== '') return key
  throw new AppError(
    'model.key_missing',
    `The agent ${agent.name} reads its key from the environment variable ${agent.keyVariable}, which is not set; ` +
      `set it and start the server again, or choose another agent`,
    { details: { agent: agent.name, provider: agent.provider, variable: agent.keyVariable } },
  )
}

function viewOf(
  agent: AgentConfig,
  { env, isDefault }: { readonly env: (name: string) => string | undefined; readonly isDefault: boolean },
): AgentView {
  const key = agent.keyVariable === null ? null : (env(agent.keyVariable) ?? '').trim() !== ''
  return {
    name: agent.name,
    provider: agent.provider,
    model: agent.model,
    key_present: key,
    is_default: isDefault,
  }
}
