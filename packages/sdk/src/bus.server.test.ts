import { setImmediate as turn } from 'node:timers/promises'
import { parseJson } from '@slipway/kit/json'
import type { Envelope } from '@slipway/protocol/bus/envelope'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWire, startSlipway, type Server } from '../../../tests/testbed/slipway.ts'
import { connectBus, type Bus } from './bus.ts'

const token = 'a-token-of-good-length'
const schema = 'arqonbus.test.thing.v1'

let server: Server
beforeAll(async () => {
  server = await startSlipway({ env: { SLIPWAY_API_TOKEN: token } })
})
afterAll(() => server[Symbol.asyncDispose]())

function value({ payload }: Envelope): unknown {
  return parseJson(new TextDecoder().decode(payload))
}

/** Begins to read; resolves once the server follows. */
async function reading(bus: Bus, topic: string, options: { after?: number; window?: number } = {}) {
  const ready = Promise.withResolvers<number>()
  const messages = bus.subscribe(topic, { ...options, onReady: ready.resolve })
  const first = messages.next()
  await ready.promise
  return { first, messages }
}

test('[SDK-14] a token that opens nothing, and a server that is not there, are told', async () => {
  await using bus = await connectBus(server.url, token)
  expect(await bus.publish({ topic: 'input.first', schema, payload: 1 })).toMatchObject({ isNew: true })
  await expect(connectBus(server.url, 'wrong')).rejects.toMatchObject({ code: 'auth.required' })
  const nowhere = connectBus('http://127.0.0.1:9', undefined, { timeoutMs: 200, firstDelayMs: 10 })
  await expect(nowhere).rejects.toMatchObject({ code: 'server.unreachable' })
})

test('[SDK-16] what the server refuses rejects with its code', async () => {
  await using bus = await connectBus(server.url, token)
  await expect(bus.publish({ topic: 'genesis.results', schema, payload: 1 })).rejects.toMatchObject({
    code: 'input.invalid',
  })
  await expect(bus.followJob('00000000-0000-4000-8000-000000000000').next()).rejects.toMatchObject({
    code: 'job.unknown',
  })
  const job = { topic: 'genesis.jobs', schema, job: { idempotencyKey: 'one' } }
  const first = await bus.publish({ ...job, payload: { n: 1 } })
  expect(await bus.publish({ ...job, payload: { n: 1 } })).toEqual({ id: first.id, isNew: false })
  await expect(bus.publish({ ...job, payload: { n: 2 } })).rejects.toMatchObject({ code: 'job.conflict' })
})

test('[SDK-17] a topic is followed through a wire that is cut, each message once and in order', async () => {
  await using wire = await openWire(server.url)
  await using writer = await connectBus(server.url, token)
  await using reader = await connectBus(wire.url, token, { firstDelayMs: 1 })
  const { first, messages } = await reading(reader, 'input.cut', { window: 5 })
  const got: unknown[] = []
  const all = (async () => {
    for (let next = await first; !next.done; next = await messages.next()) {
      got.push(value(next.value))
      if (got.length % 20 === 0) wire.cut()
      if (got.length === 100) break
    }
  })()
  for (let n = 0; n < 100; n++) await writer.publish({ topic: 'input.cut', schema, payload: n })
  await all
  expect(got).toEqual(Array.from({ length: 100 }, (_, n) => n))
  expect(wire.count()).toBeGreaterThan(2)
  const seqs: number[] = []
  for await (const { seq = 0 } of reader.subscribe('input.cut', { after: 0 })) if (seqs.push(seq) === 100) break
  const { first: behind } = await reading(reader, 'input.cut', { after: seqs[97] ?? 0 })
  expect(value((await behind).value as Envelope)).toBe(98)
})

test('[SDK-15] a job is one job although its connection is lost again and again', async () => {
  await using wire = await openWire(server.url)
  await using bus = await connectBus(wire.url, token, { firstDelayMs: 1 })
  const ids = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const published = bus.publish({ topic: 'cut.jobs', schema, payload: { n } })
      if (n % 20 === 10) wire.cut()
      await turn()
      return (await published).id
    }),
  )
  expect(new Set(ids).size).toBe(60)
  expect(wire.count()).toBeGreaterThan(1)
})

test('[SDK-18] a slow reader holds no more than its window and gets everything', async () => {
  await using bus = await connectBus(server.url, token)
  const { first, messages } = await reading(bus, 'input.slow', { window: 4 })
  // More than the server keeps in memory for a reader.
  const payload = 'x'.repeat(1000)
  await Promise.all(Array.from({ length: 1500 }, () => bus.publish({ topic: 'input.slow', schema, payload })))
  let count = (await first).done ? 0 : 1
  for await (const _ of messages) if (++count === 1500) break
  expect(count).toBe(1500)
})

test('[SDK-19] closing waits for what is under way and ends the readers', async () => {
  const bus = await connectBus(server.url, token)
  const { first } = await reading(bus, 'input.close')
  const published = bus.publish({ topic: 'input.other', schema, payload: 1 })
  const ended = expect(first).rejects.toMatchObject({ code: 'cancelled' })
  await bus.close()
  await expect(published).resolves.toMatchObject({ isNew: true })
  await ended
  await expect(bus.publish({ topic: 'input.other', schema, payload: 1 })).rejects.toMatchObject({ code: 'cancelled' })
})
