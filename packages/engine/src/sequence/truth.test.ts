import { describe, expect, test } from 'vitest'
import { fromData, single } from '#reference/construct'
import { SKIP } from '#reference/reference'
import { PyDict, type Value } from '#value/value'
import {
  applyTruthMask,
  cellMatches,
  FALSE_MARKER,
  judge,
  type Judgement,
  readAssertion,
  TRUE_MARKER,
} from './truth.ts'

const yes = '%abc(True)'
const no = '%{truth_value}abc(False)'

describe('judgements', () => {
  const ask = (data: Value, axes: string[], quantifiers: Record<string, Value>, condition: Value = true): Judgement =>
    judge(fromData(data, axes), readAssertion(PyDict.from({ quantifiers: PyDict.from(quantifiers), condition })))
  const met = (data: Value, quantifier: string): boolean => ask(data, ['x'], { axis: quantifier }).conditionMet

  test('[JUDGE-1] quantifiers over all cells', () => {
    expect(['all', 'some', 'none', 'exists'].map(quantifier => met([yes, no], quantifier))).toEqual([
      false,
      true,
      false,
      true,
    ])
    expect(['all', 'some', 'none', 'exists'].map(quantifier => met([no, no], quantifier))).toEqual([
      false,
      false,
      true,
      false,
    ])
    expect(ask([[yes, yes], [yes]], ['x', 'y'], { x: 'all', z: 'some' })).toEqual({
      conditionMet: true,
      filterAxis: null,
      reference: { axes: ['assertion_result'], shape: [1], data: [TRUE_MARKER] },
    })
    expect(ask([yes, no], ['x'], { x: 'some', z: 'all' }).reference.data).toEqual([FALSE_MARKER])
  })

  test('[JUDGE-2] skips and nothing', () => {
    expect(['all', 'some', 'none', 'exists'].map(quantifier => met([SKIP], quantifier))).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect(['all', 'some', 'none', 'exists'].map(quantifier => met([], quantifier))).toEqual([true, false, true, false])
  })

  const table = [
    [yes, no],
    [no, no],
  ]

  test('[JUDGE-3] each element along an axis', () => {
    const quantifiers = { signal: 'for-each', status: 'all' }
    expect(ask(table, ['status', 'signal'], quantifiers, false)).toEqual({
      conditionMet: true,
      filterAxis: 'signal',
      reference: { axes: ['signal'], shape: [2], data: [FALSE_MARKER, TRUE_MARKER] },
    })
    expect(ask(table, ['signal', 'status'], { signal: 'for-each', status: 'some' }).reference.data).toEqual([
      TRUE_MARKER,
      FALSE_MARKER,
    ])
  })

  test('[JUDGE-3] each cell where no other axis has a quantifier', () => {
    expect(ask([[yes, SKIP], [no]], ['a', 'b'], { b: 'for-each', z: 'all' })).toEqual({
      conditionMet: true,
      filterAxis: 'b',
      reference: {
        axes: ['a', 'b'],
        shape: [2, 2],
        data: [
          [TRUE_MARKER, SKIP],
          [FALSE_MARKER, SKIP],
        ],
      },
    })
  })

  test('[JUDGE-4] the bare marker', () => {
    expect(ask([yes, TRUE_MARKER, SKIP], ['x'], {})).toEqual({
      conditionMet: true,
      filterAxis: null,
      reference: { axes: ['x'], shape: [3], data: [FALSE_MARKER, TRUE_MARKER, SKIP] },
    })
    expect(ask([yes], ['x'], { zz: 'for-each' }).conditionMet).toBe(false)
  })

  test('[JUDGE-5] answers are texts', () => {
    expect(met([true, true], 'all')).toBe(false)
    expect(cellMatches('it said (true), but', TRUE_MARKER)).toBe(true)
    expect(cellMatches('%a(False)', FALSE_MARKER)).toBe(true)
    expect(cellMatches('%a(TRUE)', TRUE_MARKER)).toBe(false)
    expect(cellMatches('%a(maybe so)', 'maybe')).toBe(true)
    expect(ask(['%a(maybe)'], ['x'], { x: 'all' }, 'maybe').conditionMet).toBe(true)
  })

  test('[JUDGE-6] no assertion', () => {
    const answers = fromData([no], ['x'])
    expect(judge(answers, readAssertion(null))).toEqual({ conditionMet: true, filterAxis: null, reference: answers })
  })

  test('[JUDGE-7] masks', () => {
    const mask = fromData([TRUE_MARKER, FALSE_MARKER], ['x'])
    expect(applyTruthMask(fromData([[1, 2]], ['y', 'x']), mask).data).toEqual([[1, SKIP]])
    expect(applyTruthMask(single(1), mask).data).toEqual([1, SKIP])
  })
})
