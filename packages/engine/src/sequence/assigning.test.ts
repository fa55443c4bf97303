import { describe, expect, test } from 'vitest'
import { fromData, single } from '#reference/construct'
import { SKIP } from '#reference/reference'
import { PyDict } from '#value/value'
import { abstraction, continuation, derelation, identity, NO_RESULT, specification } from './assigning.ts'

describe('assigning', () => {
  const one = fromData([1], ['x'])
  const skips = fromData([SKIP], ['x'])

  test('[ASSIGN-1] the first source with content', () => {
    expect(specification([null, skips, one, single(2)], single(3))).toBe(one)
    expect(specification([single(null)], one)).toEqual(single(null))
    expect(specification([null, skips], one)).toBe(one)
    expect(specification([null], null)).toBe(NO_RESULT)
  })

  test('[ASSIGN-2] values of the plan', () => {
    expect(abstraction('%{file_location}abc(x)', ['a'])).toEqual(single('%{file_location}abc(x)'))
    expect(abstraction('[1, [2, 3]]', null)?.shape).toEqual([2, 2])
    expect(abstraction('[a]', ['x'])).toEqual(single('[a]'))
    expect(abstraction([[1, 2]], ['x'])).toEqual({ axes: ['x'], shape: [1], data: [[1, 2]] })
    expect(abstraction(PyDict.from({ a: 1 }), null)).toEqual(single(PyDict.from({ a: 1 })))
    expect(abstraction(5, null)).toEqual(single(5))
    expect(abstraction(null, null)).toBeNull()
    expect(() => abstraction([1], ['x', 'y'])).toThrow(/cannot be greater than data rank/)
  })

  test('[ASSIGN-3] appending', () => {
    const list = fromData([1, 2], ['m'])
    expect(continuation(single(3), list, ['m'])?.data).toEqual([1, 2, 3])
    expect(continuation(single(3), list, 'm')?.data).toEqual([1, 2, 3])
    expect(continuation(single(3), list, ['other'])?.data).toEqual([1, 2, 3])
    expect(continuation(null, list, null)).toBe(list)
    expect(continuation(list, null, null)).toBe(list)
    expect(continuation(null, null, null)).toBeNull()
  })

  test('[ASSIGN-4] parts of cells', () => {
    const source = fromData([PyDict.from({ k: [1, 2] }), PyDict.from({ k: [3] }), PyDict.from({ j: 1 })], ['x'])
    expect(derelation(source, { key: 'k' })?.data).toEqual([[1, 2], [3], null])
    expect(derelation(source, { key: 'k', unpack: true })).toEqual({ axes: ['x'], shape: [4], data: [1, 2, 3, null] })
    expect(derelation(null, {})).toBeNull()
    expect(identity(source)).toBe(source)
  })
})
