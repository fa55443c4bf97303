import fc from 'fast-check'
import { expect, test } from 'vitest'
import { streamName } from './nats-jobs.ts'

test('[SPINE-41] each organisation has a stream of its own, whatever it is called', () => {
  const names = fc.string({ unit: 'binary', maxLength: 100 }).filter(name => name.isWellFormed())
  fc.assert(
    fc.property(names, names, (one, other) => {
      expect(streamName(one)).toMatch(/^slipway-[A-Za-z0-9_-]{1,100}$/)
      expect(streamName(one) === streamName(other)).toBe(one === other)
    }),
  )
  expect(streamName('acme')).toBe('slipway-acme')
  expect(streamName('a'.repeat(101))).not.toBe(streamName('a'.repeat(102)))
})
