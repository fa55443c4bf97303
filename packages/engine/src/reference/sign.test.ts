import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Dialect } from '#run/dialect'
import type { Effect } from '#run/effects'
import { anyText } from '#value/arbitrary-value.test-data'
import { repr } from '#value/python-repr'
import { PyDict, PyFloat, PyTuple, type Value } from '#value/value'
import { perceive, readKeyed } from './perception.ts'
import { decodeSign, encodeSign, isSign, stripSign } from './sign.ts'

describe('signs', () => {
  test('[REF-13] what is encoded decodes', () => {
    const norm = fc.option(fc.stringMatching(/^[A-Za-z0-9_]+$/))
    const id = fc.stringMatching(/^[A-Za-z0-9]*$/)
    fc.assert(
      fc.property(anyText, norm, id, (text, given, name) => {
        const sign = encodeSign(text, given, name)
        expect(isSign(sign)).toBe(true)
        expect(decodeSign(sign)).toEqual({ norm: given === 'literal' ? null : given, id: name, signifier: text })
      }),
    )
  })

  test.each([
    ['%(5)', null, '', '5'],
    ['%{file_location}x1(a/b (1).txt)', 'file_location', 'x1', 'a/b (1).txt'],
    ['%a(line\nline)', null, 'a', 'line\nline'],
    ['%()', null, '', ''],
  ])('[REF-13] %j is a sign', (text, norm, id, signifier) => {
    expect(decodeSign(text)).toEqual({ norm, id, signifier })
  })

  test.each(['%{truth value}(true)', '%{}(x)', '%ab-c(x)', '%a_b(x)', '%a(x', 'x %a(x)', '%a(x) ', '(x)', '%', ''])(
    '[REF-13] %j is no sign',
    text => {
      expect(decodeSign(text)).toBeNull()
      expect(isSign(text)).toBe(false)
    },
  )

  test('[REF-13] values are encoded as Python writes them', () => {
    expect(encodeSign([1, 'x', new PyFloat(1e20), null], 'literal', 'abc')).toBe("%abc([1, 'x', 1e+20, None])")
    expect(encodeSign(true, 'truth_value', '9ab')).toBe('%{truth_value}9ab(True)')
  })

  test.each<[Value, string]>([
    ['%a(5)', '5'],
    ['%a(  5)', '5'],
    ['%a(007)', "'007'"],
    ['%a(True)', 'True'],
    ['%a(true)', "'true'"],
    ["%a({'a': (1, None)})", "{'a': (1, None)}"],
    ['%a({"a": true})', '\'{"a": true}\''],
    ['plain', "'plain'"],
    [['%a(5)'], "['%a(5)']"],
  ])('[REF-14] stripping %j gives %s', (value, expected) => {
    expect(repr(stripSign(value))).toBe(expected)
  })
})

describe('perception', () => {
  const files = new Map([
    ['f.txt', 'FILE'],
    ['memorized.json', '{"k": 42}'],
    ['other.json', '{"k": [1]}'],
    ['broken.json', '{'],
  ])

  test.each<[Value, Value]>([
    ['plain', 'plain'],
    [5, 5],
    ['%a(5)', '5'],
    ['%{unknown}a(v)', 'v'],
    ['%{file_location}a(f.txt)', 'FILE'],
    ['%{file_location}a(none.txt)', 'no file none.txt'],
    ['%{prompt_location}a(f.txt)', '{%{prompt_template}: FILE}'],
    ['%{prompt_location}a(none.txt)', 'ERROR: no file none.txt'],
    ['%{prompt}a(f.txt)', '{%{prompt_template}: FILE}'],
    ['%{prompt}a(Say hello.)', '{%{prompt_template}: Say hello.}'],
    ['%{script_location}a(p.py)', '{%{script_location}: p.py}'],
    ['%{generated_script_path}a(p.py)', '{%{script_location}: p.py}'],
    ['%{save_dir}a(out)', '{%{save_dir}: out}'],
    ['%{memorized_parameter}a(k)', 42],
    ['%{memorized_parameter}a({"key": "k", "location": "other.json"})', [1]],
  ])('[REF-15] %j', (value, expected) => {
    expect(run(value, '2026-01')).toEqual(expected)
  })

  test('[REF-15] what was not memorized is told as text', () => {
    expect(run('%{memorized_parameter}a(other)', '2026-01')).toMatch(/'other' not found/)
    expect(run('%{memorized_parameter}a({"key": "k", "location": "broken.json"})', '2026-01')).toMatch(/Expecting/)
    expect(run('%{memorized_parameter}a({"key": "k", "location": "none.json"})', '2026-01')).toBe('no file none.json')
  })

  test('[REF-16] untyped signs are literals in the dialect of 2026-03', () => {
    expect(run('%a(5)', '2026-03')).toBe(5)
    expect(run('%{literal}a((1, 2))', '2026-03')).toEqual(new PyTuple([1, 2]))
    expect(run("%a({'a': 1})", '2026-03')).toEqual(PyDict.from({ a: 1 }))
    expect(run('%a(five)', '2026-03')).toBe('five')
    expect(run('%{other}a(5)', '2026-03')).toBe('5')
    expect(run('%{literal}a(5)', '2026-01')).toBe('5')
  })

  test('[REF-15] keys are read from the text form', () => {
    expect(readKeyed('{%{save_path}: a: b}')).toEqual({ key: 'save_path', content: 'a: b' })
    expect(readKeyed('{%{save path}: a}')).toBeNull()
    expect(readKeyed('{%{a}: b')).toBeNull()
  })

  function run(value: Value, dialect: Dialect): Value {
    const work = perceive(value, { dialect })
    let step = work.next()
    while (step.done !== true) step = work.next(answer(step.value))
    return step.value
  }

  function answer(effect: Effect) {
    if (effect.type === 'file.exists') return { ok: true, value: files.has(effect.path) } as const
    if (effect.type !== 'file.read') throw new Error(`unexpected effect ${effect.type}`)
    const value = files.get(effect.path)
    if (value !== undefined) return { ok: true, value } as const
    return { ok: false, error: { name: 'FileNotFoundError', message: `no file ${effect.path}` } } as const
  }
})
