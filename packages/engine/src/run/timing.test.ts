import { describe, expect, test } from 'vitest'
import { encodeValue } from '#value/codec'
import { answer, askModel, dataOf, openSketch, play, type PlanSketch, type StepSketch } from './plan.fixture.ts'

const paradigms = { ask: askModel }

function judgement(at: string, from: string, to: string): StepSketch {
  const assertion = { quantifiers: { any: 'all' }, condition: 'yes' }
  const settings = { paradigm: 'ask', value_order: { [from]: 1 }, assertion_condition: assertion }
  return { at, sequence: 'judgement_in_composition', infers: to, values: [from], with: settings }
}

function timing(at: string, marker: string, condition: string, guarded: string): StepSketch {
  return { at, sequence: 'timing', infers: guarded, values: [condition], with: { syntax: { marker, condition } } }
}

function imperative(at: string, from: string, to: string, by?: string): StepSketch {
  const step = { at, sequence: 'imperative_in_composition', infers: to, values: [from] }
  return { ...step, ...(by === undefined ? {} : { by }), with: { paradigm: 'ask', value_order: { [from]: 1 } } }
}

/** `{b}` is inferred when `<c>` holds, `{d}` when it does not. */
const branches: PlanSketch = {
  given: { '{a}': 'question', '::b': ['::b'], '::d': ['::d'] },
  paradigms,
  steps: [
    judgement('1', '{a}', '<c>'),
    imperative('2', '{a}', '{b}', '::b'),
    timing('2.1', 'if', '<c>', '::b'),
    imperative('2.2', '{a}', '{below}'),
    imperative('3', '{a}', '{d}', '::d'),
    timing('3.1', 'if!', '<c>', '::d'),
    {
      at: '4',
      sequence: 'assigning',
      infers: '{end}',
      values: ['{b}', '{d}'],
      with: { syntax: { marker: '.', assign_source: ['{b}', '{d}'] } },
    },
  ],
}

describe.each(['sequential', 'parallel'] as const)('timing in %s mode', mode => {
  test.each([
    ['yes', '3', '{d}'],
    ['no', '2', '{b}'],
  ])('[ENGINE-7] the answer %s skips step %s', (reply, skipped, concept) => {
    const { run } = play(openSketch(branches, { mode }), ({ flowIndex }) =>
      answer(flowIndex === '1' ? reply : `from ${flowIndex}`),
    )
    expect(run.item(skipped)).toMatchObject({ status: 'completed', detail: 'skipped', executions: 0 })
    expect(run.item(skipped)?.result).toBe(`Skipped due to parent ${skipped}.1`)
    expect(run.conceptStatus(concept)).toBe('complete')
    expect(run.reference(concept)).toBeNull()
    const taken = skipped === '2' ? '3' : '2'
    expect(encodeValue(dataOf(run, '{end}'))).toContain(`from ${taken}`)
    expect(run.end?.status).toBe('completed')
    expect(run.tracker.skippedExecutions).toBe(1)
  })

  test('[ENGINE-10] a step below a skipped one still runs', () => {
    const { run, records } = play(openSketch(branches, { mode }), ({ flowIndex }) =>
      answer(flowIndex === '1' ? 'no' : 'x'),
    )
    expect(run.item('2.2')).toMatchObject({ status: 'completed', detail: 'success', executions: 1 })
    expect(records.flatMap(({ items }) => items)).toEqual([{ flowIndex: '2', status: 'completed', reason: 'skipped' }])
  })

  test('[ENGINE-7] a condition that was itself skipped decides nothing', () => {
    const sketch: PlanSketch = {
      given: { '{a}': 'question', '::b': ['::b'], '::d': ['::d'] },
      paradigms,
      steps: [
        judgement('1', '{a}', '<c>'),
        { ...judgement('2', '{a}', '<inner>'), by: '::b' },
        timing('2.1', 'if', '<c>', '::b'),
        imperative('3', '{a}', '{d}', '::d'),
        timing('3.1', 'if', '<inner>', '::d'),
      ],
    }
    const { run } = play(openSketch(sketch, { mode, maxCycles: 6 }), () => answer('no'))
    expect(run.item('2')?.detail).toBe('skipped')
    expect(run.item('3')?.status).toBe('pending')
    expect(run.end).toMatchObject({ reason: mode === 'parallel' ? 'deadlock' : 'max_cycles' })
  })
})

describe('filters', () => {
  /** A loop keeps the workspace in use; `{chosen}` is inferred from the elements that the judgement chose. */
  const sketch: PlanSketch = {
    given: { '{list}': ['p', 'q', 'r'], '{one}': ['only'], '::chosen': ['::chosen'] },
    axes: { '{list}': ['item'], '{one}': ['turn'] },
    paradigms,
    steps: [
      {
        at: '1',
        sequence: 'looping',
        infers: '{done}',
        by: '*loop',
        values: ['{one}'],
        contexts: ['{turn}'],
        with: {
          syntax: {
            loop_index: 1,
            LoopBaseConcept: '{one}',
            CurrentLoopBaseConcept: '{turn}',
            ConceptToInfer: ['{x}'],
          },
        },
      },
      {
        at: '1.1',
        sequence: 'assigning',
        infers: '*loop',
        values: ['{turn}'],
        with: { syntax: { marker: '.', assign_source: '{turn}' } },
      },
      {
        at: '2',
        sequence: 'judgement_in_composition',
        infers: '<good>',
        values: ['{list}'],
        with: {
          paradigm: 'ask',
          value_order: { '{list}': 1 },
          assertion_condition: { quantifiers: { item: 'for-each' }, condition: 'yes' },
        },
      },
      imperative('3', '{list}', '{chosen}', '::chosen'),
      timing('3.1', 'if', '<good>', '::chosen'),
      imperative('4', '{list}', '{all}'),
    ],
  }

  function answers({
    flowIndex,
    effect,
  }: {
    readonly flowIndex: string
    readonly effect: { readonly type: string; readonly prompt?: string }
  }) {
    if (flowIndex === '2') return answer(effect.prompt === 'q' ? 'no' : 'yes')
    return answer(`${flowIndex} ${effect.prompt ?? ''}`)
  }

  test('[ENGINE-16] the guarded step sees the elements that were chosen, and others see all', () => {
    const { run, requests } = play(openSketch(sketch), request => answers(request))
    expect(run.truthMask('<good>')?.filterAxis).toBe('item')
    const asked = (step: string) =>
      requests.flatMap(({ flowIndex, effect }) =>
        flowIndex === step && effect.type === 'model.generate' ? [effect.prompt] : [],
      )
    expect(asked('3')).toEqual(['p', 'r'])
    expect(asked('4')).toEqual(['p', 'q', 'r'])
    expect(dataOf(run, '{list}')).toEqual(['p', 'q', 'r'])
    expect(encodeValue(dataOf(run, '{chosen}'))).toContain('@#SKIP#@')
  })

  test('[ENGINE-16] the strict dialect filters the shared value itself', () => {
    const { run } = play(openSketch({ ...sketch, dialect: '2026-01-strict' }), request => answers(request))
    expect(dataOf(run, '{list}')).toEqual(['p', '@#SKIP#@', 'r'])
  })

  test('[ENGINE-16] without a loop nothing is filtered', () => {
    const { requests } = play(openSketch({ ...sketch, steps: sketch.steps.slice(2) }), request => answers(request))
    expect(requests.filter(({ flowIndex }) => flowIndex === '3')).toHaveLength(3)
  })
})
