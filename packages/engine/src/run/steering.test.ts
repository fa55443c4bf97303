import { describe, expect, test } from 'vitest'
import { encodeValue } from '#value/codec'
import { PyDict } from '#value/value'
import type { Command } from './commands.ts'
import { dependentsOf, descendantsOf } from './dependencies.ts'
import {
  answer,
  dataOf,
  openSketch,
  play,
  programOf,
  refuse,
  type Answers,
  type PlanSketch,
  type StepSketch,
} from './plan.fixture.ts'
import { Told, withoutIds } from './playing.fixture.ts'
import type { StepRecord } from './records.ts'
import { Run, type Progress, type RunOptions } from './run.ts'
import { ask, copy, echo, loopOver, paradigms } from './sketches.fixture.ts'

const bothModes = ['sequential', 'parallel'] as const

function asking(at: string, from: string, to: string, extra: Partial<StepSketch> = {}): StepSketch {
  const settings = { paradigm: 'ask', value_order: { [from]: 1 } }
  return { at, sequence: 'imperative_in_composition', infers: to, values: [from], with: settings, ...extra }
}

/** Three questions, each about the answer before. */
const chain: PlanSketch = {
  given: { '{a}': 'x' },
  final: ['{d}'],
  paradigms,
  steps: [asking('1', '{a}', '{b}'), asking('2', '{b}', '{c}'), asking('3', '{c}', '{d}')],
}

function tell(run: Run, command: Command): void {
  expect(run.command(command)).toBeNull()
}

/** Answers until the run is held or has ended. */
function goOn(run: Run, told: Told = new Told()): Progress {
  for (;;) {
    const progress = told.take(run)
    told.drop(run)
    const request = told.waiting.shift()
    if (request === undefined) return progress
    run.resolve(request.key, echo(request))
  }
}

function executed(told: Told): string[] {
  return told.records.filter((record): record is StepRecord => record.kind === 'step').map(({ flowIndex }) => flowIndex)
}

function text(run: Run, concept: string): string {
  return withoutIds(encodeValue(dataOf(run, concept)))
}

describe('holding', () => {
  test.each(bothModes)('[ENGINE-35] %s: a breakpoint holds the run before its step, once for each command', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    tell(run, { type: 'set_breakpoint', flowIndex: '2' })
    expect(goOn(run, told)).toMatchObject({ end: null, held: { by: 'breakpoint', flowIndex: '2' } })
    expect(executed(told)).toEqual(['1'])
    expect(goOn(run, told)).toMatchObject({ held: { by: 'breakpoint' } })
    tell(run, { type: 'continue' })
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(told.events.filter(({ type }) => type.startsWith('breakpoint'))).toEqual([
      { type: 'breakpoint:set', flowIndex: '2' },
      { type: 'breakpoint:hit', flowIndex: '2', execution: 1 },
    ])
  })

  test('[ENGINE-35] a breakpoint in a loop holds every iteration, and none once it is cleared', () => {
    const run = openSketch(loopOver(['p', 'q', 'r', 's']))
    const told = new Told()
    tell(run, { type: 'set_breakpoint', flowIndex: '1.1' })
    for (const execution of [1, 2]) {
      expect(goOn(run, told).held).toEqual({ by: 'breakpoint', flowIndex: '1.1' })
      expect(told.events).toContainEqual({ type: 'breakpoint:hit', flowIndex: '1.1', execution })
      tell(run, { type: 'continue' })
    }
    tell(run, { type: 'clear_breakpoint', flowIndex: '1.1' })
    expect(run.breakpoints).toEqual([])
    expect(goOn(run, told).end?.status).toBe('completed')
  })

  test.each(bothModes)('[ENGINE-36] %s: a step lets one step start, also past a breakpoint', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    tell(run, { type: 'set_breakpoint', flowIndex: '1' })
    expect(goOn(run, told).held).toEqual({ by: 'breakpoint', flowIndex: '1' })
    tell(run, { type: 'step' })
    expect(goOn(run, told).held).toEqual({ by: 'step', flowIndex: '2' })
    tell(run, { type: 'step' })
    expect(goOn(run, told).held).toEqual({ by: 'step', flowIndex: '3' })
    expect(executed(told)).toEqual(['1', '2'])
    tell(run, { type: 'step' })
    expect(goOn(run, told)).toMatchObject({ end: { status: 'completed' }, held: null })
  })

  test.each(bothModes)('[ENGINE-37] %s: a run goes to a step and holds when that has executed', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    tell(run, { type: 'run_to', flowIndex: '2' })
    expect(goOn(run, told).held).toEqual({ by: 'run_to', flowIndex: '2' })
    expect(executed(told)).toEqual(['1', '2'])
    tell(run, { type: 'continue' })
    expect(goOn(run, told).end?.status).toBe('completed')
  })

  test.each(bothModes)('[ENGINE-31] %s: a limit of starts lets what is under way go on, and is no deadlock', mode => {
    const run = openSketch(chain, { mode })
    run.limitStarts(0)
    expect(run.advance()).toMatchObject({ effects: [], end: null, held: { by: 'limit', flowIndex: '1' } })
    run.limitStarts(1)
    const [request] = run.advance().effects
    expect(request?.key).toBe('1#1/0')
    expect(run.advance().held).toBeNull()
    run.resolve('1#1/0', answer('y'))
    expect(run.advance()).toMatchObject({ end: null, held: { by: 'limit', flowIndex: '2' } })
    run.limitStarts(null)
    expect(run.advance().effects).toHaveLength(1)
  })
})

