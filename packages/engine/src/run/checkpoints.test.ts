import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeValue } from '#value/codec'
import { PyDict, PyFloat, PySet, PyTuple } from '#value/value'
import {
  decodeRecord,
  decodeReference,
  decodeSnapshot,
  encodeRecord,
  encodeReference,
  encodeSnapshot,
} from './codec.ts'
import { UnreadableError } from './codec-read.ts'
import { dataOf, openSketch, play, programOf, type PlanSketch, type StepSketch } from './plan.fixture.ts'
import { finalsOf, picking, playOut, shown, Told, withoutIds } from './playing.fixture.ts'
import { randomPlan } from './random-plan.test-data.ts'
import { reconcile, signaturesOf, stateAfter, type Reconciled, type ReconcileOptions } from './reconcile.ts'
import { Run, type RunInput, type RunOptions } from './run.ts'
import type { Snapshot } from './snapshot.ts'
import { copy, echo, loopOver, paradigms } from './sketches.fixture.ts'

const plans = fc.array(fc.nat(1000), { minLength: 10, maxLength: 90, size: 'max' }).map(randomPlan)
const modes = fc.constantFrom('sequential', 'parallel')
const bothModes = ['sequential', 'parallel'] as const
const MINUTE = 60_000
const noInputs: ReadonlyMap<string, RunInput> = new Map()

describe('states after records', () => {
  test(
    '[ENGINE-46] a run goes on from any record; in sequential mode exactly as it did',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.nat(), fc.nat(), (sketch, mode, seed, moment) => {
          const run = openSketch(sketch, { mode, maxCycles: 60 })
          const told = new Told()
          playOut(run, told, picking(seed))
          const records = told.records.slice(0, moment % (told.records.length + 1))
          const from = stateAfter(programOf(sketch), { mode, inputs: noInputs }, records)
          expect(from.records).toBe(records.length)
          const again = openSketch(sketch, { mode, maxCycles: 60, from })
          const rest = new Told()
          playOut(again, rest, picking(seed))
          if (run.end?.status === 'completed') {
            expect(again.end).toEqual(run.end)
            if (sketch.dialect !== '2026-01-strict') expect(finalsOf(again)).toBe(finalsOf(run))
          }
          if (mode === 'parallel') return
          expect(rest.records.map(shown)).toEqual(told.records.slice(records.length).map(shown))
          expect(again.end).toEqual(run.end)
          expect(again.cycle).toBe(run.cycle)
        }),
        { numRuns: 300, seed: 9 },
      )
    },
    MINUTE,
  )

  test('[ENGINE-47] the records of a loop hold what each turn added, not all that the loop has', () => {
    const elements = Array.from({ length: 60 }, (_, i) => `element ${i}`)
    const { records } = play(openSketch(loopOver(elements), { maxCycles: 500 }), echo)
    const sizes = records.map(record => encodeRecord(record, encodeReference).length)
    expect(records).toHaveLength(181)
    expect(Math.max(...sizes)).toBeLessThan(1000)
  })
})

describe('what is stored', () => {
  test('[ENGINE-48] references keep the Python types of their cells', () => {
    const cells = [1, new PyFloat(1), 2n ** 70n, new PyTuple(['a', null]), new PySet([1, 2]), PyDict.of([[1, 'one']])]
    const reference = { axes: ['x'], shape: [cells.length], data: cells }
    const token: unknown = JSON.parse(JSON.stringify(encodeReference(reference)))
    expect(encodeValue(decodeReference(token).data)).toBe(encodeValue(cells))
  })

  test('[ENGINE-48] one reference is put once for each text', () => {
    const run = openSketch(loopOver(['p', 'q']))
    const told = new Told()
    run.requestSnapshot()
    playOut(run, told)
    const put: unknown[] = []
    const snapshot = snapshotOf(run)
    encodeSnapshot(snapshot, reference => put.push(reference))
    expect(new Set(put).size).toBe(put.length)
  })

  test.each([
    'nothing',
    '[]',
    '{}',
    '{"kind":"other"}',
    '{"kind":"step","n":-1}',
    '{"kind":"step","n":1,"cycle":1,"flowIndex":"1","execution":1,"sequence":"s","concept":"c","status":"done"}',
    '{"kind":"step","n":1,"cycle":1,"flowIndex":"1","execution":1,"sequence":"s","concept":"c","status":"failed","changes":[["c",null,7]]}',
  ])('[ENGINE-49] a text that is no record is refused: %s', text => {
    expect(() => decodeRecord(text, decodeReference)).toThrow(UnreadableError)
    expect(() => decodeSnapshot(text, decodeReference)).toThrow(UnreadableError)
  })
})

