import { expect, test } from 'vitest'
import { redact } from './redact.ts'
import { delayBefore } from './router.ts'

const settings = { firstDelayMs: 100, longestDelayMs: 1000, longestRetryAfterMs: 60_000 }

test('[MODEL-16] the wait doubles with jitter up to its limit and is never shorter than the provider asked', () => {
  for (const [repeat, whole] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [9, 1000],
  ] as const) {
    const delay = delayBefore(repeat, { asked: null, settings })
    expect(delay).toBeGreaterThanOrEqual(whole / 2)
    expect(delay).toBeLessThanOrEqual(whole)
  }
  expect(delayBefore(1, { asked: 7000, settings })).toBe(7000)
  expect(delayBefore(9, { asked: 1, settings })).toBeGreaterThanOrEqual(500)
})

test('[MODEL-5] keys and what looks like one are cut out of what a provider says', () => {
  expect(redact('wrong key abc.def here', 'abc.def')).toBe('wrong key [key] here')
  expect(redact('Incorrect API key provided: sk-ab12****wxyz.', null)).toBe('Incorrect API key provided: [key]')
  expect(redact('got Bearer aaa.bbb\nnext', null)).toBe('got [key] next')
  expect(redact('x'.repeat(100_000), null)).toHaveLength(501)
})
