import { packPlan } from '@slipway/engine/plan/pack'
import type { LogLine } from '@slipway/protocol/debugging'
import { describe, expect, test } from 'vitest'
import { examplePackage } from '../../examples/testbed.ts'
import { openBed, type Bed } from '../testbed/bed.ts'
import { echoPlan, personPlan, promptPlan, smallPlan } from '../testbed/small-plans.ts'

async function runToEnd(bed: Bed, plan: string, inputs: Record<string, unknown>): Promise<string> {
  const { run_id: id } = await bed.client.startRun(plan, { inputs })
  await bed.finished(id)
  return id
}

async function restAt(bed: Bed, runId: string, status: string): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status).toBe(status)
}

/** Every page of a list. */
async function all<T>(
  read: (after: number | undefined) => Promise<{ readonly items: readonly T[]; readonly next: string | null }>,
): Promise<T[]> {
  const items: T[] = []
  for (let after: number | undefined; ;) {
    const page = await read(after)
    items.push(...page.items)
    if (page.next === null) return items
    after = Number(page.next)
  }
}

/** Three prompts, each about the answer before it. */
function chainPlan(name: string, words: string): Uint8Array {
  const paradigm = 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal'
  const file = (n: number): string => `provisions/prompts/ask${n}.md`
  const prompt = (n: number): string =>
    `${n === 2 ? words : 'Say more'} about $input_1\n\nReturn JSON: {"thinking": "...", "result": "..."}\n`
  const numbers = [1, 2, 3]
  return smallPlan({
    name,
    inputs: ['{c0}'],
    finals: ['{c3}'],
    steps: numbers.map(n => ({
      flowIndex: `1.${n}`,
      gives: `{c${n}}`,
      takes: [`{c${n - 1}}`],
      paradigm,
      file: file(n),
    })),
    files: Object.fromEntries(numbers.map(n => [file(n), prompt(n)])),
  })
}

