import { describe, expect, test } from 'vitest'
import type { Dialect } from '#run/dialect'
import type { Effect, EffectOutcome } from '#run/effects'
import { PyDict, type Value } from '#value/value'
import { formatInputs, formatPythonInputs, pack, processElement, processPythonElement } from './input-values.ts'
import { readSelector, selectPart, transform, UnpackedList } from './selectors.ts'

const record = PyDict.from({ k: [1, 2], other: 'x' })

describe('selectors', () => {
  const select = (element: Value, selector: Record<string, Value>): Value =>
    selectPart(element, readSelector(PyDict.from(selector)))

  test('[INPUT-1] item, entry and taking apart', () => {
    expect(select([1, 2, 3], { index: -1 })).toBe(3)
    expect(select([1], { index: 5 })).toEqual([1])
    expect(select([null], { index: 0 })).toBeNull()
    expect(select([1], { index: -2 })).toEqual([1])
    expect(select('abc', { index: 0 })).toBe('abc')
    expect(select([record], { index: 0, key: 'other' })).toBe('x')
    expect(select(record, { key: 'none' })).toBeNull()
    expect(select('abc', { key: 'k' })).toBe('abc')
    expect(select(record, { key: 'k', unpack: true })).toEqual(new UnpackedList([1, 2]))
    expect(select(record, { key: 'other', unpack: true })).toBe('x')
    expect(select([record, 5], { key: 'k', unpack_before_selection: true })).toEqual(new UnpackedList([[1, 2], 5]))
  })

  test('[INPUT-1] fields of a wrong type count as absent', () => {
    expect(select([1, 2], { index: '0', unpack: 'yes' })).toEqual([1, 2])
    expect(readSelector(null)).toEqual({})
  })

  test('[INPUT-2] signs', () => {
    expect(run(change('%a(5)', { strip_wrapper: true }))).toBe(5)
    expect(run(change('%a(p.txt)', { new_wrapper: 'file_location' }))).toBe('%{file_location}id(p.txt)')
    expect(run(change('%a(f.txt)', { branch: PyDict.from({ path: 'NULL', text: 'file_location' }) }))).toEqual(
      PyDict.from({ path: 'f.txt', text: 'FILE' }),
    )
    expect(run(change(new UnpackedList(['%a(1)', '%a(2)']), { strip_wrapper: true }))).toEqual(new UnpackedList([1, 2]))
    expect(run(change('%a(5)', {}))).toBe('%a(5)')
  })

  function change(value: Value, selector: Record<string, Value>): Work {
    return transform(value, readSelector(PyDict.from(selector)), { dialect: '2026-01', nextId: () => 'id' })
  }
})

describe('inputs of compositions', () => {
  const process = (element: Value, dialect: Dialect = '2026-01'): Value => run(processElement(element, { dialect }))

  test('[INPUT-3] what is kept and what is perceived', () => {
    expect(process(record)).toBe(record)
    expect(process([record, record])).toEqual([record, record])
    expect(process([])).toEqual([])
    expect(process([[]])).toBe('')
    expect(process('%a(x)')).toBe('x')
    expect(process(['%a(x)', ['%{file_location}a(f.txt)']])).toEqual(['x', 'FILE'])
    expect(process(PyDict.from({ a: '%a(x)', b: 5 }))).toEqual(['x', 5])
    expect(process([record, '%a(x)'])).toEqual([record, 'x'])
    expect(process(['%{save_path}a(o)'])).toEqual(['{%{save_path}: o}'])
    expect(process(5)).toBe('5')
    expect(process(['%a(x)'])).toBe('x')
  })

  test('[INPUT-3] a single value keeps its type in the dialect of 2026-03', () => {
    expect(process(5, '2026-03')).toBe(5)
    expect(process('%a([1, 2])', '2026-03')).toEqual([1, 2])
    expect(process('%a([1, 2])')).toBe('[1, 2]')
  })

  test('[INPUT-4] numbers and keys', () => {
    const elements = ['a', '{%{prompt_template}: T\n}', ['b', '{%{save_dir}: d}'], null, '{%{other}: x}']
    expect(formatInputs(elements, '2026-01')).toEqual(
      PyDict.from({
        input_1: 'a',
        prompt_template: 'T\n',
        input_2: 'b',
        save_dir: 'd',
        input_3: null,
        input_4: '{%{other}: x}',
      }),
    )
  })

  test('[INPUT-5] lists', () => {
    const elements = [['a', 'b'], pack(['c', 'd']), new UnpackedList(['e', 'f'])]
    expect(formatInputs(elements, '2026-01').values()).toEqual(['a', 'b', ['c', 'd'], 'e', 'f'])
    expect(formatInputs(elements, '2026-03').values()).toEqual([['a', 'b'], ['c', 'd'], 'e', 'f'])
    expect(process(new UnpackedList(['%a(x)', '%a(y)']), '2026-03')).toEqual(new UnpackedList(['x', 'y']))
  })
})

describe('inputs of Python steps', () => {
  const process = (element: Value): Value => run(processPythonElement(element, { dialect: '2026-01' }))

  test('[INPUT-6] phrases and locations', () => {
    expect(process('%a-b(5)')).toBe('5')
    expect(process(['%a(1)', '%a(2)'])).toBe('1, and 2')
    expect(process(['%a(1)', ['%a(2)', 3]])).toBe('1, 2, and 3')
    expect(process('%{file_location}a(f.txt)')).toBe('f.txt')
    expect(process('%{generated_script_path}a(s.py)')).toBe('{%{script_location}: s.py}')
    expect(process('%{prompt_template}a(p.md)')).toBe('{%{prompt_location}: p.md}')
    expect(process('%{memorized_parameter}a(k)')).toBe('42')
    expect(formatPythonInputs(['1', '{%{script_location}: s.py}', '2'])).toEqual(
      PyDict.from({ input_1: '1', script_location: 's.py', input_2: '2' }),
    )
  })
})

type Work = Generator<Effect, Value, EffectOutcome>

function run(work: Work): Value {
  let step = work.next()
  while (step.done !== true) step = work.next(answer(step.value))
  return step.value
}

function answer(effect: Effect): EffectOutcome {
  if (effect.type === 'file.read' && effect.path === 'f.txt') return { ok: true, value: 'FILE' }
  if (effect.type === 'file.read' && effect.path === 'memorized.json') return { ok: true, value: '{"k": 42}' }
  throw new Error(`unexpected effect ${effect.type}`)
}

test('[INPUT-3] a value that is no text keeps its type only where signs are read as literals', () => {
  const perceived = (literalUntypedSigns: boolean) =>
    processElement([5], { dialect: '2026-03', literalUntypedSigns }).next().value
  expect(perceived(true)).toBe(5)
  expect(perceived(false)).toBe('5')
})

test('[INPUT-5] what is both unpacked and packed is one list', () => {
  const inputs = formatInputs([pack(new UnpackedList([1, 2])), 'x'], '2026-01')
  expect([...inputs.entries()]).toEqual([
    ['input_1', [1, 2]],
    ['input_2', 'x'],
  ])
})
