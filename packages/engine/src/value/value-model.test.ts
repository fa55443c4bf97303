import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText, anyValue } from './arbitrary-value.test-data.ts'
import { safeSubstitute } from './template.ts'
import { equals, isTruthy } from './truth.ts'
import { PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

describe('equality', () => {
  test.each<[Value, Value]>([
    [1, new PyFloat(1)],
    [true, 1],
    [false, new PyFloat(-0)],
    [2n ** 60n, new PyFloat(2 ** 60)],
    [
      [1, [true]],
      [true, [new PyFloat(1)]],
    ],
    [PyDict.from({ a: 1, b: 2 }), PyDict.from({ b: 2, a: true })],
    [PySet.of([1, 2]), PySet.of([new PyFloat(2), 1])],
    [new PyBytes(Uint8Array.of(1)), new PyBytes(Uint8Array.of(1))],
  ])('[VALUE-5] case %#: equal', (a, b) => {
    expect(equals(a, b)).toBe(true)
    expect(equals(b, a)).toBe(true)
  })

  test.each<[Value, Value]>([
    [1, '1'],
    [0, null],
    [false, ''],
    [[1], new PyTuple([1])],
    [[1], [1, 2]],
    [PyDict.from({ a: 1 }), PyDict.from({ a: 2 })],
    [PyDict.from({ a: 1 }), PyDict.from({ b: 1 })],
    [PySet.of([1]), PySet.of([2])],
    [2n ** 60n + 1n, new PyFloat(2 ** 60)],
    [new PyFloat(Number.NaN), new PyFloat(Number.NaN)],
    [[], PyDict.of([])],
  ])('[VALUE-5] case %#: different', (a, b) => {
    expect(equals(a, b)).toBe(false)
    expect(equals(b, a)).toBe(false)
  })

  test('[VALUE-5] every value without nan equals itself, and the order of arguments does not matter', () => {
    fc.assert(fc.property(anyValue, value => equals(value, value)))
    fc.assert(fc.property(anyValue, anyValue, (a, b) => equals(a, b) === equals(b, a)))
  })
})

test('[VALUE-6] truth is Python’s', () => {
  const falsy: Value[] = [null, false, 0, '', [], new PyFloat(0), new PyFloat(-0), PyDict.of([]), new PyTuple([])]
  falsy.push(new PySet([]), new PyBytes(new Uint8Array()))
  const truthy: Value[] = [true, -1, 2n ** 60n, 'False', [null], new PyFloat(Number.NaN), PyDict.from({ a: null })]
  truthy.push(new PyTuple([0]), PySet.of([0]), new PyBytes(Uint8Array.of(0)))
  expect(falsy.map(isTruthy)).toEqual(falsy.map(() => false))
  expect(truthy.map(isTruthy)).toEqual(truthy.map(() => true))
})

describe('templates', () => {
  const values = PyDict.from({ a: 'A', input_1: 'one', input_10: [1, 'x'], _x9: null })

  test.each([
    ['$a ${a} $$ $$a', 'A A $ $a'],
    ['$input_1 $input_10 ${input_1}0', "one [1, 'x'] one0"],
    ['$missing ${missing} ${a ${} $1 $ $', '$missing ${missing} ${a ${} $1 $ $'],
    ['${ a} $中 $a中 $_x9', '${ a} $中 A中 None'],
    ['$aſ $A', 'Aſ $A'],
  ])('[VALUE-7] %j becomes %j', (template, expected) => {
    expect(safeSubstitute(template, values)).toBe(expected)
  })

  test('[VALUE-7] an inserted text is not looked at again', () => {
    expect(safeSubstitute('$a$b', PyDict.from({ a: '$b$$', b: 'x' }))).toBe('$b$$x')
  })

  test('[VALUE-7] a text without dollars stays as it is', () => {
    const plain = anyText.map(text => text.replaceAll('$', ''))
    fc.assert(fc.property(plain, text => void expect(safeSubstitute(text, values)).toBe(text)))
  })
})

describe('dicts', () => {
  test('[VALUE-16] equal keys are one key, and the first stays', () => {
    const dict = PyDict.of([
      [1, 'int'],
      ['1', 'text'],
      [new PyFloat(1), 'float'],
      [true, 'bool'],
    ])
    expect([...dict.entries()]).toEqual([
      [1, 'bool'],
      ['1', 'text'],
    ])
    expect(dict.get(new PyTuple([1]))).toBeUndefined()
  })

  test('[VALUE-16] lists and dicts are no keys', () => {
    expect(() => PyDict.of([[[1], 1]])).toThrow("unhashable type: 'list'")
    expect(() => PySet.of([PyDict.of([])])).toThrow("unhashable type: 'dict'")
  })

  test('[VALUE-16] a replaced entry keeps its place', () => {
    expect(PyDict.from({ a: 1, b: 2 }).with('a', 3).keys()).toEqual(['a', 'b'])
  })
})