describe('values', () => {
  test('[RUN-60] [RUN-61] [RUN-69] concepts are listed as they are and as they were, and found by any of their names', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(chainPlan('chain', 'Tell me'))
    const id = await runToEnd(bed, 'chain', { c0: 'das Wetter' })
    const now = await client.references(id)
    expect(now.find(({ concept_name: name }) => name === '{c2}')).toEqual({
      concept_name: '{c2}',
      natural_name: '{c2}',
      is_ground: false,
      is_final: false,
      status: 'complete',
      has_reference: true,
      axes: ['axis_0'],
      shape: [1],
    })
    const there = async (step: number): Promise<string[]> =>
      (await client.references(id, { step }))
        .filter(one => one.has_reference && !one.is_ground)
        .map(one => one.concept_name)
    expect([await there(0), await there(1), await there(2), await there(3)]).toEqual([
      [],
      ['{c1}'],
      ['{c1}', '{c2}'],
      ['{c1}', '{c2}', '{c3}'],
    ])
    expect(await client.reference(id, '{c2}')).toMatchObject({ written_at: 2 })
    expect(await client.reference(id, 'C0')).toMatchObject({ concept_name: '{c0}', written_at: null })
    expect(await client.reference(id, 'c2', { step: 1 })).toMatchObject({
      has_reference: false,
      page: { axes: [], data: null },
      written_at: null,
    })
    await expect(client.references(id, { step: 4 })).rejects.toMatchObject({ code: 'checkpoint.unknown' })
    await expect(client.reference(id, '{c9}')).rejects.toMatchObject({
      code: 'concept.unknown',
      message: expect.stringContaining('{c9}') as string,
    })
    await expect(client.references('nothing')).rejects.toMatchObject({ code: 'run.unknown' })
  })

  test('[RUN-60] [RUN-61] a long run is seen as it was after any record, in whatever order it is asked', async () => {
    await using bed = await openBed()
    const { client } = bed
    const length = 1_120
    const paradigm = 'h_Data-c_PassThrough-o_Normal'
    await client.deploy(
      smallPlan({
        name: 'long',
        given: { '{c0}': ['start'] },
        finals: [`{c${length}}`],
        steps: Array.from({ length }, (_, at) => ({
          flowIndex: `1.${at + 1}`,
          gives: `{c${at + 1}}`,
          takes: [`{c${at}}`],
          paradigm,
        })),
      }),
    )
    const id = await runToEnd(bed, 'long', {})
    for (const step of [1_110, 3, 999, 1_000, 1_001, 0, length, 500]) {
      const there = (await client.references(id, { step })).filter(one => one.has_reference && !one.is_ground)
      expect(there).toHaveLength(step)
      if (step === 0) continue
      expect(await client.reference(id, `{c${step}}`, { step })).toMatchObject({
        has_reference: true,
        written_at: step,
      })
    }
    const [first, last] = [(await client.steps(id, { limit: 1 })).items, await client.steps(id, { after: length - 1 })]
    expect(first).toMatchObject([{ n: 1, flow_index: '1.1' }])
    expect(last).toMatchObject({ items: [{ n: length, flow_index: `1.${length}` }], next: null })
    const other = await runToEnd(bed, 'long', {})
    expect(await client.diff(id, other)).toMatchObject({ steps: [], equal_steps: length, truncated: false })
  })

  test('[RUN-62] [RUN-63] [RUN-64] [RUN-69] a tensor is read cell by cell, by axes, and in pages', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(
      smallPlan({
        name: 'tensors',
        inputs: ['{größe der Würfel}', '{数}'],
        finals: ['{same}'],
        steps: [{ flowIndex: '1', gives: '{same}', takes: ['{数}'], paradigm: 'h_Data-c_PassThrough-o_Normal' }],
      }),
    )
    const cubes = {
      data: [
        [[1, 2], [3]],
        [['a', 'b'], ['ü']],
      ],
      axes: ['row: day', 'Spalte', '面'],
    }
    const many = { data: Array.from({ length: 12_000 }, (_, place) => place), axes: ['n'] }
    const id = await runToEnd(bed, 'tensors', { größe_der_würfel: cubes, '{数}': many })
    const whole = await client.reference(id, '{größe der Würfel}')
    expect(whole).toMatchObject({
      axes: ['row: day', 'Spalte', '面'],
      shape: [2, 2, 2],
      written_at: null,
      page: {
        data: [
          [
            [1, 2],
            [3, '@#SKIP#@'],
          ],
          [
            ['a', 'b'],
            ['ü', '@#SKIP#@'],
          ],
        ],
      },
    })
    const row = await client.reference(id, 'Größe der Würfel', {
      at: { 'row: day': 1, 面: 0 },
      offset: [1],
      limit: [5],
    })
    expect(row).toMatchObject({ fixed: { 'row: day': 1, 面: 0 }, page: { axes: ['Spalte'], shape: [1], data: ['ü'] } })
    for (const wrong of [{ at: { 面: 2 } }, { at: { x: 0 } }, { offset: [0] }, { limit: [1, 1, 0] }]) {
      await expect(client.reference(id, '{größe der Würfel}', wrong)).rejects.toMatchObject({ code: 'input.invalid' })
    }
    const first = await client.reference(id, '{数}')
    expect(first.page.shape).toEqual([10_000])
    const second = await client.reference(id, '{数}', { offset: [10_000] })
    expect([...(first.page.data as number[]), ...(second.page.data as number[])]).toEqual(many.data)
  })
})

