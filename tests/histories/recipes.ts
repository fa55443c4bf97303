import type { Command } from '@slipway/engine/run/commands'
import type { EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { refuse, type PlanSketch, type StepSketch } from '@slipway/engine/run/plan.fixture'
import type { Run, RunOptions } from '@slipway/engine/run/run'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import { copy, echo, loopOver, paradigms } from '@slipway/engine/run/sketches.fixture'
import { PyDict } from '@slipway/engine/value/value'

/** How a history of a small plan is made. */
export interface Recipe {
  readonly name: string
  readonly about: string
  readonly sketch: PlanSketch
  readonly mode: RunOptions['mode']
  readonly maxCycles?: number
  readonly answers?: (request: EffectRequest) => EffectOutcome | Promise<EffectOutcome>
  /** Given whenever the run is held or has ended, one after the other. */
  readonly commands?: readonly ((moment: Moment) => Command)[]
  /** The first commands, before anything starts. */
  readonly before?: readonly Command[]
}

/** What a command may be made from. */
export interface Moment {
  readonly run: Run
  /** Those that were taken so far. */
  readonly snapshots: readonly Snapshot[]
}

function asking(at: string, from: string, to: string): StepSketch {
  const settings = { paradigm: 'ask', value_order: { [from]: 1 } }
  return { at, sequence: 'imperative_in_composition', infers: to, values: [from], with: settings }
}

const chain: PlanSketch = {
  given: { '{a}': 'x' },
  final: ['{d}'],
  paradigms,
  steps: [asking('1', '{a}', '{b}'), asking('2', '{b}', '{c}'), asking('3', '{c}', '{d}')],
}

const question: PlanSketch = {
  given: { '{a}': ['Who are you?', 'From where?'] },
  axes: { '{a}': ['question'] },
  final: ['{b}'],
  steps: [{ at: '1', sequence: 'imperative_input', infers: '{b}', values: ['{a}'] }],
  dialect: '2026-03',
}

/** A judgement of each element, and a question about those that it chose. */
const masked: PlanSketch = {
  given: { '{m}': ['yes', 'no', 'yes'], '::do': '::do', '{list}': ['p', 'q'] },
  axes: { '{m}': ['x'], '{list}': ['item'] },
  final: ['{b}', '{all}'],
  paradigms,
  dialect: '2026-01-strict',
  steps: [
    ...loopOver(['p', 'q']).steps,
    { ...asking('2', '{m}', '{b}'), by: '::do' },
    { at: '2.1', sequence: 'timing', infers: '::do', with: { syntax: { marker: 'if', condition: '<c>' } } },
    {
      at: '2.2',
      sequence: 'judgement_in_composition',
      infers: '<c>',
      values: ['{m}'],
      with: {
        paradigm: 'ask',
        value_order: { '{m}': 1 },
        assertion_condition: { quantifiers: { x: 'for-each' }, condition: '<yes>' },
      },
    },
  ],
}

function carrying(sequence: string, index: string): PlanSketch {
  const base = loopOver(['p', 'q', 'r'])
  const [loop, operator] = base.steps
  if (!loop || !operator) throw new Error('The sketch has a loop.')
  const { loop_index: _, ...syntax } = (loop.with as { syntax: Record<string, unknown> }).syntax
  return {
    ...base,
    given: { ...base.given, '{sum}': ['%(0)'] },
    steps: [
      {
        ...loop,
        sequence,
        contexts: ['{a}', '{sum}'],
        with: { syntax: { ...syntax, [index]: 1, InLoopConcept: { '{sum}': 1 } } },
      },
      operator,
      { ...asking('1.1.1', '{sum}', '{answer}'), values: ['{a}', '{sum}'] },
      copy('1.1.2', '{answer}', '{sum}'),
    ],
  }
}

const stuck: PlanSketch = {
  given: { '{a}': 'x' },
  steps: [copy('1', '{b}', '{c}'), copy('1.1', '{nowhere}', '{d}'), copy('2', '{a}', '{e}')],
}

/** Fails the first time that it is asked, as an overloaded provider does. */
function failingOnce(): (request: EffectRequest) => EffectOutcome {
  let failed = false
  return request => {
    if (failed) return echo(request)
    failed = true
    return refuse('model.overloaded', 'later')
  }
}

const byHand: Command = {
  type: 'override',
  concept: '{b}',
  value: { data: '%(by hand)', axes: null },
  rerunDependents: true,
}

export const recipes: readonly Recipe[] = [
  { name: 'chain-parallel', about: 'Three questions, each about the answer before.', sketch: chain, mode: 'parallel' },
  {
    name: 'loop-sequential',
    about: 'A loop whose body asks about each element.',
    sketch: loopOver(['p', 'q', 'p', 'r']),
    mode: 'sequential',
  },
  {
    name: 'carry-parallel',
    about: 'A value goes from one iteration into the next.',
    sketch: { ...carrying('looping', 'loop_index'), dialect: '2026-03' },
    mode: 'parallel',
  },
  {
    name: 'quantifying-sequential',
    about: 'The older kind of loop, with a carried value.',
    sketch: carrying('quantifying', 'quantifier_index'),
    mode: 'sequential',
  },
  {
    name: 'masks-strict-sequential',
    about: 'A judgement of each element filters what the guarded step sees, as the reference engine does it.',
    sketch: masked,
    mode: 'sequential',
  },
  {
    name: 'masks-strict-parallel',
    about: 'The same in parallel mode.',
    sketch: masked,
    mode: 'parallel',
  },
  { name: 'people', about: 'Two questions to a person.', sketch: question, mode: 'sequential', answers: people },
  { name: 'deadlock', about: 'A step waits for what nobody makes.', sketch: stuck, mode: 'parallel' },
  {
    name: 'cycles-used-up',
    about: 'A loop that needs more cycles than it has, and gets them.',
    sketch: loopOver(['p', 'q', 'r', 's']),
    mode: 'sequential',
    maxCycles: 5,
    commands: [() => ({ type: 'continue' }), () => ({ type: 'continue' })],
  },
  {
    name: 'max-cycles',
    about: 'A loop that ends because its cycles are used up.',
    sketch: loopOver(['p', 'q', 'r', 's']),
    mode: 'parallel',
    maxCycles: 2,
  },
  {
    name: 'failed',
    about: 'A provider fails, and the run with it.',
    sketch: chain,
    mode: 'sequential',
    answers: failingOnce(),
  },
  {
    name: 'failed-and-done-again',
    about: 'A provider fails once; somebody has the step done again.',
    sketch: chain,
    mode: 'parallel',
    answers: failingOnce(),
    commands: [() => ({ type: 'rerun', flowIndex: '1' })],
  },
  {
    name: 'stepped',
    about: 'A run that is stepped through and run to a step, with breakpoints in a loop.',
    sketch: loopOver(['p', 'q', 'r']),
    mode: 'sequential',
    before: [
      { type: 'set_breakpoint', flowIndex: '1.1' },
      { type: 'set_breakpoint', flowIndex: '1.1.1' },
    ],
    commands: [
      () => ({ type: 'step' }),
      () => ({ type: 'clear_breakpoint', flowIndex: '1.1.1' }),
      () => ({ type: 'run_to', flowIndex: '1.1.1' }),
      () => ({ type: 'clear_breakpoints' }),
      () => ({ type: 'continue' }),
    ],
  },
  {
    name: 'changed-by-hand',
    about: 'A value is overridden and a step modified after the run has ended.',
    sketch: chain,
    mode: 'parallel',
    commands: [
      () => byHand,
      () => ({
        type: 'modify',
        flowIndex: '3',
        changes: PyDict.from({ paradigm: 'h_Data-c_PassThrough-o_Normal' }),
        prompt: null,
        retry: true,
      }),
    ],
  },
  {
    name: 'taken-back',
    about: 'A run goes back to an earlier moment, twice.',
    sketch: { ...loopOver(['p', 'q', 'r']), dialect: '2026-03' },
    mode: 'parallel',
    before: [{ type: 'set_breakpoint', flowIndex: '1.1' }],
    commands: [
      () => ({ type: 'continue' }),
      () => ({ type: 'continue' }),
      ({ snapshots }) => ({ type: 'restore', snapshot: earlier(snapshots) }),
      () => ({ type: 'clear_breakpoints' }),
      () => ({ type: 'continue' }),
      ({ snapshots }) => ({ type: 'restore', snapshot: earlier(snapshots) }),
    ],
  },
  {
    name: 'cancelled',
    about: 'A run is cancelled while it is held.',
    sketch: { ...chain, dialect: '2026-03' },
    mode: 'sequential',
    before: [{ type: 'run_to', flowIndex: '2' }],
    commands: [() => ({ type: 'cancel', reason: 'Nobody needs it any more.' })],
  },
  {
    name: 'cancelled-and-continued',
    about: 'A run is cancelled, and goes on after all.',
    sketch: { ...chain, dialect: '2026-03' },
    mode: 'parallel',
    before: [{ type: 'run_to', flowIndex: '2' }],
    commands: [() => ({ type: 'cancel', reason: 'Not now.' }), () => ({ type: 'continue' })],
  },
]

function earlier(snapshots: readonly Snapshot[]): Snapshot {
  const [, second] = snapshots
  if (second === undefined) throw new Error('There is no second snapshot.')
  return second
}

function people({ effect }: EffectRequest): EffectOutcome {
  if (effect.type !== 'input.ask') throw new Error(`Nobody answers ${effect.type}.`)
  return { ok: true, value: `A person answers: ${effect.interaction.prompt.length} characters.` }
}

/** Seeds of random plans that are steered at random, three of each dialect in either mode. */
export const randomSeeds: readonly number[] = Array.from({ length: 18 }, (_, i) => 1000 + i)

export function randomNumbers(seed: number, count: number): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * 1000)
  })
}
