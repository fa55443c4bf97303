import { describe, expect, test } from 'vitest'
import type { EffectRequest } from './effects.ts'
import {
  answer,
  askModel,
  meta,
  openSketch,
  paradigmFile,
  play,
  type PlanSketch,
  type StepSketch,
} from './plan.fixture.ts'
import type { Progress, Run } from './run.ts'

const paradigms = { ask: askModel }

function copy(at: string, from: string, to: string): StepSketch {
  return {
    at,
    sequence: 'assigning',
    infers: to,
    values: [from],
    with: { syntax: { marker: '.', assign_source: from, assign_destination: to } },
  }
}

const chain: PlanSketch = {
  given: { '{c0}': 'x' },
  steps: Array.from({ length: 40 }, (_, i) => copy(`1.${i + 1}`, `{c${i}}`, `{c${i + 1}}`)),
  final: ['{c40}'],
}

const asking: PlanSketch = {
  given: { '{a}': ['p', 'q', 'r', 's'], '{b}': ['1', '2', '3'] },
  axes: { '{a}': ['x'], '{b}': ['y'] },
  paradigms,
  steps: ['1', '2'].map(at => ({
    at,
    sequence: 'imperative_in_composition',
    infers: `{made ${at}}`,
    values: ['{a}', '{b}'],
    with: { paradigm: 'ask', value_order: { '{a}': 1, '{b}': 2 } },
  })),
}

/** Gives turns until there is nothing more to do without outcomes. */
function turns(run: Run): Progress[] {
  const all = [run.advance()]
  while (all.at(-1)?.more) all.push(run.advance())
  return all
}

function playInTurns(run: Run): { records: unknown[]; requests: EffectRequest[]; turns: number } {
  const records: unknown[] = []
  const requests: EffectRequest[] = []
  let count = 0
  for (let place = 0; ; place++) {
    for (const progress of turns(run)) {
      count++
      records.push(...progress.records)
      requests.push(...progress.effects)
    }
    const request = requests[place]
    if (run.end !== null || request === undefined) return { records, requests, turns: count }
    const { effect } = request
    run.resolve(request.key, answer(effect.type === 'model.generate' ? `<${effect.prompt}>` : null))
  }
}

describe('turns', () => {
  test.each(['sequential', 'parallel'] as const)('[ENGINE-27] %s: a long run comes back between its steps', mode => {
    const whole = play(openSketch(chain, { mode }))
    const parts = playInTurns(openSketch(chain, { mode, unitsPerTurn: 500 }))
    expect(parts.records).toEqual(whole.records)
    expect(parts.turns).toBeGreaterThan(5)
  })

  test.each(['sequential', 'parallel'] as const)('[ENGINE-27] %s: turns change neither requests nor records', mode => {
    const whole = playInTurns(openSketch(asking, { mode }))
    expect(whole.records).toHaveLength(2)
    for (const unitsPerTurn of [1, 7, 30, 150]) {
      const parts = playInTurns(openSketch(asking, { mode, unitsPerTurn }))
      expect(parts.requests).toEqual(whole.requests)
      expect(parts.records).toEqual(whole.records)
      expect(parts.turns).toBeGreaterThan(whole.turns)
    }
  })

  test('[ENGINE-27] a long composition comes back between its calls', () => {
    const plan = Array.from({ length: 300 }, (_, i) => ({
      output_key: `k${i}`,
      function: meta('get'),
      params: { dictionary: '__initial_input__' },
      literal_params: { key: 'input_1' },
    }))
    const tools = { 'formatter_tool.get': 'result = tool.get' }
    const file = paradigmFile({ tools, steps: [['formatter_tool.get', 'get']], plan, returns: 'k299' })
    const step = { at: '1', sequence: 'imperative_in_composition', infers: '{b}', values: ['{a}'] }
    const sketch = { given: { '{a}': 'p' }, paradigms: { file }, steps: [{ ...step, with: { paradigm: 'file' } }] }
    const parts = playInTurns(openSketch(sketch, { unitsPerTurn: 100 }))
    expect(parts.turns).toBeGreaterThan(5)
    expect(parts.records).toEqual(play(openSketch(sketch)).records)
  })

  test('[ENGINE-18] a step asks for a thousand cells at a time, and for the others as answers come', () => {
    const many = { ...asking, given: { '{a}': Array.from({ length: 70 }, String), '{b}': Array(30).fill('y') } }
    const run = openSketch({ ...many, steps: many.steps.slice(0, 1) }, { mode: 'parallel' })
    const asked = [...run.advance().effects]
    expect(asked).toHaveLength(1000)
    for (let place = 0; place < asked.length; place++) {
      run.resolve(asked[place]?.key ?? '', answer(String(place)))
      asked.push(...run.advance().effects)
    }
    expect(asked).toHaveLength(2100)
    expect(run.end).toMatchObject({ status: 'completed' })
    expect(run.reference('{made 1}')?.shape).toEqual([70, 30])
  })

  test('[ENGINE-23] a run is cancelled between two turns', () => {
    const run = openSketch(chain, { unitsPerTurn: 500 })
    expect(run.advance()).toMatchObject({ more: true, end: null })
    expect(run.command({ type: 'cancel', reason: 'enough' })).toBeNull()
    expect(run.advance()).toMatchObject({ more: false, end: { reason: 'cancelled' } })
    expect(run.advance()).toMatchObject({ more: false, records: [] })
  })
})

describe('values that get out of hand', () => {
  test('[ENGINE-28] a step whose tensor would be too large fails, and the run says why', () => {
    const thousand = Array.from({ length: 1000 }, (_, i) => i)
    const { run } = play(
      openSketch(
        {
          given: { '{a}': thousand, '{b}': thousand, '{c}': thousand },
          axes: { '{a}': ['x'], '{b}': ['y'], '{c}': ['z'] },
          paradigms,
          steps: [
            {
              at: '1',
              sequence: 'imperative_in_composition',
              infers: '{d}',
              values: ['{a}', '{b}', '{c}'],
              with: { paradigm: 'ask', value_order: { '{a}': 1, '{b}': 2, '{c}': 3 } },
            },
          ],
        },
        { mode: 'parallel' },
      ),
    )
    expect(run.end).toMatchObject({ reason: 'step_failed' })
    expect(run.item('1')?.result).toContain('1000 x 1000 x 1000 cells is too large')
  })

  test('[ENGINE-28] a value that doubles from step to step ends the run before it ends the machine', () => {
    const grouping = (i: number): StepSketch => ({
      at: `1.${i + 1}`,
      sequence: 'grouping',
      infers: `{c${i + 1}}`,
      values: [`{c${i}}`, `{d${i}}`],
      with: { syntax: { marker: 'in', by_axes: [], labels: ['l', 'r'] } },
    })
    const steps = Array.from({ length: 60 }, (_, i) => [copy(`1.${i + 1}.1`, `{c${i}}`, `{d${i}}`), grouping(i)]).flat()
    const { run } = play(openSketch({ given: { '{c0}': 'x'.repeat(100) }, steps }))
    expect(run.end).toMatchObject({ status: 'failed', reason: 'step_failed' })
    const [first] = run.end?.stuck ?? []
    expect(first?.why.type === 'failed' ? first.why.message : first).toContain('too large')
  })
})