describe('loops and errors', () => {
  test('[RUN-65] [RUN-66] [RUN-61] a loop shows what its concepts were in each iteration', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(packPlan(await examplePackage('long-addition')))
    const id = await runToEnd(bed, 'long-addition', { 'first number': '58', 'second number': '67' })
    const executions = await all(after => client.flowHistory(id, '1.3.1.2', { after, limit: 2 }))
    expect(executions.map(({ execution, status, changed }) => [execution, status, changed])).toEqual(
      executions.map((_, place) => [place + 1, 'completed', ['{total}']]),
    )
    expect(executions.length).toBeGreaterThan(1)
    const history = await all(after => client.referenceHistory(id, '{total}', { after, limit: 1 }))
    const written = history.filter(({ axes }) => axes !== null)
    expect(written.map(({ flow_index: flowIndex, execution }) => [flowIndex, execution])).toEqual(
      executions.map(({ execution }) => ['1.3.1.2', execution]),
    )
    expect(await all(after => client.referenceHistory(id, '{total}', { after }))).toEqual(history)
    for (const change of written) {
      const { page, written_at: by } = await client.reference(id, '{total}', { step: change.step })
      expect({ data: page.data, by }).toEqual({ data: change.data, by: change.step })
    }
    const collected = await all(after => client.referenceHistory(id, '[column digits]', { after }))
    expect(collected.map(({ shape }) => shape?.[0])).toEqual(executions.map(({ execution }) => execution))
    const records = await all(after => client.steps(id, { after, limit: 7 }))
    expect(records.map(({ n }) => n)).toEqual(records.map((_, place) => place + 1))
    expect(records.filter(({ flow_index: flowIndex }) => flowIndex === '1.3.1.2')).toEqual(executions)
    await expect(client.flowHistory(id, '9.9')).rejects.toMatchObject({ code: 'step.unknown' })
  })

  test('[RUN-66] [RUN-67] a cell that fails is in the record, the log and the tensor', async () => {
    const facts = { model: 'm', provider: 'p', inputTokens: 1, outputTokens: 1, attempts: 1 }
    const models = {
      defaultAgent: 'demo',
      has: () => true,
      agents: () => [],
      generate: ({ prompt }: { readonly prompt: string }) =>
        Promise.resolve({
          ...facts,
          text: prompt.includes('zwei') ? 'no JSON at all' : '{"thinking": "", "answer": "ok"}',
        }),
    }
    await using bed = await openBed({ replace: { models } })
    const { client } = bed
    await client.deploy(promptPlan('prompt', 'v_Prompt-h_Data-c_ThinkJSON-o_Normal'))
    const id = await runToEnd(bed, 'prompt', { question: { data: ['eins', 'zwei', 'drei'], axes: ['number'] } })
    const { items } = await client.flowHistory(id, '1')
    expect(items).toMatchObject([{ status: 'completed', errors: [{ path: 'cells[1]', name: 'JSONDecodeError' }] }])
    const { page } = await client.reference(id, '{answer}')
    expect(page).toMatchObject({ axes: ['number'], shape: [3] })
    expect((page.data as unknown[])[1]).toBe('@#SKIP#@')
    const warnings = (await client.logs(id, { level: 'warning' })).items
    expect(warnings).toContainEqual(
      expect.objectContaining({ flow_index: '1', message: expect.stringContaining('JSON') as string }),
    )
    const lines = await all<LogLine>(after => client.logs(id, { after, limit: 3 }))
    expect(lines.map(({ seq }) => seq)).toEqual([...new Set(lines.map(({ seq }) => seq))].sort((a, b) => a - b))
    expect((await client.logs(id, { flow_index: '1' })).items).toEqual(lines.filter(line => line.flow_index === '1'))
    expect((await client.logs(id, { flow_index: '7' })).items).toEqual([])
  })
})