describe('values', () => {
  test.each(bothModes)('[ENGINE-38] %s: an overridden value keeps its axes, and dependents are done again', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    goOn(run, told)
    expect(text(run, '{d}')).toBe('["%(<<<x>>>)"]')
    const before = run.reference('{b}')
    tell(run, { type: 'override', concept: '{b}', value: { data: '%(mine)', axes: null }, rerunDependents: true })
    expect(run.end).toBeNull()
    expect(run.reference('{b}')?.axes).toEqual(before?.axes)
    expect(run.item('2')).toMatchObject({ status: 'pending', detail: null, result: null, count: 0, executions: 1 })
    expect(run.reference('{c}')).toBeNull()
    goOn(run, told)
    expect(text(run, '{d}')).toBe('["%(<<mine>>)"]')
    expect(executed(told)).toEqual(['1', '2', '3', '2', '3'])
    expect(told.events).toContainEqual({ type: 'value:overridden', conceptName: '{b}', rerunDependents: true })
    expect(told.events).toContainEqual({ type: 'execution:partial_reset', flowIndexes: ['2', '3'] })
    expect(new Set(told.keys).size).toBe(told.keys.length)
  })

  test('[ENGINE-38] without its dependents only the value changes', () => {
    const run = openSketch(chain)
    goOn(run)
    tell(run, { type: 'override', concept: '{b}', value: { data: ['m', 'n'], axes: ['z'] }, rerunDependents: false })
    goOn(run)
    expect(run.reference('{b}')).toEqual({ axes: ['z'], shape: [2], data: ['m', 'n'] })
    expect(text(run, '{d}')).toBe('["%(<<<x>>>)"]')
  })

  test.each(bothModes)('[ENGINE-39] %s: a value stands in for a step that failed or has not run', mode => {
    const run = openSketch(chain, { mode })
    const [request] = run.advance().effects
    run.resolve(request?.key ?? '', refuse('model.unavailable', 'gone'))
    expect(run.advance().end).toMatchObject({ reason: 'step_failed' })
    tell(run, { type: 'override', concept: '{b}', value: { data: '%(by hand)', axes: null }, rerunDependents: false })
    const told = new Told()
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(executed(told)).toEqual(['2', '3'])
    expect(run.item('1')).toMatchObject({ status: 'completed', detail: 'success', result: 'Overridden' })
    const other = openSketch(chain, { mode })
    other.advance()
    tell(other, { type: 'override', concept: '{b}', value: { data: '%(by hand)', axes: null }, rerunDependents: false })
    expect(other.resolve('1#1/0', answer('late'))).toBe(false)
    goOn(other)
    expect(text(other, '{d}')).toBe('["%(<<by hand>>)"]')
  })

  const judged: PlanSketch = {
    given: { '{a}': 'x' },
    final: ['{b}'],
    paradigms,
    steps: [
      asking('1', '{a}', '{b}', { by: '::do' }),
      { at: '1.1', sequence: 'timing', infers: '::do', with: { syntax: { marker: 'if', condition: '<c>' } } },
      {
        at: '1.2',
        sequence: 'judgement_in_composition',
        infers: '<c>',
        values: ['{a}'],
        with: { ...ask, assertion_condition: { quantifiers: { any: 'some' }, condition: true } },
      },
    ],
  }

  test.each(bothModes)('[ENGINE-40] %s: an overridden condition decides anew which steps are skipped', mode => {
    const run = openSketch({ ...judged, given: { '{a}': 'x', '::do': '::do' } }, { mode })
    goOn(run)
    expect(run.item('1')).toMatchObject({ status: 'completed', detail: 'skipped' })
    tell(run, { type: 'override', concept: '<c>', value: { data: true, axes: null }, rerunDependents: true })
    goOn(run)
    expect(run.item('1')).toMatchObject({ status: 'completed', detail: 'success' })
    expect(text(run, '{b}')).toBe('["%(<x>)"]')
    tell(run, { type: 'override', concept: '<c>', value: { data: false, axes: null }, rerunDependents: true })
    expect(goOn(run).end?.status).toBe('completed')
    expect(run.item('1')).toMatchObject({ detail: 'skipped' })
    expect(run.reference('{b}')).toBeNull()
  })

  test('[ENGINE-38] what is not known or does not fit is refused, and changes nothing', () => {
    const run = openSketch(chain)
    const value = { data: ['m'], axes: ['z', 'z'] }
    const refusals = [
      run.command({ type: 'override', concept: '{none}', value, rerunDependents: true }),
      run.command({ type: 'override', concept: '{b}', value, rerunDependents: true }),
      run.command({ type: 'rerun', flowIndex: '9' }),
      run.command({
        type: 'modify',
        flowIndex: '1',
        changes: PyDict.from({ paradigm: 'x' }),
        prompt: null,
        retry: true,
      }),
    ]
    expect(refusals.map(refusal => refusal?.code)).toEqual([
      'concept_unknown',
      'value_invalid',
      'step_unknown',
      'paradigm_unknown',
    ])
    expect(run.records).toBe(0)
    tell(run, { type: 'cancel', reason: 'enough' })
    expect(run.command({ type: 'cancel', reason: 'more' })?.code).toBe('run_ended')
    expect(run.end).toMatchObject({ message: 'enough' })
  })
})

