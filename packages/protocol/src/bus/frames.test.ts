import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { envelopeTypes, resultStatuses } from './envelope.ts'
import {
  fromWireEnvelope,
  readClientFrame,
  readServerFrame,
  toWireEnvelope,
  writeClientFrame,
  writeServerFrame,
  type FrameFormat,
} from './frames.ts'

const formats: readonly FrameFormat[] = ['protobuf', 'json']
const text = fc.string({ minLength: 1, maxLength: 20, unit: fc.constantFrom(...'abcXYZ 09äλ🜁') })

const envelope = fc.record(
  {
    id: fc.uuid(),
    type: fc.constantFrom(...envelopeTypes),
    topic: fc.constantFrom('genesis.jobs', 'input.assets', 'system.control.operators'),
    ts: fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map(date => date.toISOString()),
    schema: fc.constant('arqonbus.test.thing.v1'),
    payload: fc.uint8Array({ maxLength: 300 }),
    trace: fc.dictionary(fc.constantFrom('span_id', 'parent_id', 'traceparent'), text, { minKeys: 1 }),
    job_id: fc.uuid(),
    status: fc.constantFrom(...resultStatuses),
    n: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    seq: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  },
  { requiredKeys: ['id', 'type', 'topic', 'ts', 'schema', 'payload'] },
)

describe('frames of the bus', () => {
  test.each(formats)('an envelope comes out as it went in: %s', format => {
    fc.assert(
      fc.property(envelope, fc.nat(0xffff_ffff), (given, replyTo) => {
        const body = {
          case: 'message',
          value: { subscription: 1, envelope: toWireEnvelope(given) },
        } as const
        const read = readServerFrame(writeServerFrame(body, { replyTo, format }))
        expect(read.replyTo).toBe(replyTo)
        if (read.body?.case !== 'message' || !read.body.value.envelope) throw new Error('It is another frame.')
        const { payload, ...rest } = fromWireEnvelope(read.body.value.envelope)
        const { payload: sent, ...expected } = given
        expect(rest).toEqual(expected)
        expect([...payload]).toEqual([...sent])
      }),
      { numRuns: 50 },
    )
  })

  test('whatever bytes or text come, they are a frame or frame.invalid', () => {
    const whole = writeClientFrame({ case: 'publish', value: { topic: 'a.b', payload: new Uint8Array(9) } })
    if (typeof whole === 'string') throw new Error('It is text.')
    const changed = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, byte]) => whole.with(at, byte))
    const nested = fc.constant(new Uint8Array(200_000).fill(0x0b))
    const json = fc.oneof(fc.json(), fc.string(), fc.constant('{"publish":'.repeat(10_000)))
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), changed, nested, json), data => {
        try {
          readClientFrame(data)
        } catch (error) {
          expect(error).toBeInstanceOf(AppError)
          expect(error).toMatchObject({ code: 'frame.invalid' })
        }
      }),
    )
  })

  test('what is no envelope, and numbers beyond 2^53, are refused', () => {
    const given = { id: crypto.randomUUID(), type: 'event', topic: 'a.b', ts: new Date(0).toISOString() } as const
    const good = { ...given, schema: 'arqonbus.test.thing.v1', payload: new Uint8Array() }
    const wired = (change: object) => {
      const value = { subscription: 1, envelope: { ...toWireEnvelope(good), ...change } }
      const { body } = readServerFrame(writeServerFrame({ case: 'message', value }))
      if (body?.case !== 'message' || !body.value.envelope) throw new Error('It is another frame.')
      return body.value.envelope
    }
    expect(fromWireEnvelope(wired({}))).toMatchObject(given)
    for (const change of [{ topic: 'none' }, { id: '1' }, { seq: 2n ** 60n }, { type: 0 }, { type: 77 }])
      expect(() => fromWireEnvelope(wired(change))).toThrow(AppError)
  })
})
