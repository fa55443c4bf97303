import fc from 'fast-check'
import { expect, test } from 'vitest'
import { delayMs } from './backoff.ts'

test('doubles from the first wait to the ceiling', () => {
  const waits = [1, 2, 3, 4, 5].map(failed => delayMs({ firstMs: 100, ceilingMs: 1000 }, failed, 1))
  expect(waits).toEqual([100, 200, 400, 800, 1000])
})

test('half of it is random, however often it failed', () => {
  const backoff = fc.record({ firstMs: fc.nat(1e8), more: fc.nat(1e8) })
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(backoff, fc.integer({ min: 1, max: 5000 }), random, ({ firstMs, more }, failed, r) => {
      const ceilingMs = firstMs + more
      const wait = delayMs({ firstMs, ceilingMs }, failed, r)
      const whole = delayMs({ firstMs, ceilingMs }, failed, 1)
      expect(wait).toBeLessThanOrEqual(whole)
      expect(wait).toBeGreaterThanOrEqual(Math.floor(whole / 2))
      expect(whole).toBeLessThanOrEqual(ceilingMs)
    }),
  )
})