describe('steps', () => {
  test.each(bothModes)('[ENGINE-33] %s: a failed step is done again, and what is under way is given up', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    const [request] = told.take(run).effects
    run.resolve(request?.key ?? '', refuse('model.unavailable', 'gone'))
    told.take(run)
    tell(run, { type: 'rerun', flowIndex: '1' })
    expect(told.take(run).effects.map(({ key }) => key)).toEqual(['1#2/0'])
    tell(run, { type: 'rerun', flowIndex: '1' })
    expect(told.take(run).effects.map(({ key }) => key)).toEqual(['1#3/0'])
    expect(run.awaits('1#2/0')).toBe(false)
    expect(run.resolve('1#2/0', answer('late'))).toBe(false)
    told.drop(run)
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(told.records.at(-4)).toMatchObject({ kind: 'command', givenUp: [{ flowIndex: '1', execution: 2 }] })
  })

  test.each(bothModes)('[ENGINE-41] %s: in a loop that is under way only the present iteration is done again', mode => {
    const run = openSketch(loopOver(['p', 'q', 'r']), { mode })
    const told = new Told()
    tell(run, { type: 'set_breakpoint', flowIndex: '1.1' })
    goOn(run, told)
    tell(run, { type: 'continue' })
    expect(goOn(run, told).held?.by).toBe('breakpoint')
    tell(run, { type: 'rerun', flowIndex: '1.1.1' })
    tell(run, { type: 'clear_breakpoints' })
    tell(run, { type: 'continue' })
    expect(goOn(run, told).end?.status).toBe('completed')
    const asked = executed(told).filter(flowIndex => flowIndex === '1.1.1')
    expect(asked).toHaveLength(4)
    expect(text(run, '{all}')).toBe('[["%(<p>)"],["%(<q>)"],["%(<r>)"]]')
  })

  test.each(bothModes)('[ENGINE-41] %s: a loop starts again when what all its iterations read is overridden', mode => {
    const base = loopOver(['p', 'q', 'r'])
    const [loop, operator] = base.steps
    if (!loop || !operator) throw new Error('The sketch has a loop.')
    const body = asking('1.1.1', '{k}', '{answer}', { values: ['{a}', '{k}'] })
    const run = openSketch({ ...base, given: { ...base.given, '{k}': 'old' }, steps: [loop, operator, body] }, { mode })
    const told = new Told()
    tell(run, { type: 'set_breakpoint', flowIndex: '1.1' })
    goOn(run, told)
    tell(run, { type: 'continue' })
    expect(goOn(run, told).held?.by).toBe('breakpoint')
    tell(run, { type: 'override', concept: '{k}', value: { data: 'new', axes: null }, rerunDependents: true })
    tell(run, { type: 'clear_breakpoints' })
    tell(run, { type: 'continue' })
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(text(run, '{all}')).toBe('[["%(<new>)"],["%(<new>)"],["%(<new>)"]]')
  })

  test.each(bothModes)('[ENGINE-41] %s: a loop that is over starts again with what it was given', mode => {
    const base = loopOver(['p', 'q'])
    const [loop, operator] = base.steps
    if (!loop || !operator) throw new Error('The sketch has a loop.')
    const syntax = { ...(loop.with as { syntax: object }).syntax, InLoopConcept: { '{sum}': 1 } }
    const sketch: PlanSketch = {
      ...base,
      given: { ...base.given, '{sum}': ['%(0)'] },
      steps: [
        { ...loop, contexts: ['{a}', '{sum}'], with: { syntax } },
        operator,
        asking('1.1.1', '{sum}', '{answer}', { values: ['{a}', '{sum}'] }),
        copy('1.1.2', '{answer}', '{sum}'),
      ],
    }
    const run = openSketch(sketch, { mode })
    goOn(run)
    const all = text(run, '{all}')
    tell(run, { type: 'rerun', flowIndex: '1.1.2' })
    expect(run.reference('{sum}')?.data).toEqual(['%(0)'])
    goOn(run)
    expect(text(run, '{all}')).toBe(all)
    expect(run.end?.status).toBe('completed')
  })

  test.each(bothModes)('[ENGINE-42] %s: a modified step works otherwise in this run alone', mode => {
    const program = programOf(chain)
    const options: RunOptions = { mode, maxCycles: 9, seed: 'test', inputs: new Map() }
    const run = new Run(program, options)
    goOn(run)
    expect(text(run, '{d}')).toBe('["%(<<<x>>>)"]')
    const changes = PyDict.from({ paradigm: 'h_Data-c_PassThrough-o_Normal' })
    tell(run, { type: 'modify', flowIndex: '2', changes, prompt: null, retry: true })
    const told = new Told()
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(text(run, '{d}')).toBe('["%(<<x>>)"]')
    expect(executed(told)).toEqual(['2', '3'])
    expect(told.records[0]).toMatchObject({ kind: 'command', command: { type: 'modify', flowIndex: '2', retry: true } })
    expect(told.events).toContainEqual({
      type: 'function:modified',
      flowIndex: '2',
      keys: ['paradigm'],
      hasPrompt: false,
    })
    const other = new Run(program, options)
    goOn(other)
    expect(text(other, '{d}')).toBe('["%(<<<x>>>)"]')
  })

  test.each([
    ['a file', '%{prompt_location}001(prompts/ask.md)'],
    ['a file that a bare sign names', '%001(prompts/ask.md)'],
    ['a file that a text names', 'prompts/ask.md'],
  ])('[ENGINE-42] the prompt of a step is replaced where it comes from %s', (_what, cell) => {
    const paradigm = 'h_Message_Status-v_Prompt-c_LLMGenerate-o_Memo'
    const sketch: PlanSketch = {
      given: { '{a}': 'x', 'do it': [cell] },
      steps: [{ ...asking('1', '{a}', '{b}', { by: 'do it' }), with: { paradigm, value_order: { '{a}': 1 } } }],
    }
    const shown: string[] = []
    const answers: Answers = ({ effect }) => {
      shown.push(effect.type === 'model.generate' ? effect.prompt : effect.type)
      return answer(effect.type === 'file.read' ? 'From the file: $input_1' : 'answer')
    }
    play(openSketch(sketch), answers)
    const run = openSketch(sketch)
    tell(run, {
      type: 'modify',
      flowIndex: '1',
      changes: new PyDict(),
      prompt: 'Mine (of late): $input_1',
      retry: false,
    })
    play(run, answers)
    expect(shown).toEqual(['file.read', 'From the file: x', 'Mine (of late): x'])
    expect(run.end?.status).toBe('completed')
  })
})

