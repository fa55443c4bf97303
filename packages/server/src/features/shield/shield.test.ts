import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '@slipway/protocol/errors'
import { boundsProblem } from './policy-module.ts'
import { RateLimit } from './rate-limits.ts'
import { constantPolicy } from './testing.ts'
import { matchesTopic } from './topic-pattern.ts'

describe('limits', () => {
  test('[SHIELD-10] so many a second, and the reply says when the next one fits', () => {
    const clock = { ms: 0 }
    const limit = new RateLimit(10, () => clock.ms)
    const take = (key: string): unknown => {
      try {
        return limit.take(key, 'here')
      } catch (error) {
        return error instanceof AppError && error.details
      }
    }
    for (let n = 0; n < 10; n++) expect(take('a')).toBeUndefined()
    expect(take('a')).toEqual({ retryAfterMs: 100 })
    expect(take('b')).toBeUndefined()
    clock.ms += 50
    expect(take('a')).toEqual({ retryAfterMs: 50 })
    clock.ms += 50
    expect(take('a')).toBeUndefined()
    clock.ms += 60_000
    for (let n = 0; n < 10; n++) expect(take('a')).toBeUndefined()
    expect(take('a')).toEqual({ retryAfterMs: 100 })
  })

  test('[SHIELD-10] any number of keys takes a bounded memory, and those in use are remembered', () => {
    const clock = { ms: 0 }
    const limit = new RateLimit(1, () => clock.ms)
    for (let n = 0; n < 30_000; n++) limit.take(`key ${n}`, 'here')
    expect(() => limit.take('key 29999', 'here')).toThrow(/Try again in 1000 ms/)
  })
})

describe('patterns', () => {
  test.each([
    ['>', 'input.assets', true],
    ['*.jobs', 'genesis.jobs', true],
    ['*.jobs', 'genesis.large.jobs', false],
    ['genesis.>', 'genesis.large.jobs', true],
    ['genesis.>', 'genesis', false],
    ['genesis.>', 'genesis2.jobs', false],
    ['genesis.*', 'genesis.jobs', true],
    ['genesis.jobs', 'genesis.jobs', true],
    ['genesis.jobs', 'genesis.Jobs', false],
  ])('[SHIELD-20] %s has %s: %s', (pattern, topic, isOne) => {
    expect(matchesTopic(pattern, topic)).toBe(isOne)
  })
})

describe('modules', () => {
  const bounds = { memoryBytes: 65_536 }

  test('[SHIELD-24] bytes of any kind are refused and never thrown at', () => {
    const valid = constantPolicy(0)
    expect(boundsProblem(valid, bounds)).toBeNull()
    const cut = fc.integer({ min: 0, max: valid.length - 1 }).map(length => valid.slice(0, length))
    const changed = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => valid.with(at, byte))
    const any = fc.uint8Array({ maxLength: 200 }).map(bytes => Uint8Array.from([...valid.slice(0, 8), ...bytes]))
    fc.assert(
      fc.property(fc.oneof(cut, changed, any, fc.uint8Array()), bytes => {
        const problem = boundsProblem(bytes, bounds)
        expect(problem === null || problem.length > 0).toBe(true)
      }),
    )
  })
})