function snapshotOf(run: Run): Snapshot {
  run.requestSnapshot()
  run.command({ type: 'continue' })
  const { snapshot } = run.advance()
  if (snapshot === null) throw new Error('There is no snapshot.')
  return snapshot
}

function asking(at: string, from: string, to: string, paradigm = 'ask'): StepSketch {
  const settings = { paradigm, value_order: { [from]: 1 } }
  return { at, sequence: 'imperative_in_composition', infers: to, values: [from], with: settings }
}

/** Two chains of questions that meet. */
const plan: PlanSketch = {
  given: { '{a}': 'x', '{k}': 'y' },
  final: ['{e}'],
  paradigms,
  steps: [
    asking('1', '{a}', '{b}'),
    asking('2', '{b}', '{c}'),
    asking('3', '{k}', '{d}'),
    { ...asking('4', '{c}', '{e}'), values: ['{c}', '{d}'], with: { paradigm: 'ask', value_order: { '{c}': 1 } } },
  ],
}

interface From {
  readonly before: PlanSketch
  readonly after: PlanSketch
  readonly saved: Snapshot
}

function saved(sketch: PlanSketch, mode: RunOptions['mode'], inputs = noInputs): Snapshot {
  const run = openSketch(sketch, { mode, inputs })
  playOut(run, new Told())
  return snapshotOf(run)
}

function reconciled({ before, after, saved: from }: From, options: Partial<ReconcileOptions> = {}): Reconciled {
  const hash = (content: string): string => content
  const signatures = { before: signaturesOf(programOf(before), hash), after: signaturesOf(programOf(after), hash) }
  const defaults = { mode: 'PATCH', isFork: false, signatures, inputs: noInputs, overrides: noInputs } as const
  return reconcile(programOf(after), from, { ...defaults, ...options })
}

/** Plays a run that begins with a reconciled state, and says which steps it executed. */
function playFrom(sketch: PlanSketch, mode: RunOptions['mode'], from: Snapshot): { run: Run; executed: string[] } {
  const run = new Run(programOf(sketch), { mode, maxCycles: 50, seed: 'other', inputs: noInputs, from })
  const told = new Told()
  for (;;) {
    if (told.take(run).end !== null) break
    const request = told.waiting.shift()
    if (request === undefined) throw new Error('The run waits for nothing.')
    run.resolve(request.key, echo(request))
  }
  return { run, executed: told.records.flatMap(record => (record.kind === 'step' ? [record.flowIndex] : [])) }
}

function final(run: Run): string {
  return withoutIds(encodeValue(dataOf(run, '{e}')))
}