describe('runs in every state', () => {
  test('[RUN-70] a run that waits and one whose plan is gone are looked into alike', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(personPlan('ask'))
    const { run_id: id } = await client.startRun('ask', { inputs: { question: 'Why?' } })
    await restAt(bed, id, 'waiting')
    expect(await client.reference(id, '{question}')).toMatchObject({ page: { data: ['Why?'] }, written_at: null })
    expect((await client.steps(id)).items).toEqual([])
    expect(await client.referenceHistory(id, '{answer}')).toEqual({ items: [], next: null })
    expect((await client.referenceHistory(id, '{question}')).items).toMatchObject([{ step: 0, data: ['Why?'] }])
    const [question] = await client.inputs({ runId: id })
    await client.answer(question?.input_id ?? '', 'Because.')
    await bed.finished(id)
    await client.deletePlan('ask')
    expect(await client.reference(id, '{answer}')).toMatchObject({ written_at: 1 })
    expect((await client.steps(id)).items).toMatchObject([{ n: 1, flow_index: '1', status: 'completed' }])
    expect((await client.logs(id)).items.map(({ message }) => message)).toContain('Step 1 asks a person: Why?')
  })

  test('[RUN-68] what would be done again is what is done again', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(chainPlan('chain', 'Tell me'))
    const id = await runToEnd(bed, 'chain', { c0: 'rain' })
    expect(await client.descendants(id, '1.2')).toEqual(['1.2', '1.3'])
    expect(await client.dependents(id, 'c1')).toEqual(['1.2', '1.3'])
    expect(await client.dependents(id, '{c3}')).toEqual([])
    await expect(client.descendants(id, '4')).rejects.toMatchObject({ code: 'step.unknown' })
    await expect(client.dependents(id, 'c4')).rejects.toMatchObject({ code: 'concept.unknown' })
    await client.rerunFrom(id, '1.2')
    await restAt(bed, id, 'completed')
    await expect
      .poll(async () => (await client.steps(id, { after: 4 })).items.map(({ flow_index: flowIndex }) => flowIndex))
      .toEqual(['1.2', '1.3'])
    expect((await client.steps(id, { after: 3 })).items[0]).toMatchObject({
      n: 4,
      kind: 'command',
      status: 'rerun',
      flow_index: '1.2',
      changed: ['{c2}', '{c3}'],
    })
    const history = (await client.referenceHistory(id, '{c2}')).items
    expect(history.map(({ step, axes }) => [step, axes === null])).toEqual([
      [2, false],
      [4, true],
      [5, false],
    ])
  })

  test('[RUN-61] [RUN-65] going back to a checkpoint brings back the values and who wrote them', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(chainPlan('chain', 'Tell me'))
    const id = await runToEnd(bed, 'chain', { c0: 'snow' })
    const before = await client.reference(id, '{c1}')
    await client.resumeCheckpoint(id, { step: 1 })
    await expect.poll(async () => (await client.steps(id)).items.length).toBe(6)
    await restAt(bed, id, 'completed')
    expect(await client.reference(id, '{c1}')).toEqual(before)
    expect(await client.reference(id, '{c2}', { step: 4 })).toMatchObject({ has_reference: false })
    expect(await client.reference(id, '{c2}')).toMatchObject({ written_at: 5 })
    expect((await client.referenceHistory(id, '{c1}')).items.map(({ step }) => step)).toEqual([1])
    expect((await client.referenceHistory(id, '{c2}')).items.map(({ step }) => step)).toEqual([2, 4, 5])
  })
})

