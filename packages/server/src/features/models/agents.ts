export const providerNames = ['demo', 'openai', 'dashscope', 'ollama', 'openai-compatible', 'anthropic'] as const
export type ProviderName = (typeof providerNames)[number]

/** One agent of `config/agents.yaml`, with every default filled in. It names its key's variable and never holds a key. */
export interface AgentConfig {
  readonly name: string
  readonly provider: ProviderName
  readonly model: string
  readonly keyVariable: string | null
  readonly baseUrl: string | null
  /** For one attempt, in milliseconds. */
  readonly timeoutMs: number
  /** Attempts after the first. */
  readonly maxRetries: number
  readonly temperature: number | null
  readonly maxOutputTokens: number | null
}

export interface ModelsConfig {
  readonly agents: readonly AgentConfig[]
  readonly defaultAgent: string
}

export const demoAgentName = 'demo'

export const demoAgent: AgentConfig = {
  name: demoAgentName,
  provider: 'demo',
  model: 'slipway-demo',
  keyVariable: null,
  baseUrl: null,
  timeoutMs: 120_000,
  maxRetries: 0,
  temperature: null,
  maxOutputTokens: null,
}

/** What a server without `agents.yaml` has. */
export const demoOnly: ModelsConfig = { agents: [demoAgent], defaultAgent: demoAgentName }
