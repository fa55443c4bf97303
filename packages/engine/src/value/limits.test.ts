import { describe, expect, test } from 'vitest'
import { MAX_CELLS, requireCells, weigh } from './limits.ts'
import { literalEval } from './literal-eval.ts'
import { safeSubstitute } from './template.ts'
import { PyBytes, PyDict, PyFloat, PyTuple, type Value } from './value.ts'

describe('limits of values', () => {
  test('[VALUE-17] a value weighs its characters and something for every value in it', () => {
    const one = weigh(1)
    expect(weigh('abc')).toBe(one + 3)
    expect(weigh(['abc', new PyFloat(1)])).toBe(3 * one + 3)
    expect(weigh(PyDict.of([['k', new PyTuple([null, true])]]))).toBe(5 * one + 1)
    expect(weigh(new PyBytes(new Uint8Array(7)))).toBe(one + 7)
  })

  test('[VALUE-17] a small value that shares its parts is weighed as it would be written', () => {
    let shared: Value = 'ha'
    for (let turn = 0; turn < 200; turn++) shared = [shared, shared]
    expect(() => weigh(shared)).toThrow('too large')
  })

  test('[VALUE-4] a value that was nested step by step is refused', () => {
    let nested: Value = []
    for (let turn = 0; turn < 20_000; turn++) nested = [nested]
    expect(() => weigh(nested)).toThrow('nested deeper')
  })

  test('[VALUE-18] a template that would get too long is refused before it is there', () => {
    const value = 'x'.repeat(1_000_000)
    const values = PyDict.from({ a: value })
    expect(safeSubstitute('$a$a', values)).toHaveLength(2_000_000)
    expect(() => safeSubstitute('$a'.repeat(1_000_000), values)).toThrow('too long')
  })

  test('[REF-17] the cells of a shape are counted before they are made', () => {
    expect(() => requireCells([MAX_CELLS])).not.toThrow()
    expect(() => requireCells([1000, 0, 1000])).not.toThrow()
    expect(() => requireCells([1000, 1000, 1000])).toThrow('A tensor of 1000 x 1000 x 1000 cells is too large')
  })

  test('[VALUE-19] a text that is too long for a literal is none', () => {
    expect(literalEval(`[${'1,'.repeat(100_000)}]`)).toHaveLength(100_000)
    expect(literalEval(`[${'1,'.repeat(1_000_000)}]`)).toBeUndefined()
  })
})
