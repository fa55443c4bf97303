import { describe, expect, test } from 'vitest'
import { encodeValue } from '#value/codec'
import { answer, dataOf, openSketch, play, refuse, type PlanSketch, type StepSketch } from './plan.fixture.ts'
import { ask, copy, echo, loopOver, paradigms } from './sketches.fixture.ts'

describe('order', () => {
  test('[ENGINE-2] a step waits for the steps below it and for its values', () => {
    const { records } = play(
      openSketch({
        given: { '{a}': 'x' },
        steps: [copy('1', '{b}', '{c}'), copy('1.1', '{d}', '{e}'), copy('2', '{a}', '{b}'), copy('3', '{a}', '{d}')],
      }),
    )
    expect(records.map(({ flowIndex }) => flowIndex)).toEqual(['2', '3', '1.1', '1'])
  })

  test('[ENGINE-2] of a list of sources one is enough', () => {
    const sources = { syntax: { marker: '.', assign_source: ['{never}', '{a}'] } }
    const step = { at: '1', sequence: 'assigning', infers: '{b}', values: ['{never}', '{a}'], with: sources }
    const { run } = play(openSketch({ given: { '{a}': 'x' }, steps: [step] }))
    expect(dataOf(run, '{b}')).toEqual(['x'])
  })

  test('[ENGINE-3] steps that did not complete come first in the next cycle', () => {
    const sketch: PlanSketch = {
      given: { '{a}': 'x' },
      steps: [
        copy('1', '{a}', '{late}'),
        { at: '2', sequence: 'timing', infers: '{t}', with: { syntax: { marker: 'after', condition: '{last}' } } },
        copy('3', '{second}', '{last}'),
        copy('4', '{a}', '{second}'),
      ],
    }
    const { records } = play(openSketch(sketch))
    expect(records.map(({ cycle, flowIndex, status }) => `${cycle} ${flowIndex} ${status}`)).toEqual([
      '1 1 completed',
      '1 2 pending',
      '1 4 completed',
      '2 2 pending',
      '2 3 completed',
      '3 2 completed',
    ])
  })

  test('[ENGINE-3] a step that a loop resets in the cycle in which it completed waits for its turn in the flow order', () => {
    const after = { syntax: { marker: 'after', condition: '{list}' } }
    const [loop] = loopOver([]).steps
    if (!loop) throw new Error('The sketch has a loop.')
    const { records } = play(
      openSketch({
        given: { '{given}': ['p'] },
        axes: { '{given}': ['item'] },
        steps: [
          loop,
          { at: '1.1', sequence: 'timing', infers: '{t}', with: after },
          copy('1.2', '{a}', '*loop'),
          copy('2', '{early}', '{list}'),
          copy('3', '{given}', '{early}'),
        ],
      }),
    )
    expect(records.map(({ cycle, flowIndex, status }) => `${cycle} ${flowIndex} ${status}`)).toEqual([
      '1 1.1 pending',
      '1 3 completed',
      '2 1.1 pending',
      '2 2 completed',
      '3 1.1 completed',
      '3 1 pending',
      '3 1.2 completed',
      '4 1.1 completed',
      '5 1 completed',
    ])
  })

  test('[ENGINE-17] every effect has its own key, and signs of later executions other ids', () => {
    const { requests, run } = play(openSketch(loopOver(['p', 'q', 'r'])), echo)
    expect(new Set(requests.map(({ key }) => key)).size).toBe(3)
    expect(requests.map(({ key }) => key)).toEqual(['1.1.1#1/0', '1.1.1#2/0', '1.1.1#3/0'])
    const ids = [...encodeValue(dataOf(run, '{all}')).matchAll(/%([0-9a-f]{3})\(/g)].map(match => match[1])
    expect(new Set(ids).size).toBe(3)
    const again = play(openSketch(loopOver(['p', 'q', 'r'])), echo)
    expect(dataOf(again.run, '{all}')).toEqual(dataOf(run, '{all}'))
    const other = play(openSketch(loopOver(['p', 'q', 'r']), { seed: 'another' }), echo)
    expect(dataOf(other.run, '{all}')).not.toEqual(dataOf(run, '{all}'))
  })
})

describe('end', () => {
  test.each(['sequential', 'parallel'] as const)('[ENGINE-11] %s: a deadlock says what each step waits for', mode => {
    const { run } = play(
      openSketch(
        {
          given: { '{a}': 'x' },
          steps: [copy('1', '{b}', '{c}'), copy('1.1', '{nowhere}', '{d}'), copy('2', '{a}', '{e}')],
        },
        { mode },
      ),
    )
    expect(run.end).toMatchObject({
      status: 'failed',
      reason: 'deadlock',
      stuck: [
        { flowIndex: '1', why: { type: 'waits_for_steps', flowIndexes: ['1.1'] } },
        { flowIndex: '1.1', why: { type: 'waits_for_concepts', concepts: ['{nowhere}'] } },
      ],
    })
    expect(dataOf(run, '{e}')).toEqual(['x'])
  })

  test.each(['sequential', 'parallel'] as const)('[ENGINE-12] %s: too few cycles', mode => {
    const { run } = play(openSketch(loopOver(['p', 'q', 'r']), { mode, maxCycles: 2 }), echo)
    expect(run.end).toMatchObject({ status: 'failed', reason: 'max_cycles' })
    expect(run.cycle).toBe(2)
  })

  test('[ENGINE-19] an undecided condition is a deadlock in parallel mode and uses up the cycles in sequential mode', () => {
    const sketch: PlanSketch = {
      given: { '{a}': 'x' },
      steps: [
        { at: '1', sequence: 'timing', infers: '{t}', with: { syntax: { marker: 'after', condition: '{nowhere}' } } },
        copy('2', '{a}', '{b}'),
      ],
    }
    const parallel = play(openSketch(sketch, { mode: 'parallel' })).run
    expect(parallel.end).toMatchObject({
      reason: 'deadlock',
      stuck: [{ why: { type: 'condition_undecided', concept: '{nowhere}' } }],
    })
    expect(parallel.item('1')?.executions).toBe(0)
    const sequential = play(openSketch(sketch, { maxCycles: 9 })).run
    expect(sequential.end).toMatchObject({ reason: 'max_cycles' })
    expect(sequential.item('1')?.executions).toBe(9)
  })

  test('[ENGINE-13] a failed step is not tried again and does not stop the others', () => {
    const broken = {
      at: '1',
      sequence: 'imperative_in_composition',
      infers: '{b}',
      values: ['{a}'],
      with: { paradigm: 'none such' },
    }
    const { run, records, events } = play(
      openSketch({ given: { '{a}': 'x' }, steps: [broken, copy('2', '{a}', '{c}'), copy('3', '{b}', '{d}')] }),
    )
    expect(run.end).toMatchObject({
      reason: 'step_failed',
      stuck: [{ flowIndex: '1', why: { type: 'failed' } }, { flowIndex: '3' }],
    })
    expect(records.filter(({ flowIndex }) => flowIndex === '1')).toHaveLength(1)
    expect(run.item('1')?.result).toContain('none such')
    expect(events).toContainEqual(expect.objectContaining({ type: 'inference:failed', flowIndex: '1' }))
    expect(dataOf(run, '{c}')).toEqual(['x'])
  })

  test('[ENGINE-23] a cancelled run takes no more outcomes', () => {
    const run = openSketch({
      given: { '{a}': 'x' },
      paradigms,
      steps: [{ at: '1', sequence: 'imperative_in_composition', infers: '{b}', values: ['{a}'], with: ask }],
    })
    const [request] = run.advance().effects
    expect(run.command({ type: 'cancel', reason: 'enough' })).toBeNull()
    expect(run.advance().end).toMatchObject({ reason: 'cancelled', message: 'enough' })
    expect(run.resolve(request?.key ?? '', answer('late'))).toBe(false)
    expect(run.reference('{b}')).toBeNull()
  })
})

test.each(['sequential', 'parallel'] as const)(
  '[ENGINE-2] %s: a value that is missing fails a step that does not order it too',
  mode => {
    const first = { at: '1', sequence: 'assigning', infers: '{empty}', with: { syntax: { marker: '%' } } }
    const guard = {
      at: '1.1',
      sequence: 'timing',
      infers: 'do 1',
      with: { syntax: { marker: 'if!', condition: '{a}' } },
    }
    const step = {
      at: '2',
      sequence: 'imperative_in_composition',
      infers: '{b}',
      values: ['{a}', '{empty}'],
      with: ask,
    }
    const { run } = play(openSketch({ given: { '{a}': 'x' }, paradigms, steps: [first, guard, step] }, { mode }), echo)
    expect(run.item('1')).toMatchObject({ detail: 'skipped' })
    expect(run.item('2')).toMatchObject({ status: 'failed', result: 'Error: The value {empty} has no reference.' })
  },
)

describe('errors', () => {
  const sketch: PlanSketch = {
    given: { '{a}': ['p', 'q', 'r'] },
    axes: { '{a}': ['x'] },
    paradigms,
    steps: [{ at: '1', sequence: 'imperative_in_composition', infers: '{b}', values: ['{a}'], with: ask }],
  }

  test.each(['sequential', 'parallel'] as const)(
    '[ENGINE-14] %s: a cell that throws is a skip with its error',
    mode => {
      const { run, records, events } = play(openSketch(sketch, { mode }), request =>
        request.effect.type === 'model.generate' && request.effect.prompt === 'q'
          ? refuse('ValueError', 'no q')
          : echo(request),
      )
      expect(encodeValue(dataOf(run, '{b}')).replace(/%[0-9a-f]{3}/g, '%')).toBe('["%(<p>)","@#SKIP#@","%(<r>)"]')
      expect(records[0]?.errors).toEqual([{ path: 'cells[1]', name: 'ValueError', message: 'no q' }])
      expect(events).toContainEqual(expect.objectContaining({ type: 'inference:error', flowIndex: '1' }))
      expect(run.end?.status).toBe('completed')
    },
  )

  test.each(['sequential', 'parallel'] as const)('[ENGINE-20] %s: a failure of the host fails the step', mode => {
    const { run } = play(openSketch(sketch, { mode }), request =>
      request.effect.type === 'model.generate' && request.effect.prompt === 'q'
        ? refuse('model.overloaded', 'later')
        : echo(request),
    )
    expect(run.end).toMatchObject({ reason: 'step_failed' })
    expect(run.item('1')?.result).toBe('Error: later')
    expect(run.reference('{b}')).toBeNull()
  })

  test('[ENGINE-15] without a function a step fails, and completes without a value in the strict dialect', () => {
    const unreadable: PlanSketch = { ...sketch, given: { ...sketch.given, 'do 1': [5] } }
    expect(play(openSketch(unreadable)).run.end).toMatchObject({ reason: 'step_failed' })
    const strict = play(openSketch({ ...unreadable, dialect: '2026-01-strict' })).run
    expect(strict.item('1')).toMatchObject({ status: 'completed', detail: 'success' })
    expect(strict.conceptStatus('{b}')).toBe('empty')
  })

  test('[ENGINE-18] cells ask together in parallel mode and one after another in sequential mode', () => {
    expect(openSketch(sketch, { mode: 'parallel' }).advance().effects).toHaveLength(3)
    expect(openSketch(sketch).advance().effects).toHaveLength(1)
  })

  test('[ENGINE-18] independent steps overlap, steps that ask people do not', () => {
    const steps = (paradigm: string): StepSketch[] =>
      ['1', '2'].map(at => ({
        at,
        sequence: 'imperative_in_composition',
        infers: `{b${at}}`,
        values: ['{a}'],
        with: { ...ask, paradigm },
      }))
    const effects = (paradigm: string) =>
      openSketch({ given: { '{a}': 'p' }, paradigms, steps: steps(paradigm) }, { mode: 'parallel' }).advance().effects
    expect(effects('ask')).toHaveLength(2)
    expect(effects('h_UserPrompt-c_Ask-o_Normal')).toHaveLength(1)
  })

  test('[ENGINE-21] a supplied input is complete, whether the concept is given or not', () => {
    const inputs = new Map([['{b}', { data: 'mine', axes: null }]])
    const { run } = play(openSketch({ steps: [copy('1', '{b}', '{c}')] }, { inputs }))
    expect(dataOf(run, '{c}')).toEqual(['mine'])
  })

  test('[ENGINE-22] records say what was written and events what happened', () => {
    const { records, events, run } = play(openSketch({ given: { '{a}': 'x' }, steps: [copy('1', '{a}', '{b}')] }))
    expect(records).toMatchObject([
      {
        n: 1,
        cycle: 1,
        flowIndex: '1',
        execution: 1,
        status: 'completed',
        detail: 'success',
        concept: '{b}',
        changes: [{ name: '{b}', status: 'complete' }],
        errors: [],
      },
    ])
    expect(records[0]?.changes[0]?.reference).toBe(run.reference('{b}'))
    expect(events.map(({ type }) => type)).toEqual([
      'cycle:started',
      'inference:started',
      'inference:completed',
      'execution:progress',
      'cycle:completed',
    ])
  })
})
