import { expect, test } from 'vitest'
import { checkBroker, lacks } from './nats-version.ts'

const usual = { version: '2.9.10', jetstream: true, max_payload: 2_097_152 }

test.each([
  ['2.8.4', true],
  ['1.4.1', true],
  ['0.9', true],
  ['what', true],
  ['2.9.10', false],
  ['2.12.1', undefined],
])('[SPINE-44] version %s with JetStream %s is refused', (version, jetstream) => {
  expect(() => checkBroker({ ...usual, version, jetstream })).toThrow(
    expect.objectContaining({ code: 'broker.unsupported' }) as Error,
  )
})

test.each(['2.9.0', '2.9.10', '2.10.29-RC.1', 'v2.12.1', '3.0.0'])('[SPINE-44] version %s is taken', version => {
  expect(() => checkBroker({ ...usual, version })).not.toThrow()
})

test('[SPINE-44] what a broker lacks is said', () => {
  const say = (over: Partial<typeof usual>): string => lacks({ ...usual, ...over }).join('; ')
  expect(say({})).toMatch(/sync_interval.*several filters.*time to live/)
  expect(say({ version: '2.10.1' })).toMatch(/^a time to live/)
  expect(say({ version: '2.11.0' })).toBe('')
  expect(say({ version: '3.0.0' })).toBe('')
  expect(say({ version: '2.12.0', max_payload: 1_048_576 })).toMatch(/max_payload is 1048576/)
})
