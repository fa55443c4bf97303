import { describe, expect, test } from 'vitest'
import { Gate } from './gate.ts'

describe('works behind a gate', () => {
  test('[RUN-98] so many are inside at a time, in their order', async () => {
    const gate = new Gate(2)
    const inside: number[] = []
    const entered = [1, 2, 3, 4].map(async n => {
      const place = await gate.enter()
      inside.push(n)
      return place
    })
    const [first, second] = [await entered[0], await entered[1]]
    expect(inside).toEqual([1, 2])
    second?.[Symbol.dispose]()
    const third = await entered[2]
    expect(inside).toEqual([1, 2, 3])
    second?.[Symbol.dispose]()
    await Promise.resolve()
    expect(inside).toEqual([1, 2, 3])
    first?.[Symbol.dispose]()
    await entered[3]
    expect(inside).toEqual([1, 2, 3, 4])
    third?.[Symbol.dispose]()
    using _fifth = await gate.enter()
  })
})
