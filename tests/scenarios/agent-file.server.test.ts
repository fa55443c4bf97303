import type { Bed } from '../testbed/bed.ts'
import type { RunDetails } from '@slipway/protocol/runs'
import { expect, test } from 'vitest'
import { openBed } from '../testbed/bed.ts'
import { smallPlan, type SmallStep } from '../testbed/small-plans.ts'

const script = 'provisions/scripts/main.py'
const prompt = 'provisions/prompts/ask.md'

const steps = {
  script: { paradigm: 'v_ScriptLocation-h_Literal-c_Execute-o_Literal', file: script },
  model: { paradigm: 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal', file: prompt },
  read: { paradigm: 'h_LiteralPath-c_ReadFile-o_Literal' },
  write: { paradigm: 'h_LiteralPath-h_Literal-c_WriteFile-o_Literal' },
  probe: { paradigm: 'h_LiteralPath-c_ReadFileIfExists-o_Literal' },
  person: { paradigm: 'h_UserPrompt-c_Ask-o_Normal' },
} as const satisfies Record<string, Pick<SmallStep, 'paradigm' | 'file'>>

interface Given {
  readonly step: keyof typeof steps
  readonly agents: object
  readonly input?: string
  readonly code?: string
}

/** A plan of one step whose agent file says `agents`. */
function planWith({
  step,
  agents,
  input = 'note.txt',
  code = 'def main(input_1):\n    return "ran"\n',
}: Given): Uint8Array {
  const takes = step === 'write' ? ['{question}', '{text}'] : ['{question}']
  return smallPlan({
    name: 'agents',
    given: { '{question}': [input], '{text}': ['words'] },
    finals: ['{answer}'],
    steps: [{ flowIndex: '1', gives: '{answer}', takes, ...steps[step] }],
    files: {
      [script]: code,
      [prompt]: 'Answer: $input_1\n\nReturn JSON: {"thinking": "...", "result": "..."}\n',
      'note.txt': 'from the package',
      'x.agent.json': JSON.stringify(agents),
    },
  })
}

async function runOf(bed: Bed, plan: Given): Promise<RunDetails> {
  await bed.client.deploy(planWith(plan), { replace: true })
  const { run_id: id } = await bed.client.startRun('agents')
  return bed.finished(id)
}

const only = (tools: object): object => ({ agents: [{ id: 'reader', tools }] })
const off = { enabled: false }

test('[RUN-18] a call of a disabled tool ends its step and says which agent has it disabled', async () => {
  await using bed = await openBed()
  const cases = [
    { step: 'script', agents: only({ python_interpreter: off }), key: 'python_interpreter' },
    { step: 'write', agents: only({ file_system: off }), key: 'file_system' },
    { step: 'read', agents: only({ file_system: off }), key: 'file_system', input: 'elsewhere.txt' },
    { step: 'probe', agents: only({ file_system: off }), key: 'file_system', input: 'elsewhere.txt' },
    { step: 'person', agents: only({ user_input: off }), key: 'user_input' },
    { step: 'person', agents: only({ user_input: { mode: 'disabled' } }), key: 'user_input' },
  ] as const
  for (const { key, ...plan } of cases) {
    const run = await runOf(bed, plan)
    expect(run, plan.step).toMatchObject({ status: 'failed', error: { reason: 'step_failed' } })
    expect(run.error?.stuck[0]?.why).toContain(`agent "reader" has ${key} disabled`)
    expect((await bed.client.trace(run.run_id)).items.at(-1)?.error?.name).toBe('tool.disabled')
  }
  expect(await bed.client.inputs()).toEqual([])
})

test('[RUN-18] the package stays readable, and what is enabled works', async () => {
  await using bed = await openBed()
  const agents = only({ file_system: off })
  const cases = [
    { step: 'read', agents },
    { step: 'probe', agents },
    { step: 'script', agents },
    { step: 'model', agents: only({ file_system: off, python_interpreter: off, user_input: off }) },
  ] as const
  for (const plan of cases)
    expect(await runOf(bed, plan), plan.step).toMatchObject({ status: 'completed', error: null })
})

test('[RUN-18] a tool is disabled only for the steps of the agent that has it disabled', async () => {
  await using bed = await openBed()
  const agents = [
    { id: 'reader', tools: { python_interpreter: off } },
    { id: 'worker', tools: {} },
  ]
  const mappings = [{ match_type: 'concept_name', pattern: '\\{answer', agent_id: 'worker' }]
  expect(await runOf(bed, { step: 'script', agents: { agents, mappings } })).toMatchObject({ status: 'completed' })
  expect(await runOf(bed, { step: 'script', agents: { agents } })).toMatchObject({ status: 'failed' })
})

test("[RUN-18] [SANDBOX-11] the lower of the plan's and the server's time limit holds", async () => {
  await using bed = await openBed({ settings: { scriptTimeoutMs: 3000 } })
  const code = 'def main(input_1):\n    while True: pass\n'
  const why = async (timeout: number): Promise<string | undefined> => {
    const run = await runOf(bed, { step: 'script', agents: only({ python_interpreter: { timeout } }), code })
    expect((await bed.client.trace(run.run_id)).items.at(-1)?.error?.name).toBe('sandbox.timeout')
    return run.error?.stuck[0]?.why
  }
  expect(await why(0.5)).toContain('within 500 ms')
  expect(await why(600)).toContain('within 3000 ms')
})

test('[MODEL-11] [PLAN-18] deploying warns of what an agent file cannot have', async () => {
  await using bed = await openBed()
  const mappings = [
    { pattern: '(?=1)1', agent_id: 'reader' },
    { pattern: '1', agent_id: 'nobody' },
  ]
  const agents = { agents: [{ id: 'reader', tools: { python_interpreter: off } }, { id: 'other' }], mappings }
  const plan = planWith({ step: 'script', agents: { ...agents, default_agent: 'other' } })
  const { problems } = await bed.client.deploy(plan)
  const found = problems.filter(({ code }) => code.startsWith('agent.'))
  expect(found.map(({ severity, code, path }) => `${severity} ${code} ${path}`)).toEqual([
    'warning agent.unknown x.agent.json#/mappings/1/agent_id',
    'warning agent.pattern x.agent.json#/mappings/0/pattern',
  ])
  const { run_id: id } = await bed.client.startRun('agents')
  expect(await bed.finished(id)).toMatchObject({ status: 'completed' })
})
