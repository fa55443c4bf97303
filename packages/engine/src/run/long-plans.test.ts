import { describe, expect, test, vi } from 'vitest'
import { IndexSet } from './index-set.ts'
import { answer, askModel, openSketch, paradigmFile, meta, type PlanSketch, type StepSketch } from './plan.fixture.ts'
import type { EffectRequest } from './effects.ts'
import type { Run, RunOptions } from './run.ts'
import { VISIT_UNITS } from './sequential.ts'
import { Steps } from './steps.ts'

const readFile = paradigmFile({
  tools: { 'file_system.read': 'result = tool.read', 'formatter_tool.get': 'result = tool.get' },
  steps: [
    ['file_system.read', 'read'],
    ['formatter_tool.get', 'get'],
  ],
  plan: [
    {
      output_key: 'path',
      function: meta('get'),
      params: { dictionary: '__initial_input__' },
      literal_params: { key: 'input_1' },
    },
    { output_key: 'result', function: meta('read'), params: { __positional__: 'path' } },
  ],
  returns: 'result',
})

const paradigms = { ask: askModel, read: readFile }

function asking(at: string, from: string, to: string, paradigm = 'ask'): StepSketch {
  return {
    at,
    sequence: 'imperative_in_composition',
    infers: to,
    values: [from],
    with: { paradigm, value_order: { [from]: 1 } },
  }
}

/** Each step needs the one before it. */
function chain(length: number): PlanSketch {
  const steps = Array.from({ length }, (_, i) => asking(`1.${i + 1}`, `{c${i}}`, `{c${i + 1}}`))
  return { given: { '{c0}': 'x' }, paradigms, steps }
}

/** A chain in which a step at the end looks at what it does not wait for. */
function lookingChain(length: number): PlanSketch {
  const last: StepSketch = {
    at: '2',
    sequence: 'grouping',
    infers: '{all}',
    values: ['{c0}'],
    contexts: [`{c${length}}`],
    with: { syntax: { marker: 'in' } },
  }
  return { ...chain(length), steps: [...chain(length).steps, last] }
}

/** Each step needs the one after it. */
function backwards(length: number): PlanSketch {
  const steps = Array.from({ length }, (_, i) => asking(`1.${length - i}`, `{c${i}}`, `{c${i + 1}}`))
  return { given: { '{c0}': 'x' }, paradigms, steps }
}

/** All steps can start at once, or those of one lane one after the other. */
function fan(length: number, paradigm = 'ask'): PlanSketch {
  const steps = Array.from({ length }, (_, i) => asking(`1.${i + 1}`, '{c0}', `{d${i}}`, paradigm))
  return { given: { '{c0}': 'x' }, paradigms, steps }
}

/** Steps that all write what they all wait for. */
function crowd(length: number): PlanSketch {
  const steps = Array.from({ length }, (_, i) => asking(`1.${i + 1}`, '{c0}', '{d}'))
  return { given: { '{c0}': 'x' }, paradigms, steps }
}

/** Plays a run to its end; effects are answered in the order in which they are asked for. */
function playOut(run: Run): void {
  const waiting: EffectRequest[] = []
  for (let place = 0; ; place++) {
    const { effects, end } = run.advance()
    waiting.push(...effects)
    if (end !== null) return expect(end.status).toBe('completed')
    run.resolve(waiting[place]?.key ?? '', answer('y'))
  }
}

/** How often a step was looked at. */
function looksAtSteps(sketch: PlanSketch, mode: RunOptions['mode']): number {
  const spend = vi.spyOn(Steps.prototype, 'spend')
  playOut(openSketch(sketch, { mode, maxCycles: 10_000 }))
  const looks = spend.mock.calls.filter(([units]) => units === VISIT_UNITS).length
  spend.mockRestore()
  return looks
}

describe('plans of thousands of steps', () => {
  const cases: readonly (readonly [string, RunOptions['mode'], (length: number) => PlanSketch])[] = [
    ['a chain', 'parallel', chain],
    ['a chain', 'sequential', chain],
    ['a chain that a grouping looks at', 'parallel', lookingChain],
    ['a chain against the flow order', 'parallel', backwards],
    ['a chain against the flow order', 'sequential', backwards],
    ['steps that start at once', 'parallel', fan],
    ['steps that share a lane', 'parallel', length => fan(length, 'read')],
    ['steps that write the same', 'parallel', crowd],
  ]

  test.each(cases)('[ENGINE-58] %s in %s mode: ten times the steps are looked at ten times as often', (...options) => {
    const [, mode, plan] = options
    const [few, many] = [looksAtSteps(plan(50), mode), looksAtSteps(plan(500), mode)]
    expect(few).toBeGreaterThanOrEqual(50)
    expect(many).toBeLessThan(few * 11)
  })

  test('[ENGINE-58] how deep values depend on each other is not limited by the stack', () => {
    const run = openSketch(lookingChain(8000), { mode: 'parallel' })
    playOut(run)
    expect(run.tracker.completionOrder).toHaveLength(8001)
  })
})

describe('a set of places', () => {
  test('[ENGINE-58] gives its places in order, however far they are apart', () => {
    const places = [0, 1, 31, 32, 63, 64, 1023, 1024, 1025, 33_000, 99_999]
    const set = new IndexSet(100_000)
    for (const place of [...places].reverse()) set.add(place)
    const found = (from: number): number[] => {
      const next = set.next(from)
      return next < 0 ? [] : [next, ...found(next + 1)]
    }
    expect(found(0)).toEqual(places)
    expect(found(1024)).toEqual([1024, 1025, 33_000, 99_999])
    set.delete(1024)
    set.delete(1025)
    expect(set.next(1024)).toBe(33_000)
    expect([set.has(1023), set.has(1024), set.has(33_000)]).toEqual([true, false, true])
    set.delete(99_999)
    expect(set.next(33_001)).toBe(-1)
  })
})
