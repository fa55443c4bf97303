import { describe, expect, test } from 'vitest'
import { axisPlace, count, counts, days, positive, seconds, whole } from './options.ts'

describe('options', () => {
  test.each([
    ['90', 90],
    ['90s', 90],
    ['1.5m', 90],
    ['2h', 7200],
    ['30d', 2_592_000],
  ])('[CLI-30] %s is %d seconds', (text, expected) => expect(seconds(text)).toBe(expected))

  test.each(['', '0', '-5', '5x', 'h', '1h30m', 'NaN', 'Infinity'])('[CLI-30] "%s" is no time', text =>
    expect(() => seconds(text)).toThrow('15m'),
  )

  test('[CLI-29] a bare number of days is days, and 0 is allowed', () => {
    expect([days('30'), days('0'), days('12h'), days('1d')]).toEqual([30, 0, 0.5, 1])
    expect(() => days('')).toThrow()
    expect(() => days('-1')).toThrow()
  })

  test('[CLI-25] places and parts of a tensor', () => {
    expect(axisPlace('a=b=3', { x: 1 })).toEqual({ x: 1, 'a=b': 3 })
    expect(counts('0,2')).toEqual([0, 2])
    for (const wrong of ['=1', 'a', 'a=', 'a=x', 'a=-1']) expect(() => axisPlace(wrong, {})).toThrow()
    for (const wrong of ['', '1,', 'x', '1.5']) expect(() => counts(wrong)).toThrow()
  })

  test('[CLI-1] whole numbers are whole', () => {
    expect([positive('3'), count('0')]).toEqual([3, 0])
    for (const wrong of ['0', 'x', '1.5']) expect(() => positive(wrong)).toThrow()
    for (const wrong of ['', ' ', '-1', 'x']) expect(() => count(wrong)).toThrow()
    expect(whole('-3')).toBe(-3)
    for (const wrong of ['', '1.5', 'x']) expect(() => whole(wrong)).toThrow()
  })
})
