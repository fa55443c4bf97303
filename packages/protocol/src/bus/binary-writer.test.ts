import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientFrameSchema, EnvelopeType, ServerFrameSchema } from '../generated/slipway/bus/v1/bus_pb.ts'
import { binaryWriter } from './binary-writer.ts'

type Client = MessageInitShape<typeof ClientFrameSchema>
type Server = MessageInitShape<typeof ServerFrameSchema>

const writeClient = binaryWriter(ClientFrameSchema)
const writeServer = binaryWriter(ServerFrameSchema)

const text = fc.oneof(
  fc.string({ maxLength: 300, unit: 'binary' }),
  fc.constantFrom('', 'a'.repeat(42), 'a'.repeat(43), 'ä'.repeat(42), 'x'.repeat(127), 'x'.repeat(128), '\0'),
)
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.constantFrom(0, 100, 127, 128, 16_383, 16_384, 70_000).map(size => new Uint8Array(size).fill(7)),
)
const uint32 = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 127, 128, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff))
const uint64 = fc.oneof(
  fc.bigInt(0n, 2n ** 64n - 1n),
  fc.constantFrom(0n, 127n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 64n - 1n),
)
const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, -1, -(2 ** 31), 2 ** 31 - 1))
const texts = fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true })
/** Fields may be left out. */
const message = <T>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }): fc.Arbitrary<Partial<T>> =>
  fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>

const backoff = message({ firstMs: uint64, ceilingMs: uint64 })
const job = message({ idempotencyKey: text, priority: int32, delayMs: uint64, maxAttempts: uint32, backoff })
const publish = message({ topic: text, schema: text, payload: bytes, trace: texts, job })
const chunk = message({ jobId: text, fence: uint64, payloads: fc.array(bytes, { maxLength: 3 }), after: uint64 })
const register = message({
  operatorId: text,
  topics: fc.array(text, { maxLength: 3 }),
  maxParallelJobs: uint32,
  labels: texts,
})
const source = fc.constantFrom(
  { case: 'topic', value: 'a.events' } as const,
  { case: 'jobId', value: '' } as const,
  { case: undefined } as const,
)
const subscribe = message({ subscription: uint32, source, after: uint64, credit: uint32 })
const clientFrame: fc.Arbitrary<Client> = fc.record({
  correlation: uint32,
  frame: fc.oneof(
    publish.map(value => ({ case: 'publish', value }) as const),
    chunk.map(value => ({ case: 'streamChunk', value }) as const),
    register.map(value => ({ case: 'register', value }) as const),
    subscribe.map(value => ({ case: 'subscribe', value }) as const),
    fc.constant({ case: 'ping', value: {} } as const),
    fc.constant({ case: undefined } as const),
  ),
})

const type = fc.constantFrom(EnvelopeType.UNSPECIFIED, EnvelopeType.EVENT, EnvelopeType.CONTROL)
const envelope = message({ id: text, type, topic: text, payload: bytes, trace: texts, n: uint64, seq: uint64 })
const position = message({ subscription: uint32, after: uint64 })
const closing = message({ reason: text, positions: fc.array(position, { maxLength: 3 }) })
const serverFrame: fc.Arbitrary<Server> = fc.record({
  replyTo: uint32,
  frame: fc.oneof(
    message({ subscription: uint32, envelope }).map(value => ({ case: 'message', value }) as const),
    message({ id: text, known: fc.boolean() }).map(value => ({ case: 'published', value }) as const),
    message({ code: text, retryable: fc.boolean(), retryAfterMs: uint64 }).map(
      value => ({ case: 'error', value }) as const,
    ),
    closing.map(value => ({ case: 'closing', value }) as const),
  ),
})

describe('frames as protobuf', () => {
  test('frames of clients have the bytes that the library gives them', () => {
    fc.assert(
      fc.property(clientFrame, frame => {
        expect([...writeClient(frame)]).toEqual([...toBinary(ClientFrameSchema, create(ClientFrameSchema, frame))])
      }),
      { numRuns: 300 },
    )
  })

  test('frames of servers have the bytes that the library gives them', () => {
    fc.assert(
      fc.property(serverFrame, frame => {
        expect([...writeServer(frame)]).toEqual([...toBinary(ServerFrameSchema, create(ServerFrameSchema, frame))])
      }),
      { numRuns: 300 },
    )
  })

  test('frames are written one after another, however large the one before was', () => {
    const frameOf = (size: number): Client => ({
      frame: { case: 'publish', value: { topic: 'a.b', payload: new Uint8Array(size).fill(1) } },
    })
    for (const size of [1_000_000, 3, 5_000, 100, 4_000, 300_000, 0])
      expect([...writeClient(frameOf(size))]).toEqual([
        ...toBinary(ClientFrameSchema, create(ClientFrameSchema, frameOf(size))),
      ])
  })

  test.each([1.5, -1, 2 ** 32, NaN, '1'])('%s is no number of a field that has none below zero', wrong => {
    const value = { subscription: wrong as number, source: { case: 'topic', value: 'a.b' } } as const
    expect(() => writeClient({ frame: { case: 'subscribe', value } })).toThrow('subscription')
  })

  test.each([1.5, 2 ** 31, 1n])('%s is no number of a field with a sign', wrong => {
    const value = { job: { priority: wrong as number } }
    expect(() => writeClient({ frame: { case: 'publish', value } })).toThrow('priority')
  })

  test.each([-1n, 2n ** 64n, 5])('%s is no number of a large field', wrong => {
    const value = { fence: wrong as bigint }
    expect(() => writeClient({ frame: { case: 'ack', value } })).toThrow('fence')
  })
})
