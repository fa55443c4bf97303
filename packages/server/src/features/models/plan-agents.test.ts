import type { AgentConfig, AgentMapping, MatchType, PlanAgent } from '@slipway/engine/plan/agents'
import { expect, test } from 'vitest'
import { agentProblems, stepAgents } from './plan-agents.ts'

const step = { flowIndex: '1.2.3', conceptName: '{risk report}', sequence: 'judgement_in_composition' }
const silent = { agents: () => [], has: () => false }

function agent(id: string, model: string | null = null): PlanAgent {
  return {
    id,
    name: id,
    description: '',
    model,
    paradigmDir: null,
    fileSystem: { enabled: true },
    python: { enabled: true, timeoutSeconds: null },
    userInput: { enabled: true },
  }
}

function rule(matchType: MatchType, pattern: string, agentId: string, priority = 0): AgentMapping {
  return { matchType, pattern, agentId, priority, path: `x.agent.json#/mappings/${pattern}` }
}

function config(mappings: readonly AgentMapping[], defaultAgent: string | null = 'default'): AgentConfig {
  const agents = [agent('default'), agent('fast'), agent('careful')]
  return { defaultAgent, agents, mappings, path: 'x.agent.json' }
}

/** Whether a rule with this pattern matches a concept's name. */
async function matches(pattern: string, conceptName: string): Promise<boolean> {
  const agentOf = await stepAgents(config([rule('concept_name', pattern, 'fast')]), silent)
  return agentOf({ ...step, conceptName })?.described.id === 'fast'
}

test('[MODEL-7] the rule of highest priority, the first of equals, before the default', async () => {
  const agentOf = await stepAgents(
    config([
      rule('flow_index', '1\\.2', 'fast', 1),
      rule('sequence_type', 'judgement.*', 'careful', 5),
      rule('concept_name', '\\{risk', 'fast', 5),
    ]),
    silent,
  )
  expect(agentOf(step)?.described.id).toBe('careful')
  expect(agentOf({ ...step, sequence: 'grouping' })?.described.id).toBe('fast')
  expect(agentOf({ ...step, sequence: 'grouping', conceptName: '{x}' })?.described.id).toBe('fast')
  expect(agentOf({ flowIndex: '2', conceptName: '{x}', sequence: 'grouping' })?.described.id).toBe('default')
})

test('[MODEL-7] a plan without agents gives its steps to nobody', async () => {
  expect((await stepAgents(null, silent))(step)).toBeNull()
  const empty = { defaultAgent: null, agents: [], mappings: [], path: 'x.agent.json' }
  expect((await stepAgents(empty, silent))(step)).toBeNull()
})

test('[MODEL-8] a pattern matches from the start and need not reach the end', async () => {
  expect(await matches('report', 'report of risks')).toBe(true)
  expect(await matches('report', 'risk report')).toBe(false)
})

test('[MODEL-8] a pattern that would explode elsewhere runs, and long texts match none', async () => {
  expect(await matches('(a+)+$', `${'a'.repeat(499)}!`)).toBe(false)
  expect(await matches('(a+)+$', 'a'.repeat(500))).toBe(true)
  expect(await matches('(a+)+$', 'a'.repeat(501))).toBe(false)
})

test.each([
  ['(?=a)a', /linear time/],
  ['(a)\\1', /linear time/],
  ['((a{1000}){1000}){1000}', /linear time/],
  ['(', /linear time/],
  ['.{1000}.{1000}', /repeats too much/],
])('[MODEL-11] %s matches nothing, and deploying it warns', async (pattern, because) => {
  expect(await matches(pattern, 'a')).toBe(false)
  expect(await agentProblems(config([rule('flow_index', '1', 'fast'), rule('flow_index', pattern, 'fast')]))).toEqual([
    {
      severity: 'warning',
      code: 'agent.pattern',
      path: `x.agent.json#/mappings/${pattern}/pattern`,
      message: expect.stringMatching(because) as string,
      hint: expect.any(String) as string,
    },
  ])
})

test('[MODEL-11] after five patterns that cannot be used the rest is not tried', async () => {
  const problems = await agentProblems(
    config([...'((((('].map(one => rule('flow_index', one, 'fast')).concat(rule('flow_index', '1', 'fast'))),
  )
  expect(problems.map(({ message }) => message.includes('too many'))).toEqual([false, false, false, false, false, true])
})

test('[MODEL-9] id, then the name of an agent like the model, then a model in use', async () => {
  const view = { provider: 'dashscope', key_present: true, is_default: false }
  const listed = [
    { name: 'one', model: 'qwen-max', ...view },
    { name: 'two', model: 'qwen-plus', ...view },
    { name: 'three', model: 'qwen-plus', ...view },
  ]
  const models = { agents: () => listed, has: (name: string) => listed.some(({ name: known }) => known === name) }
  const answeredBy = async (id: string, model: string | null): Promise<string | null> => {
    const agents = [agent(id, model)]
    return (
      (await stepAgents({ defaultAgent: id, agents, mappings: [], path: 'x.agent.json' }, models))(step)?.answeredBy ??
      null
    )
  }
  expect(await answeredBy('one', 'qwen-plus')).toBe('one')
  expect(await answeredBy('default', 'three')).toBe('three')
  expect(await answeredBy('default', 'qwen-plus')).toBe('two')
  expect(await answeredBy('default', 'gpt-4o')).toBeNull()
  expect(await answeredBy('default', null)).toBeNull()
})