describe('comparing', () => {
  test('[RUN-72] [RUN-73] [RUN-74] two runs of one plan differ in what followed from their inputs', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(chainPlan('chain', 'Tell me'))
    const a = await runToEnd(bed, 'chain', { c0: 'hail' })
    const b = await runToEnd(bed, 'chain', { c0: 'hail' })
    const c = await runToEnd(bed, 'chain', { c0: 'fog' })
    // The same answer under another id.
    const [one, other] = [await client.reference(a, '{c1}'), await client.reference(b, '{c1}')]
    expect(one.page.data).not.toEqual(other.page.data)
    const same = await client.diff(a, b)
    expect(same).toMatchObject({ common: null, inputs: [], steps: [], equal_steps: 3, truncated: false })
    expect(same.finals).toMatchObject([{ concept_name: '{c3}', equal: true }])
    const changed = await client.diff(a, c)
    expect(changed.inputs).toEqual([{ concept_name: '{c0}', a: 'hail', b: 'fog' }])
    expect(changed.steps[0]).toMatchObject({ flow_index: '1.1', execution: 1, difference: 'value' })
    expect(JSON.stringify(changed.steps[0]?.prompt?.a)).toContain('hail')
    expect(JSON.stringify(changed.steps[0]?.prompt?.b)).toContain('fog')
    expect(changed.finals).toMatchObject([{ concept_name: '{c3}', equal: false }])
    expect(changed.cost.a).toMatchObject({ steps: 3, model_calls: 3, wall_ms: expect.any(Number) as number })
    expect(changed.cost.a.calls).toBeGreaterThanOrEqual(3)
    const short = await client.diff(a, c, { limit: 1 })
    expect(short).toMatchObject({ steps: [changed.steps[0]], truncated: true })
    expect((await client.diff(a, c, { limit: changed.steps.length })).truncated).toBe(false)
    await expect(client.diff(a, 'nothing')).rejects.toMatchObject({ code: 'run.unknown' })
  })

  test('[RUN-72] runs of different plans are put side by side by flow index', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(promptPlan('prompt'))
    await client.deploy(echoPlan('echo'))
    const a = await runToEnd(bed, 'prompt', { question: 'same' })
    const b = await runToEnd(bed, 'echo', { spoken_word: 'same' })
    const { steps, inputs, finals } = await client.diff(a, b)
    expect(inputs).toEqual([
      { concept_name: '{question}', a: 'same', b: null },
      { concept_name: '{spoken word}', a: null, b: 'same' },
    ])
    expect(steps).toMatchObject([{ flow_index: '1', difference: 'value', prompt: { b: null } }])
    expect(finals.map(({ concept_name: name, equal }) => [name, equal])).toEqual([
      ['{answer}', false],
      ['{echo}', false],
    ])
  })

  test('[RUN-71] [RUN-72] a fork is compared with its source from its checkpoint on', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(chainPlan('chain', 'Tell me'))
    const source = await runToEnd(bed, 'chain', { c0: 'wind' })
    const { run_id: fork } = await client.fork(source, { step: 2, overrides: { '{c2}': 'another answer' } })
    await bed.finished(fork)
    const { common, steps, equal_steps: equal, cost } = await client.diff(source, fork)
    expect(common).toEqual({ run_id: source, step: 2 })
    expect(steps).toMatchObject([{ flow_index: '1.3', execution: 1 }])
    expect(JSON.stringify(steps[0]?.prompt?.b)).toContain('another answer')
    expect(equal).toBe(2)
    expect(cost.b.steps).toBe(1)
    expect((await client.diff(source, source)).equal_steps).toBe(3)
    const { run_id: again } = await client.fork(source, { step: 2, restart: true })
    await bed.finished(again)
    expect(await client.diff(source, again)).toMatchObject({ common: null, steps: [], equal_steps: 3 })
  })

  test('[RUN-72] a run that goes on is compared as far as it is', async () => {
    await using bed = await openBed()
    const { client } = bed
    await client.deploy(personPlan('ask'))
    const a = (await client.startRun('ask', { inputs: { question: 'x' } })).run_id
    const b = (await client.startRun('ask', { inputs: { question: 'x' } })).run_id
    await restAt(bed, a, 'waiting')
    await restAt(bed, b, 'waiting')
    const [question] = await client.inputs({ runId: b })
    await client.answer(question?.input_id ?? '', 'yes')
    await bed.finished(b)
    const { steps, finals, cost } = await client.diff(a, b)
    expect(steps).toMatchObject([{ difference: 'only_b', status: { a: null, b: 'completed' } }])
    expect(finals).toMatchObject([{ concept_name: '{answer}', equal: false, a: null }])
    expect(cost.a.wall_ms).toBeNull()
  })
})
