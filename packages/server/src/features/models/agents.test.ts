import { AppError } from '@slipway/protocol/errors'
import { expect, test } from 'vitest'
import { demoOnly } from './agents.ts'
import { parseAgents } from './agents-file.ts'

const file = `
agents:
  qwen-plus:
    provider: dashscope
    model: qwen-plus
    api_key_env: DASHSCOPE_API_KEY
  claude-sonnet:
    provider: anthropic
    model: claude-3-sonnet-20240229
    api_key_env: ANTHROPIC_API_KEY
  local:
    provider: ollama
    model: llama3.2
    timeout_ms: 5000
    max_retries: 0
    temperature: null
  own:
    provider: openai-compatible
    base_url: http://127.0.0.1:9000/v1
    model: m

default_agent: qwen-plus
`

function problemsOf(text: string): unknown {
  try {
    parseAgents(text, 'config/agents.yaml')
  } catch (error) {
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining('config/agents.yaml') as string,
    })
    return (error as AppError).details
  }
  return 'no error'
}

test('[MODEL-1] the file gives agents with the address of their provider and defaults for the rest', () => {
  const { agents, defaultAgent } = parseAgents(file, 'agents.yaml')
  expect(defaultAgent).toBe('qwen-plus')
  expect(agents.map(agent => agent.name)).toEqual(['qwen-plus', 'claude-sonnet', 'local', 'own', 'demo'])
  expect(agents[0]).toEqual({
    name: 'qwen-plus',
    provider: 'dashscope',
    model: 'qwen-plus',
    keyVariable: 'DASHSCOPE_API_KEY',
    baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1',
    timeoutMs: 120_000,
    maxRetries: 3,
    temperature: 0,
    maxOutputTokens: null,
  })
  expect(agents[2]).toMatchObject({
    baseUrl: 'http://127.0.0.1:11434/v1',
    keyVariable: null,
    timeoutMs: 5000,
    maxRetries: 0,
    temperature: null,
  })
  expect(agents[3]).toMatchObject({ baseUrl: 'http://127.0.0.1:9000/v1' })
})

test('[MODEL-2] every problem is listed with its place', () => {
  const text = `
agents:
  a: { provider: gemini, model: x }
  b: { provider: openai }
  c: { provider: openai-compatible, model: x }
  d: { provider: ollama, model: x, api_key: sk-secret123456 }
  e: { provider: openai, model: x, api_key_env: sk-secret123456 }
  f: { provider: ollama, model: x, base_url: "http://user:pw@host/v1", timeout_ms: 0 }
  "bad name!": { provider: demo }
default_agent: a
colour: red
`
  const details = JSON.stringify(problemsOf(text))
  for (const place of [
    'agents.a.provider: must be one of demo, openai',
    'agents.b.model: is missing',
    'agents.b.api_key_env: is missing',
    'agents.c.base_url: is missing',
    'agents.d.api_key: is not a setting; put the key into an environment variable',
    'agents.e.api_key_env: must be the name of an environment variable',
    'agents.f.base_url: must be an http or https address',
    'agents.f.timeout_ms',
    'agents.bad name!: is no name',
    'colour: is not a setting',
  ]) {
    expect(details).toContain(place)
  }
  expect(details).not.toContain('secret')
})

test.each([
  ['agents:\n  a: {provider: ollama, model: m}\n', 'default_agent: is missing'],
  ['agents: {}\ndefault_agent: nobody\n', 'default_agent: there is no agent of that name'],
  ['agents:\n  demo: {provider: ollama, model: m}\ndefault_agent: demo\n', 'agents.demo.provider: must be demo'],
  ['agents:\n  a: [provider\n', 'line 3: this is not YAML'],
  ['- a\n- b\n', 'file:'],
  ['agents: *nowhere\n', 'alias'],
])('[MODEL-2] %j is refused', (text, message) => {
  expect(JSON.stringify(problemsOf(text))).toContain(message)
})

test('[MODEL-3] the demo agent is there without a file, with an empty one and beside others', () => {
  expect(demoOnly).toMatchObject({
    defaultAgent: 'demo',
    agents: [{ name: 'demo', provider: 'demo', keyVariable: null }],
  })
  expect(parseAgents('', 'agents.yaml')).toEqual(demoOnly)
  expect(parseAgents(file, 'agents.yaml').agents.at(-1)).toEqual(demoOnly.agents[0])
  const own = parseAgents('agents: {demo: {provider: demo}}\ndefault_agent: demo\n', 'agents.yaml')
  expect(own.agents).toHaveLength(1)
})
