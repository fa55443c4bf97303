import { describe, expect, test } from 'vitest'
import { readAgentConfig, type AgentConfig } from './agents.ts'
import type { Problem } from './problems.ts'

const path = 'x.agent.json'

function read(json: unknown): { config: AgentConfig | null; problems: Problem[] } {
  const problems: Problem[] = []
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  const config = readAgentConfig(new Map([[path, new TextEncoder().encode(text)]]), { path, problems })
  return { config, problems }
}

/** Severity, code and pointer of each problem. */
function complaints(json: unknown): string[] {
  return read(json).problems.map(({ severity, code, path: at }) => `${severity} ${code} ${at.slice(path.length)}`)
}

const rule = { match_type: 'flow_index', pattern: '1', agent_id: 'a', priority: 5 }

describe('agents', () => {
  test('[PLAN-16] models, tools and rules are read, and what is not said has its default', () => {
    const { config, problems } = read({
      default_agent: 'b',
      agents: [
        {
          id: 'a',
          name: 'Ada',
          description: 'reads',
          tools: {
            llm: { model: 'qwen-plus' },
            paradigm: { dir: 'provisions/paradigms' },
            file_system: { enabled: false, base_dir: null },
            python_interpreter: { enabled: false, timeout: 1.5 },
            user_input: { enabled: true, mode: 'disabled' },
          },
        },
        { id: 'b' },
      ],
      mappings: [rule, { pattern: 'x', agent_id: 'b' }],
      llm_providers: [],
    })
    expect(problems).toEqual([])
    expect(config).toEqual({
      path,
      defaultAgent: 'b',
      agents: [
        {
          id: 'a',
          name: 'Ada',
          description: 'reads',
          model: 'qwen-plus',
          paradigmDir: 'provisions/paradigms',
          fileSystem: { enabled: false },
          python: { enabled: false, timeoutSeconds: 1.5 },
          userInput: { enabled: false },
        },
        {
          id: 'b',
          name: 'b',
          description: '',
          model: null,
          paradigmDir: null,
          fileSystem: { enabled: true },
          python: { enabled: true, timeoutSeconds: null },
          userInput: { enabled: true },
        },
      ],
      mappings: [
        { matchType: 'flow_index', pattern: '1', agentId: 'a', priority: 5, path: `${path}#/mappings/0` },
        { matchType: 'flow_index', pattern: 'x', agentId: 'b', priority: 0, path: `${path}#/mappings/1` },
      ],
    })
  })

  test('[PLAN-16] asking people is off by either setting, and on in both ways of waiting', () => {
    const asks = (user_input: object): boolean | undefined =>
      read({ agents: [{ id: 'a', tools: { user_input } }] }).config?.agents[0]?.userInput.enabled
    expect([{ enabled: false }, { mode: 'disabled' }, { mode: 'async' }, { mode: 'blocking' }, {}].map(asks)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ])
  })

  test('[PLAN-16] the first agent is the default where none, or none that is there, is named', () => {
    expect(read({ agents: [{ id: 'a' }, { id: 'b' }] }).config?.defaultAgent).toBe('a')
    expect(read({ default_agent: 'c', agents: [{ id: 'a' }] }).config?.defaultAgent).toBe('a')
    expect(read({}).config).toEqual({ path, defaultAgent: null, agents: [], mappings: [] })
  })

  test.each([
    ['null', 'error field.type '],
    ['{', 'error json.invalid '],
    [{ agents: {} }, 'error field.type #/agents'],
    [{ agents: ['a'] }, 'error field.type #/agents'],
    [{ agents: [{ id: 'a', tools: { llm: 'm' } }] }, 'error field.type #/agents/0/tools/llm'],
    [
      { agents: [{ id: 'a', tools: { user_input: { enabled: 1 } } }] },
      'error field.type #/agents/0/tools/user_input/enabled',
    ],
    [{ agents: [{ id: 'a' }], mappings: [{ ...rule, priority: 'high' }] }, 'error field.type #/mappings/0/priority'],
  ])('[PLAN-18] %j is an error at its place', (json, complaint) => {
    expect(complaints(json)).toEqual([complaint])
  })

  test.each([
    [{ default_agent: 'c', agents: [{ id: 'a' }] }, 'agent.unknown #/default_agent'],
    [{ agents: [{ id: 'a' }, { id: 'a' }] }, 'agent.duplicate #/agents/1/id'],
    [{ agents: [{ id: 'a' }], mappings: [{ ...rule, agent_id: 'c' }] }, 'agent.unknown #/mappings/0/agent_id'],
    [
      { agents: [{ id: 'a' }], mappings: [{ ...rule, match_type: 'flow' }] },
      'agent.match_type #/mappings/0/match_type',
    ],
    [{ agents: [{ id: 'a' }], mappings: [{ agent_id: 'a' }] }, 'agent.pattern #/mappings/0'],
    [
      { agents: [{ id: 'a' }], mappings: [{ ...rule, pattern: 'a'.repeat(501) }] },
      'agent.too_long #/mappings/0/pattern',
    ],
    [{ agents: [{ id: 'a' }], mappings: Array.from({ length: 101 }, () => rule) }, 'agent.too_many #/mappings'],
    [{ agents: Array.from({ length: 101 }, (_, id) => ({ id: `${id}` })) }, 'agent.too_many #/agents'],
    [
      { agents: [{ id: 'a', tools: { python_interpreter: { timeout: 0 } } }] },
      'agent.setting #/agents/0/tools/python_interpreter/timeout',
    ],
    [
      { agents: [{ id: 'a', tools: { user_input: { mode: 'later' } } }] },
      'agent.setting #/agents/0/tools/user_input/mode',
    ],
    [
      { agents: [{ id: 'a', tools: { file_system: { base_dir: '/srv' } } }] },
      'agent.ignored #/agents/0/tools/file_system/base_dir',
    ],
  ])('[PLAN-18] %j is left out with one warning', (json, complaint) => {
    expect(complaints(json)).toEqual([`warning ${complaint}`])
  })

  test('[PLAN-18] rules that are left out are gone, and so is what goes beyond a limit', () => {
    const many = Array.from({ length: 150 }, (_, at) => ({ ...rule, priority: at }))
    expect(read({ agents: [{ id: 'a' }], mappings: many }).config?.mappings).toHaveLength(100)
    const bad = [{ ...rule, agent_id: 'c' }, { ...rule, match_type: 'flow' }, { agent_id: 'a' }, rule]
    expect(read({ agents: [{ id: 'a' }], mappings: bad }).config?.mappings).toMatchObject([
      { path: `${path}#/mappings/3` },
    ])
    const twice = [
      { id: 'a', tools: { file_system: { enabled: false } } },
      { id: 'a', tools: { file_system: { enabled: true } } },
    ]
    expect(read({ agents: twice }).config?.agents).toMatchObject([{ fileSystem: { enabled: false } }])
  })

  test('[PLAN-19] what would send a prompt or a key elsewhere is ignored, and its value repeated nowhere', () => {
    const llm = { model: 'm', base_url: 'https://evil.example', api_key_env: 'EVIL', api_key: 'EVIL', headers: {} }
    const found = read({ agents: [{ id: 'a', tools: { llm } }], llm_providers: [{ base_url: 'https://evil.example' }] })
    expect(found.problems.map(({ code, path: at }) => `${code} ${at}`)).toEqual([
      ...['base_url', 'api_key', 'api_key_env', 'headers'].map(
        key => `agent.ignored ${path}#/agents/0/tools/llm/${key}`,
      ),
      `agent.ignored ${path}#/llm_providers`,
    ])
    expect(found.config?.agents[0]?.model).toBe('m')
    expect(JSON.stringify(found)).not.toMatch(/evil/i)
  })
})