describe.each(bothModes)('%s: taking a run over', mode => {
  const finished = (): Snapshot => {
    const run = openSketch(plan, { mode })
    const told = new Told()
    for (;;) {
      if (told.take(run).end !== null) return snapshotOf(run)
      const request = told.waiting.shift()
      if (request !== undefined) run.resolve(request.key, echo(request))
    }
  }

  test.each(['OVERWRITE', 'PATCH', 'FILL_GAPS'] as const)(
    '[ENGINE-50] %s onto the same plan goes on and does nothing again',
    kind => {
      const from = finished()
      const { snapshot, reset, discarded } = reconciled({ before: plan, after: plan, saved: from }, { mode: kind })
      expect({ reset, discarded }).toEqual({ reset: [], discarded: [] })
      const { run, executed } = playFrom(plan, mode, snapshot)
      expect(executed).toEqual([])
      expect(run.end?.status).toBe('completed')
      expect(snapshot.records).toBe(from.records)
    },
  )

  test('[ENGINE-51] PATCH does again what changed and all that depends on it, and keeps the rest', () => {
    const after = { ...plan, steps: plan.steps.with(1, asking('2', '{b}', '{c}', 'h_Data-c_PassThrough-o_Normal')) }
    const { snapshot, reset, kept, discarded } = reconciled({ before: plan, after, saved: finished() })
    expect(reset).toEqual(['2', '4'])
    expect(discarded).toEqual(['{c}', '{e}'])
    expect(kept).toEqual(expect.arrayContaining(['{a}', '{b}', '{d}', '{k}']))
    const { run, executed } = playFrom(after, mode, snapshot)
    expect(executed).toEqual(['2', '4'])
    expect(final(run)).toBe('["%(<<x>>)"]')
  })

  test('[ENGINE-51] PATCH does again what reads a given value that the plan changed, but never takes back an input', () => {
    const after = { ...plan, given: { '{a}': 'z', '{k}': 'y' } }
    const changed = reconciled({ before: plan, after, saved: finished() })
    expect(changed.reset).toEqual(['1', '2', '4'])
    expect(final(playFrom(after, mode, changed.snapshot).run)).toBe('["%(<<<z>>>)"]')
    const inputs = new Map([['{a}', { data: 'mine', axes: null }]])
    const supplied = reconciled({ before: plan, after, saved: saved(plan, mode, inputs) })
    expect(supplied.reset).toEqual([])
    expect(supplied.kept).toContain('{a}')
  })

  test('[ENGINE-51] steps that are new are done, and what they give is used', () => {
    const after = { ...plan, steps: [...plan.steps.with(0, copy('1', '{n}', '{b}')), asking('1.1', '{a}', '{n}')] }
    const { snapshot, reset } = reconciled({ before: plan, after, saved: finished() })
    expect(reset).toEqual(['1', '1.1', '2', '4'])
    expect(final(playFrom(after, mode, snapshot).run)).toBe('["%(<<<x>>>)"]')
  })

  test('[ENGINE-52] FILL_GAPS takes the given values of the plan where it has any', () => {
    const after = { ...plan, given: { '{a}': 'z', '{k}': 'y' } }
    const inputs = new Map([['{a}', { data: 'mine', axes: null }]])
    const from = saved(plan, mode, inputs)
    const { snapshot, reset } = reconciled({ before: plan, after, saved: from }, { mode: 'FILL_GAPS' })
    expect(reset).toEqual(['1', '2', '4'])
    expect(final(playFrom(after, mode, snapshot).run)).toBe('["%(<<<z>>>)"]')
    const over = reconciled({ before: plan, after, saved: from }, { mode: 'OVERWRITE' })
    expect(over.reset).toEqual([])
    expect(dataOf(playFrom(after, mode, over.snapshot).run, '{a}')).toEqual(['mine'])
  })

  test('[ENGINE-53] inputs and overridden values come before what is taken over', () => {
    const inputs = new Map([['{k}', { data: 'other', axes: null }]])
    const overrides = new Map([['{b}', { data: '%(by hand)', axes: null }]])
    const from = { before: plan, after: plan, saved: finished() }
    expect(reconciled(from, { inputs, mode: 'OVERWRITE' }).reset).toEqual(['3', '4'])
    const { snapshot, reset } = reconciled(from, { inputs, overrides, mode: 'OVERWRITE' })
    expect(reset).toEqual(['2', '3', '4'])
    const { run } = playFrom(plan, mode, snapshot)
    expect(withoutIds(encodeValue(dataOf(run, '{d}')))).toBe('["%(<other>)"]')
    expect(final(run)).toBe('["%(<<by hand>>)"]')
    const same = new Map([['{k}', { data: 'y', axes: null }]])
    expect(reconciled(from, { inputs: same }).reset).toEqual([])
  })

  test('[ENGINE-54] a fork that starts again does every step with the values that were given', () => {
    const inputs = new Map([['{a}', { data: 'mine', axes: null }]])
    const run = openSketch(plan, { mode, inputs })
    playOut(run, new Told())
    const from = { before: plan, after: plan, saved: snapshotOf(run) }
    const { snapshot, reset } = reconciled(from, { mode: 'OVERWRITE', isFork: true })
    expect(reset).toEqual(['1', '2', '3', '4'])
    expect(snapshot.tracker).toMatchObject({ cycleCount: 0, totalExecutions: 0, completionOrder: [] })
    const again = playFrom(plan, mode, snapshot)
    expect([...again.executed].sort()).toEqual(['1', '2', '3', '4'])
    expect(final(again.run)).toBe('["%(<<<mine>>>)"]')
  })

  test('[ENGINE-54] a fork of another plan takes over what that plan does not make itself', () => {
    const after: PlanSketch = {
      given: { '{e}': 'default' },
      final: ['{z}'],
      paradigms,
      steps: [asking('1', '{e}', '{z}')],
    }
    const result = (kind: ReconcileOptions['mode']): string => {
      const from = { before: plan, after, saved: finished() }
      const { run } = playFrom(after, mode, reconciled(from, { mode: kind, isFork: true }).snapshot)
      return withoutIds(encodeValue(dataOf(run, '{z}')))
    }
    expect(result('OVERWRITE')).toBe('["%(<<<<x>>>>)"]')
    expect(result('FILL_GAPS')).toBe('["%(<default>)"]')
    expect(result('PATCH')).toBe('["%(<default>)"]')
  })

  test('[ENGINE-55] a loop goes on with its iterations where it is unchanged, and starts again where it is not', () => {
    const before = loopOver(['p', 'q', 'r'])
    const run = openSketch(before, { mode })
    const told = new Told()
    run.command({ type: 'set_breakpoint', flowIndex: '1.1' })
    let count = 0
    while (count < 2) {
      const { held } = told.take(run)
      if (held !== null && ++count < 2) run.command({ type: 'continue' })
      const request = told.waiting.shift()
      if (request !== undefined) run.resolve(request.key, echo(request))
    }
    const from = stateAfter(programOf(before), { mode, inputs: noInputs }, told.records)
    const on = reconciled({ before, after: before, saved: from })
    expect(on.reset).toEqual([])
    expect(playFrom(before, mode, on.snapshot).executed.filter(index => index === '1.1.1')).toHaveLength(1)
    const [loop, operator] = before.steps
    if (!loop || !operator) throw new Error('The sketch has a loop.')
    const after = {
      ...before,
      steps: [loop, operator, asking('1.1.1', '{a}', '{answer}', 'h_Data-c_PassThrough-o_Normal')],
    }
    const anew = reconciled({ before, after, saved: from })
    expect(anew.reset).toContain('1.1.1')
    const played = playFrom(after, mode, anew.snapshot)
    expect(played.run.end?.status).toBe('completed')
  })

  test('[ENGINE-56] steps that had failed are done again', () => {
    const run = openSketch(plan, { mode })
    const told = new Told()
    told.take(run)
    const [request] = told.waiting
    run.resolve(request?.key ?? '', { ok: false, error: { name: 'model.unavailable', message: 'gone' } })
    while (told.take(run).end === null) {
      const next = told.waiting.find(({ key }) => run.awaits(key))
      if (next !== undefined) run.resolve(next.key, echo(next))
    }
    expect(run.end).toMatchObject({ reason: 'step_failed' })
    const { snapshot } = reconciled({ before: plan, after: plan, saved: snapshotOf(run) }, { mode: 'OVERWRITE' })
    expect(playFrom(plan, mode, snapshot).run.end?.status).toBe('completed')
  })
})

describe('signatures', () => {
  test('[ENGINE-57] a run changes no signature, and each part of a plan has its own', () => {
    const program = programOf(plan)
    const hash = (content: string): string => `${content.length}:${content}`
    const before = signaturesOf(program, hash)
    const run = new Run(program, { mode: 'parallel', maxCycles: 9, seed: 's', inputs: noInputs })
    run.command({ type: 'modify', flowIndex: '2', changes: PyDict.from({ paradigm: 'ask' }), prompt: 'x', retry: true })
    playOut(run, new Told())
    expect(signaturesOf(program, hash)).toEqual(before)
    expect(new Set(before.steps.values()).size).toBe(4)
  })

  test('[ENGINE-57] the files that a step names count where their contents are known', () => {
    const program = programOf({ ...plan, given: { ...plan.given, 'do 1': ['%{prompt_location}001(p.md)'] } })
    const signed = (content: string) => signaturesOf(program, text => text, { contentOf: () => content })
    expect(signed('one').steps.get('1')).not.toBe(signed('two').steps.get('1'))
    expect(signed('one').steps.get('2')).toBe(signed('two').steps.get('2'))
  })
})