describe('going back', () => {
  test.each(bothModes)('[ENGINE-43] %s: a run goes back to a snapshot, but its numbers never do', mode => {
    const run = openSketch(chain, { mode })
    const told = new Told()
    run.requestSnapshot()
    tell(run, { type: 'run_to', flowIndex: '1' })
    goOn(run, told)
    run.requestSnapshot()
    tell(run, { type: 'continue' })
    goOn(run, told)
    const snapshot = told.snapshots.at(-1)
    if (snapshot === undefined) throw new Error('There is no snapshot.')
    expect(text(run, '{d}')).toBe('["%(<<<x>>>)"]')
    const { starts, emitted, records } = run
    tell(run, { type: 'restore', snapshot })
    expect(run.end).toBeNull()
    expect(run.reference('{c}')).toBeNull()
    expect(run.item('2')).toMatchObject({ status: 'pending', executions: 1 })
    expect(run).toMatchObject({ starts, records: records + 1, emitted: emitted + 1 })
    goOn(run, told)
    expect(executed(told)).toEqual(['1', '2', '3', '2', '3'])
    expect(told.keys.at(-1)).toBe('3#2/0')
    expect(told.records.map(({ n }) => n)).toEqual(told.records.map((_, place) => place + 1))
    expect(text(run, '{d}')).toBe('["%(<<<x>>>)"]')
  })

  test('[ENGINE-23] a cancelled run goes on when somebody says so', () => {
    const run = openSketch(chain)
    const told = new Told()
    told.take(run)
    tell(run, { type: 'cancel', reason: 'enough' })
    expect(told.take(run).end).toMatchObject({ reason: 'cancelled' })
    tell(run, { type: 'continue' })
    told.drop(run)
    expect(goOn(run, told).end?.status).toBe('completed')
    expect(told.keys).toEqual(['1#1/0', '1#2/0', '2#1/0', '3#1/0'])
  })

  test.each(bothModes)('[ENGINE-44] %s: a run that used up its cycles gets as many again', mode => {
    const run = openSketch(loopOver(['p', 'q', 'r', 's']), { mode, maxCycles: 3 })
    const cycles: number[] = []
    while (goOn(run).end?.reason === 'max_cycles') {
      cycles.push(run.cycle)
      tell(run, { type: 'continue' })
    }
    expect(cycles.slice(0, 1)).toEqual([3])
    expect(cycles).toEqual(cycles.map((_, place) => 3 * (place + 1)))
    expect(run.end).toMatchObject({ status: 'completed' })
  })
})

describe('who depends on whom', () => {
  test('[ENGINE-45] users of a value are found through other steps, conditions and loops, in flow order', () => {
    const program = programOf(chain)
    expect(dependentsOf(program, '{b}')).toEqual(['2', '3'])
    expect(descendantsOf(program, '1')).toEqual(['2', '3'])
    expect(descendantsOf(program, '3')).toEqual([])
    expect(dependentsOf(program, '{none}')).toEqual([])
    const loop = programOf(loopOver(['p']))
    expect(dependentsOf(loop, '{list}')).toEqual(['1', '1.1', '1.1.1'])
    expect(descendantsOf(loop, '1.1.1')).toEqual(['1', '1.1'])
  })
})
