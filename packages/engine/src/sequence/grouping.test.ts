import { describe, expect, test } from 'vitest'
import { fromData, single } from '#reference/construct'
import { NONE_AXIS, SKIP } from '#reference/reference'
import type { Dialect } from '#run/dialect'
import { PyDict, type Value } from '#value/value'
import { contextAxes, groupAcross, groupIn, type GroupingOptions } from './grouping.ts'

const labelled = (label: string, value: Value): Value => PyDict.of([[label, value]])
const options = (
  byAxes: GroupingOptions['byAxes'],
  createAxis: string | null = null,
  dialect: Dialect = '2026-01',
) => ({
  byAxes,
  createAxis,
  dialect,
  labels: ['a', 'b', 'c'],
})

describe('axes per input', () => {
  const grid = fromData(
    [
      [1, 2],
      [3, SKIP],
    ],
    ['r', 'c'],
  )

  test('[GROUP-1] collapsed axes give their elements, skips dropped', () => {
    expect(groupAcross([grid, fromData([5], ['x'])], options([['r', 'c'], ['x']], 'all'))).toEqual({
      axes: ['all'],
      shape: [4],
      data: [1, 2, 3, 5],
    })
  })

  test('[GROUP-1] axes that remain give the leaves of their slices, where a slice with a skip counts as skip', () => {
    expect(groupAcross([grid], options([['c']], 'all')).data).toEqual([1, 2])
    expect(groupAcross([grid], options([['r']], 'all')).data).toEqual([1, 3])
  })

  test('[GROUP-1] an input beyond the list collapses all its axes', () => {
    expect(groupAcross([single('p'), fromData(['q', 'r'], ['x'])], options([[NONE_AXIS]], 'all')).data).toEqual([
      'p',
      'q',
      'r',
    ])
  })

  test('[GROUP-2] nothing to collapse stacks the inputs', () => {
    expect(groupAcross([single('p'), single('q')], options([[], []], 'all'))).toEqual({
      axes: ['all', NONE_AXIS],
      shape: [2, 1],
      data: [['p'], ['q']],
    })
    expect(groupAcross([fromData(['p', SKIP], ['x'])], options([['z']])).data).toEqual([[['p', SKIP]]])
  })

  test('[GROUP-3] without a new axis the elements are one cell', () => {
    expect(groupAcross([fromData(['p', 'q'], ['x']), single('r')], options([['x'], [NONE_AXIS]]))).toEqual(
      single(['p', 'q', 'r']),
    )
  })

  test('[GROUP-4] labels tell where an element comes from', () => {
    const inputs = [fromData(['p', 'q'], ['x']), single('r')]
    expect(groupIn(inputs, options([['x'], [NONE_AXIS]], 'all')).data).toEqual([
      labelled('a', 'p'),
      labelled('a', 'q'),
      labelled('b', 'r'),
    ])
  })
})

describe('shared axes', () => {
  test('[GROUP-5] cells of all inputs meet', () => {
    const inputs = [fromData([1, 2], ['x']), fromData([3, 4], ['x'])]
    expect(groupIn(inputs, { ...options(null), labels: ['a', 'b'] }).data).toEqual([
      PyDict.from({ a: 1, b: 3 }),
      PyDict.from({ a: 2, b: 4 }),
    ])
    expect(groupAcross(inputs, options([])).data).toEqual([
      [1, 3],
      [2, 4],
    ])
  })

  test('[GROUP-5] axes that are not shared are values of the cells', () => {
    const inputs = [fromData([[1, 2]], ['x', 'y']), fromData([3], ['x'])]
    expect(groupAcross(inputs, options(null))).toEqual({ axes: ['x'], shape: [1], data: [[1, 2, 3]] })
    expect(groupIn(inputs, { ...options(null), labels: ['a', 'b'] }).data).toEqual([PyDict.from({ a: [1, 2], b: 3 })])
  })

  test('[GROUP-5] inputs and labels that differ in number give skips', () => {
    expect(groupIn([fromData([1], ['x'])], options(null)).data).toEqual([SKIP])
  })

  test('[GROUP-6] a flat list', () => {
    const inputs = [fromData([[1, 2]], ['x', 'y']), fromData([[3, 4]], ['x', 'y'])]
    expect(groupAcross(inputs, options(['y']))).toEqual({ axes: ['x'], shape: [1], data: [[1, 3, 2, 4]] })
    expect(groupAcross(inputs, options(['y'], null, '2026-01-strict'))).toEqual(single([1, 2, 3, 4]))
    expect(groupAcross(inputs, options(['y'], 'all'))).toEqual({ axes: ['all'], shape: [4], data: [1, 2, 3, 4] })
  })
})

test('[GROUP-7] axes of the context', () => {
  const contexts = [
    { name: '{a}', reference: fromData([[1]], ['x', 'y']) },
    { name: '{b}', reference: fromData([[1]], ['y', 'z']) },
    { name: '{c}', reference: null },
  ]
  expect(contextAxes(contexts, { onlyConcepts: null, protectAxes: ['y'] })).toEqual(['x', 'z'])
  expect(contextAxes(contexts, { onlyConcepts: ['{b}'], protectAxes: [] })).toEqual(['y', 'z'])
  expect(contextAxes(contexts, { onlyConcepts: 'all of {a} here', protectAxes: [] })).toEqual(['x', 'y'])
})
