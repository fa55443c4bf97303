import { describe, expect, test } from 'vitest'
import { encodeValue } from '#value/codec'
import { answer, dataOf, openSketch, play, refuse, type PlanSketch, type StepSketch } from './plan.fixture.ts'
import { ask, copy, echo, loopOver } from './sketches.fixture.ts'

describe('loops', () => {
  test.each(['sequential', 'parallel'] as const)('[ENGINE-4] %s: each different element once, in order', mode => {
    const { run, requests, records } = play(openSketch(loopOver(['p', 'q', 'p', 'r']), { mode }), echo)
    expect(run.end?.status).toBe('completed')
    expect(requests.map(({ effect }) => (effect.type === 'model.generate' ? effect.prompt : ''))).toEqual([
      'p',
      'q',
      'r',
    ])
    expect(run.reference('{all}')?.axes).toEqual(['item', 'value'])
    expect(encodeValue(dataOf(run, '{all}')).replace(/%[0-9a-f]{3}/g, '%')).toBe('[["%(<p>)"],["%(<q>)"],["%(<r>)"]]')
    expect(run.item('1')?.count).toBe(4)
    const turns = records.filter(({ flowIndex }) => flowIndex === '1')
    expect(turns.map(({ status }) => status)).toEqual(['pending', 'pending', 'pending', 'completed'])
    expect(turns[1]?.items.map(({ flowIndex, reason }) => `${flowIndex} ${reason}`)).toEqual([
      '1.1 reset',
      '1.1.1 reset',
    ])
  })

  test('[ENGINE-4] the value of a given or invariant concept survives the next turn', () => {
    const base = loopOver(['p', 'q'])
    const kept = copy('1.1.2', '{a}', '{kept}')
    const lost = copy('1.1.3', '{a}', '{lost}')
    const run = openSketch({ ...base, invariant: ['{kept}'], steps: [...base.steps, kept, lost] })
    const seen: unknown[] = []
    play(run, request => {
      seen.push([run.reference('{kept}') !== null, run.reference('{lost}') !== null])
      return echo(request)
    })
    expect(seen).toEqual([
      [false, false],
      [true, false],
    ])
  })

  test.each(['sequential', 'parallel'] as const)('[ENGINE-4] %s: the skip of a body that threw is a result', mode => {
    const [loop] = loopOver([]).steps
    if (!loop) throw new Error('The sketch has a loop.')
    const body = { at: '1.1', sequence: 'imperative_in_composition', infers: '*loop', values: ['{a}'], with: ask }
    const { run } = play(openSketch(loopOver(['p', 'q', 'r'], { steps: [loop, body] }), { mode }), request =>
      request.effect.type === 'model.generate' && request.effect.prompt === 'q'
        ? refuse('ValueError', 'no q')
        : echo(request),
    )
    expect(run.item('1')?.status).toBe('completed')
    expect(encodeValue(dataOf(run, '{all}')).replace(/%[0-9a-f]{3}/g, '%')).toBe('[["%(<p>)"],["@#SKIP#@"],["%(<r>)"]]')
  })

  test('[ENGINE-4] an empty collection is done at once', () => {
    const { run, requests } = play(openSketch(loopOver([])), echo)
    expect(requests).toEqual([])
    expect(run.conceptStatus('{all}')).toBe('complete')
    expect(run.reference('{all}')?.shape).toEqual([0])
  })

  test.each([
    ['sequential', { InLoopConcept: { '{sum}': 1 } }],
    ['parallel', { InLoopConcept: { '{sum}': 1 } }],
    ['sequential', { InLoopConcept: { '{base}': { current_name: '{sum}', carry_over: 1 } } }],
    ['parallel', { CarryStateConcept: '{sum}', CarryStateSource: '{list}' }],
    ['sequential', { InLoopConcept: {}, CarryStateConcept: ['{sum}'] }],
  ] as const)('[ENGINE-5] %s, %j: a carried value comes from the iteration before', (mode, carry) => {
    const base = loopOver(['p', 'q', 'r'])
    const [loop, ...body] = base.steps
    if (!loop) throw new Error('The sketch has a loop.')
    const syntax = { ...(loop.with as { syntax: object }).syntax, ...carry }
    const sketch: PlanSketch = {
      ...base,
      given: { ...base.given, '{sum}': ['%(0)'] },
      steps: [
        { ...loop, contexts: ['{a}', '{sum}'], with: { syntax } },
        ...body.slice(0, 1),
        {
          at: '1.1.1',
          sequence: 'imperative_in_composition',
          infers: '{answer}',
          values: ['{a}', '{sum}'],
          with: { paradigm: 'ask', value_order: { '{sum}': 1 } },
        },
        copy('1.1.2', '{answer}', '{sum}'),
      ],
    }
    const { requests } = play(openSketch(sketch, { mode }), echo)
    expect(requests.map(({ effect }) => (effect.type === 'model.generate' ? effect.prompt : ''))).toEqual([
      '0',
      '<0>',
      '<<0>>',
    ])
  })

  test('[ENGINE-5] a value carried over two iterations is the present one until there are two', () => {
    const [loop, operator] = loopOver(['p', 'q', 'r', 's']).steps
    if (!loop || !operator) throw new Error('The sketch has a loop.')
    const syntax = { ...(loop.with as { syntax: object }).syntax, InLoopConcept: { '{last}': 2 } }
    const carrying = (at: string, value: string, to: string): StepSketch => ({
      at,
      sequence: 'imperative_in_composition',
      infers: to,
      values: ['{a}', value],
      with: { paradigm: 'ask', value_order: { [value]: 1 } },
    })
    const { requests } = play(
      openSketch({
        ...loopOver(['p', 'q', 'r', 's']),
        given: { '{list}': ['p', 'q', 'r', 's'], '{last}': ['%(0)'] },
        axes: { '{list}': ['item'], '{last}': ['_none_axis'] },
        steps: [
          { ...loop, contexts: ['{a}', '{last}'], with: { syntax } },
          operator,
          carrying('1.1.1', '{last}', '{answer}'),
          copy('1.1.2', '{a}', '{last}'),
        ],
      }),
      echo,
    )
    expect(requests.map(({ effect }) => (effect.type === 'model.generate' ? effect.prompt : ''))).toEqual([
      '0',
      'p',
      'p',
      'q',
    ])
  })

  test.each([
    [['_none_axis'], [['p', 'q']], ['_none_axis', 'value']],
    [['value'], ['p', 'q'], ['value', '_none_axis']],
  ] as const)(
    '[ENGINE-4] the results of a loop over %j lie on its axis, and what has none is `value`',
    (axes, list, expected) => {
      const { run } = play(openSketch(loopOver([], { given: { '{list}': list }, axes: { '{list}': axes } })), echo)
      expect(run.reference('{all}')?.axes).toEqual(expected)
      expect(run.reference('{all}')?.shape).toEqual([2, 1])
    },
  )

  test.each(['sequential', 'parallel'] as const)('[ENGINE-6] %s: what the body appends is gone over too', mode => {
    const base = loopOver(['p'])
    const grow = {
      at: '1.1.2',
      sequence: 'assigning',
      infers: '{list}',
      values: ['{answer}', '{list}', '{enough}'],
      with: { syntax: { marker: '+', assign_source: '{answer}', assign_destination: '{list}', by_axes: ['item'] } },
      by: '$+',
    }
    const sketch: PlanSketch = {
      ...base,
      steps: [
        ...base.steps,
        grow,
        { at: '1.1.2.1', sequence: 'timing', infers: '$+', with: { syntax: { marker: 'if!', condition: '{enough}' } } },
        {
          at: '1.1.3',
          sequence: 'judgement_in_composition',
          infers: '{enough}',
          values: ['{answer}'],
          with: {
            paradigm: 'ask',
            value_order: { '{answer}': 1 },
            assertion_condition: { quantifiers: { any: 'some' }, condition: 'stop' },
          },
        },
      ],
    }
    let turns = 0
    const { run } = play(openSketch(sketch, { mode }), ({ flowIndex }) => {
      if (flowIndex === '1.1.3') return answer(turns === 3 ? 'stop' : 'on')
      return answer(`answer ${++turns}`)
    })
    expect(run.end?.status).toBe('completed')
    expect(run.reference('{list}')?.shape).toEqual([3])
    expect(run.reference('{all}')?.shape).toEqual([3, 1])
  })
})

test('[ENGINE-8] a loop whose collection only its own body gives ends alike in both modes', () => {
  const base = loopOver([])
  const sketch: PlanSketch = {
    ...base,
    given: {},
    steps: [
      ...base.steps,
      {
        at: '1.1.2',
        sequence: 'assigning',
        infers: '{list}',
        with: { syntax: { marker: '%', face_value: ['p', 'q'], axis_names: ['item'] } },
      },
    ],
    invariant: ['{list}'],
    dialect: '2026-03',
  }
  const played = (['sequential', 'parallel'] as const).map(mode => play(openSketch(sketch, { mode }), echo).run)
  expect(played.map(run => run.end?.status)).toEqual(['completed', 'completed'])
  expect(played.map(run => run.reference('{all}')?.shape)).toEqual([
    [2, 1],
    [2, 1],
  ])
})
