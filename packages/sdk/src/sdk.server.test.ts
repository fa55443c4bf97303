import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { examplePlans, openWire, startSlipway, type Server } from '../../../tests/testbed/slipway.ts'
import { createClient } from './client.ts'
import { followAll, followRun } from './event-stream.ts'

let server: Server
beforeAll(async () => {
  server = await startSlipway()
})
afterAll(() => server[Symbol.asyncDispose]())

function example(name: string): Uint8Array {
  const folder = join(examplePlans, name)
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const files = paths.map(entry => join(entry.parentPath, entry.name))
  return packPlan(new Map(files.map(path => [path.slice(folder.length + 1), readFileSync(path)])))
}

test('[SDK-5] a run is followed to its end through a wire that is cut again and again', async () => {
  await using wire = await openWire(server.url)
  const client = createClient({ url: wire.url })
  await client.deploy(example('long-addition'))
  const run = await client.startRun('long-addition', {
    inputs: { 'first number': '987654321', 'second number': '123456789' },
  })
  const seqs: number[] = []
  let last = ''
  for await (const event of followRun(client, run.run_id, { firstDelayMs: 1 })) {
    seqs.push(event.seq)
    last = event.event
    if (event.seq % 40 === 0) wire.cut()
  }
  expect(last).toBe('run:completed')
  expect(seqs).toEqual(seqs.map((_, n) => n + 1))
  expect(wire.count()).toBeGreaterThan(2)
  expect((await client.result(run.run_id)).final_concepts).toMatchObject([{ name: '{sum}', value: 1111111110 }])
})

test('[SDK-8] the events of all runs and plans come as they happen', async () => {
  const client = createClient({ url: server.url })
  const stop = new AbortController()
  const connected = Promise.withResolvers<void>()
  const events = followAll(client, {
    signal: stop.signal,
    onConnection: state => state.type === 'connected' && connected.resolve(),
  })
  const first = events.next()
  await connected.promise
  await client.deploy(example('triage'))
  expect((await first).value).toMatchObject({ event: 'plan:deployed' })
  stop.abort(new Error('enough'))
  await expect(events.next()).rejects.toThrow('enough')
})

test('[SDK-1] errors of a real server arrive with their code', async () => {
  const client = createClient({ url: server.url })
  await expect(client.run('nope')).rejects.toMatchObject({ code: 'run.unknown' })
  await expect(seqsOf(followRun(client, 'nope'))).rejects.toMatchObject({ code: 'run.unknown' })
  await expect(client.deploy(new Uint8Array([1, 2, 3]))).rejects.toMatchObject({ code: 'archive.invalid' })
})

async function seqsOf(stream: AsyncIterable<{ readonly seq: number }>): Promise<number[]> {
  const found: number[] = []
  for await (const { seq } of stream) found.push(seq)
  return found
}

test('[SDK-6] a server with a token takes it on sockets and refuses a wrong one', async () => {
  await using guarded = await startSlipway({ env: { SLIPWAY_API_TOKEN: 'aaaaaaaaaaaaaaaa/=+&' } })
  const client = createClient({ url: guarded.url, token: 'aaaaaaaaaaaaaaaa/=+&' })
  await client.deploy(example('long-addition'))
  const run = await client.startRun('long-addition', { inputs: { 'first number': '1', 'second number': '2' } })
  expect((await seqsOf(followRun(client, run.run_id))).length).toBeGreaterThan(5)
  const stranger = createClient({ url: guarded.url, token: 'bbbbbbbbbbbbbbbbbbbb' })
  await expect(seqsOf(followRun(stranger, run.run_id))).rejects.toMatchObject({ code: 'auth.required' })
})
