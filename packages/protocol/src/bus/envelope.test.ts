import { expect, test } from 'vitest'
import { Envelope, maxPayloadBytes } from './envelope.ts'

const envelope: Envelope = {
  id: '01a1fe53-5d34-7701-9500-9e76bda10782',
  type: 'job_result',
  topic: 'genesis.results',
  ts: '2026-01-01T00:00:00.000Z',
  schema: 'arqonbus.genesis.result.v1',
  payload: new Uint8Array(maxPayloadBytes),
  trace: { span_id: '1', parent_id: '0' },
}

test('[SPINE-3] an envelope at its bounds is taken as it is, without what nobody knows', () => {
  expect(Envelope.parse({ ...envelope, unknown: 1 })).toEqual(envelope)
})

test.each<[string, object]>([
  ['type', { type: 'telemetry' }],
  ['id', { id: 'arq_1' }],
  ['topic', { topic: 'genesis' }],
  ['time', { ts: '2026-01-01 00:00' }],
  ['time without a zone', { ts: '2026-01-01T00:00:00' }],
  ['schema', { schema: 'genesis.v1' }],
  ['version of the schema', { schema: 'arqonbus.genesis.result.v0' }],
  ['size', { payload: new Uint8Array(maxPayloadBytes + 1) }],
  ['payload', { payload: 'text' }],
  ['trace', { trace: { 'a b': '1' } }],
  ['number', { n: 0 }],
])('[SPINE-3] an envelope with a bad %s is refused', (_what, over) => {
  expect(Envelope.safeParse({ ...envelope, ...over }).success).toBe(false)
})
