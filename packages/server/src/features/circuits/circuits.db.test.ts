import { parseJson } from '@slipway/kit/json'
import type { Message } from '#features/spine/message-store'
import { CircuitDocument } from '@slipway/protocol/circuits'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Database } from '#db/database'
import { onDatabases } from '#db/testing'
import {
  acme,
  bytes,
  heldOf,
  operatorBed,
  other,
  registration,
  TestLink,
  testMappings,
  type OperatorBed,
} from '#features/operators/testing'
import { Audit } from '#features/access/access'
import type { Mappings, MappingTerms } from '#features/mappings/mappings'
import { silentLogger } from '#observe/log'
import { checkCircuit } from './circuit-check.ts'
import { Circuits } from './circuits.ts'

const assetSchema = 'arqonbus.input.asset.v1'
const jobSchema = 'arqonbus.genesis.job.v1'

onDatabases('circuits', databases => {
  test('[CIRCUIT-1] [CIRCUIT-7] hands on what is let through, as it is mapped, in several steps', async () => {
    const bed = await open(await databases.open())
    await bed.enable({
      circuit: 'assets',
      edges: [
        {
          from: 'input.assets',
          to: 'genesis.jobs',
          schema: jobSchema,
          when: 'kind = "image"',
          map: '{ "imageData": ref }',
          may_be_empty: true,
        },
        { from: 'input.assets', to: 'audit.assets' },
        { from: 'genesis.results', to: 'gallery.seeds', map: '$merge([$, {"from": $message.topic}])' },
      ],
    })
    await bed.publish('input.assets', { kind: 'image', ref: 'a' })
    await bed.publish('input.assets', { kind: 'sound', ref: 'b' })
    const [job] = await bed.spine.jobs.lease({
      topics: ['genesis.jobs'],
      operator: 'x',
      organisation: 'acme',
      max: 5,
      waitMs: 5_000,
    })
    expect(read(job?.payload)).toEqual({ imageData: 'a' })
    expect(job).toMatchObject({ schema: jobSchema, trace: { circuit: 'assets', hops: '1', user: 'u1' } })
    await bed.spine.jobs.ack(
      { jobId: job?.id ?? '', fence: job?.fence ?? 0, organisation: 'acme' },
      { schema: 'arqonbus.genesis.result.v1', payload: bytes({ seed: 7 }) },
    )
    const [seed] = await bed.take('gallery.seeds', 1)
    expect(read(seed?.payload)).toEqual({ seed: 7, from: 'genesis.results' })
    expect(seed?.trace).toMatchObject({ hops: '2', circuit: 'assets', user: 'u1' })
    expect((await bed.take('audit.assets', 2)).map(({ payload }) => read(payload))).toMatchObject([
      { ref: 'a' },
      { ref: 'b' },
    ])
    expect(await bed.circuits.get(acme, 'assets')).toMatchObject({
      counts: { handed_on: 4, held_back: 1, failed: 0, cut: 0 },
    })
  })

  test('[CIRCUIT-2] [CIRCUIT-6] hands on once, on several servers, through pauses and restarts', async () => {
    const bed = await open(await databases.open())
    await bed.publish('input.assets', { n: 'before' })
    await bed.enable({ circuit: 'copy', edges: [{ from: 'input.assets', to: 'copied.assets' }] })
    const second = bed.server()
    for (let n = 0; n < 10; n++) await bed.publish('input.assets', { n })
    await bed.take('copied.assets', 10)
    await bed.circuits.pause(acme, 'copy')
    for (let n = 10; n < 15; n++) await bed.publish('input.assets', { n })
    await bed.circuits[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
    const third = bed.server()
    expect(await third.get(acme, 'copy')).toMatchObject({ state: 'paused', counts: { handed_on: 10 } })
    await third.enable(acme, 'copy')
    const all = await bed.take('copied.assets', 15)
    expect(all.map(({ payload }) => read(payload))).toEqual(Array.from({ length: 15 }, (_, n) => ({ n })))
    await expect.poll(async () => (await third.get(acme, 'copy')).counts.handed_on).toBe(15)
  })

  test('[CIRCUIT-4] cuts a message that goes round too often', async () => {
    const bed = await open(await databases.open())
    const edges = [
      { from: 'ping.events', to: 'pong.events' },
      { from: 'pong.events', to: 'ping.events' },
    ]
    await bed.enable({ circuit: 'round', max_hops: 5, edges })
    await bed.publish('ping.events', {})
    await expect
      .poll(async () => (await bed.circuits.get(acme, 'round')).counts, { timeout: 10_000 })
      .toEqual({ handed_on: 5, held_back: 0, failed: 0, cut: 1 })
    expect((await bed.circuits.get(acme, 'round')).last_problem).toMatch(/more than 5 hops/)
  })

  test('[CIRCUIT-5] a changed document is a new version, which goes on behind the one before', async () => {
    const bed = await open(await databases.open())
    const document = { circuit: 'copy', edges: [{ from: 'input.assets', to: 'copied.assets', map: '{ "v": 1 }' }] }
    expect(await bed.enable(document)).toMatchObject({ version: 1, state: 'enabled', changed_by: 'ann' })
    await bed.publish('input.assets', {})
    await bed.take('copied.assets', 1)
    expect(await bed.put(document)).toMatchObject({ version: 1 })
    const changed = { circuit: 'copy', edges: [{ from: 'input.assets', to: 'copied.assets', map: '{ "v": 2 }' }] }
    expect(await bed.put(changed)).toMatchObject({ version: 2, state: 'enabled' })
    await bed.publish('input.assets', {})
    expect((await bed.take('copied.assets', 2)).map(({ payload }) => read(payload))).toEqual([{ v: 1 }, { v: 2 }])
  })

  test('[CIRCUIT-11] keeps what it was, and puts it in force again', async () => {
    const bed = await open(await databases.open())
    const document = (v: number) => ({
      circuit: 'copy',
      edges: [{ from: 'input.assets', to: 'copied.assets', map: `{ "v": ${v} }` }],
    })
    await bed.enable(document(1))
    for (const v of [2, 3]) await bed.put(document(v))
    expect(await bed.circuits.rollback(acme, 'copy', 1)).toMatchObject({ version: 4, state: 'enabled' })
    await bed.publish('input.assets', {})
    expect((await bed.take('copied.assets', 1)).map(({ payload }) => read(payload))).toEqual([{ v: 1 }])
    const first = await bed.circuits.versions(acme, 'copy', { limit: 3 })
    expect(first).toMatchObject({
      versions: [
        { version: 4, restored: 1, made_by: 'ann' },
        { version: 3, restored: null },
        { version: 2, restored: null },
      ],
      next: 2,
    })
    expect(await bed.circuits.versions(acme, 'copy', { limit: 3, after: 2 })).toMatchObject({
      versions: [{ version: 1 }],
      next: null,
    })
    expect(await bed.circuits.version(acme, 'copy', 2)).toMatchObject({ version: 2, document: document(2) })
    // What is in force already is no new version.
    expect(await bed.circuits.rollback(acme, 'copy', 1)).toMatchObject({ version: 4 })
    const unknown = { code: 'circuit.unknown' }
    await expect(bed.circuits.rollback(acme, 'copy', 9)).rejects.toMatchObject(unknown)
    await expect(bed.circuits.version(other, 'copy', 1)).rejects.toMatchObject(unknown)
    await expect(bed.circuits.versions(other, 'copy', { limit: 3 })).rejects.toMatchObject(unknown)
    await bed.circuits.delete(acme, 'copy')
    await expect(bed.circuits.version(acme, 'copy', 1)).rejects.toMatchObject(unknown)
    expect(await bed.put(document(1))).toMatchObject({ version: 1 })
  })

  test('[CIRCUIT-11] a version that does not fit its surroundings any more is not put in force again', async () => {
    const bed = await open(await databases.open())
    const session = await bed.operators.connect(acme, registration({ supportedSchemas: [jobSchema] }), new TestLink())
    await bed.put({ circuit: 'assets', edges: [{ from: 'input.assets', to: 'genesis.jobs', schema: jobSchema }] })
    await bed.put({ circuit: 'assets', edges: [{ from: 'input.assets', to: 'copied.assets' }] })
    await session.close('left')
    await bed.operators.forget(acme, 'genesis-1')
    await expect(bed.circuits.rollback(acme, 'assets', 1)).rejects.toMatchObject({ code: 'circuit.invalid' })
    expect(await bed.circuits.get(acme, 'assets')).toMatchObject({ version: 2 })
  })

  test('[CIRCUIT-13] writes down every change with who made it, and nothing where nothing changed', async () => {
    const bed = await open(await databases.open())
    const document = { circuit: 'copy', edges: [{ from: 'input.assets', to: 'copied.assets' }] }
    await bed.put(document)
    await bed.put(document)
    await bed.circuits.enable(acme, 'copy')
    await bed.circuits.enable({ ...acme, subject: 'eve' }, 'copy')
    await bed.put({ ...document, max_hops: 3 })
    await bed.circuits.rollback({ ...acme, subject: 'eve' }, 'copy', 1)
    await bed.circuits.pause(acme, 'copy')
    await bed.circuits.delete(acme, 'copy')
    const { entries } = await bed.audit.list(acme, { kind: 'circuit', name: 'copy', limit: 50 })
    expect(entries.map(({ change, version, by }) => [change, version, by])).toEqual([
      ['deleted', 3, 'ann'],
      ['paused', 3, 'ann'],
      ['rolled_back', 3, 'eve'],
      ['declared', 2, 'ann'],
      ['enabled', 1, 'ann'],
      ['declared', 1, 'ann'],
    ])
    const digests = entries.map(({ digest }) => digest)
    expect(new Set(digests).size).toBe(2)
    expect(digests[2]).toBe(digests[5])
  })

  test('[CIRCUIT-14] operators do not know of circuits: another wiring leaves them as they are', async () => {
    const bed = await open(await databases.open())
    const link = new TestLink()
    const session = await bed.operators.connect(acme, registration(), link)
    const before = await bed.operators.get(acme, 'genesis-1')
    const wiring = (to: string) => ({ circuit: 'wiring', edges: [{ from: 'genesis.results', to }] })
    await bed.enable(wiring('gallery.seeds'))
    const work = async (): Promise<void> => {
      const count = link.jobs.length + 1
      await bed.spine.jobs.publish('acme', { topic: 'genesis.jobs', schema: jobSchema, payload: bytes({}) })
      const job = (await link.gets(count)).at(-1)
      if (job) await session.ack(heldOf(job), { schema: assetSchema, payload: bytes({ count }) })
    }
    await work()
    expect((await bed.take('gallery.seeds', 1)).map(({ payload }) => read(payload))).toEqual([{ count: 1 }])
    await bed.put(wiring('museum.seeds'))
    await work()
    expect((await bed.take('museum.seeds', 1)).map(({ payload }) => read(payload))).toEqual([{ count: 2 }])
    const after = await bed.operators.get(acme, 'genesis-1')
    expect(after.config_digest).toBe(before.config_digest)
    expect(after.history).toEqual(before.history)
    expect(link.closed).toBeNull()
    await session.close('left')
  })

  test('[CIRCUIT-12] what is only checked changes nothing', async () => {
    const bed = await open(await databases.open())
    const document = CircuitDocument.parse({ circuit: 'copy', edges: [{ from: 'a.b', to: 'c.d' }] })
    const put = (changed: CircuitDocument) => bed.circuits.put(acme, 'copy', { document: changed, dryRun: true })
    expect(await put(document)).toMatchObject({ version: 1, state: 'paused' })
    expect(await bed.circuits.list(acme)).toEqual([])
    await bed.put(document)
    await bed.circuits.enable(acme, 'copy')
    expect(await put(document)).toMatchObject({ version: 1, state: 'enabled' })
    const changed = { ...document, edges: [{ from: 'a.b', to: 'c.e', may_be_empty: false }] }
    expect(await put(changed)).toMatchObject({ version: 2, document: changed })
    const wrong = { ...document, edges: [{ from: 'a.b', to: 'none.jobs', may_be_empty: false }] }
    await expect(put(wrong)).rejects.toMatchObject({ code: 'circuit.invalid' })
    expect(await bed.circuits.get(acme, 'copy')).toMatchObject({ version: 1, document })
  })

  test('[CIRCUIT-8] counts what cannot be handed on, and goes on', async () => {
    const bed = await open(await databases.open())
    await bed.spine.schemas.register('acme', jobSchema, { type: 'object', required: ['ref'] })
    await bed.enable({
      circuit: 'strict',
      edges: [
        { from: 'input.assets', to: 'genesis.jobs', schema: jobSchema, map: '{ "ref": ref }', may_be_empty: true },
        { from: 'input.assets', to: 'audit.assets' },
      ],
    })
    await bed.publish('input.assets', { wrong: 1 })
    await bed.publish('input.assets', { ref: 'a' })
    await bed.take('audit.assets', 2)
    await expect
      .poll(async () => (await bed.circuits.get(acme, 'strict')).counts)
      .toMatchObject({ handed_on: 3, failed: 1 })
    expect((await bed.circuits.get(acme, 'strict')).last_problem).toMatch(/arqonbus.genesis.job.v1/)
  })

  test('[CIRCUIT-8] waits for room in a full queue', async () => {
    const bed = await open(await databases.open(), 2)
    await bed.enable({ circuit: 'jobs', edges: [{ from: 'input.assets', to: 'genesis.jobs', may_be_empty: true }] })
    for (let n = 0; n < 5; n++) await bed.publish('input.assets', { n })
    const done: unknown[] = []
    while (done.length < 5) {
      const want = { topics: ['genesis.jobs'], operator: 'x', organisation: 'acme', max: 5, waitMs: 10_000 }
      for (const job of await bed.spine.jobs.lease(want)) {
        const result = { schema: assetSchema, payload: bytes({}) }
        await bed.spine.jobs.ack({ jobId: job.id, fence: job.fence, organisation: 'acme' }, result)
        done.push(read(job.payload))
      }
    }
    expect(done).toEqual(Array.from({ length: 5 }, (_, n) => ({ n })))
    await expect
      .poll(async () => (await bed.circuits.get(acme, 'jobs')).counts)
      .toMatchObject({ handed_on: 5, failed: 0 })
  })

  test('[CIRCUIT-9] another organisation has neither the circuit nor its messages', async () => {
    const bed = await open(await databases.open())
    await bed.enable({ circuit: 'copy', edges: [{ from: 'input.assets', to: 'copied.assets' }] })
    await bed.spine.messages.publish('other', {
      topic: 'input.assets',
      type: 'event',
      schema: assetSchema,
      payload: bytes({}),
    })
    await bed.publish('input.assets', { mine: true })
    expect((await bed.take('copied.assets', 1)).map(({ payload }) => read(payload))).toEqual([{ mine: true }])
    expect(await bed.circuits.list(other)).toEqual([])
    await expect(bed.circuits.get(other, 'copy')).rejects.toMatchObject({ code: 'circuit.unknown' })
    await expect(bed.circuits.pause(other, 'copy')).rejects.toMatchObject({ code: 'circuit.unknown' })
    await expect(bed.circuits.delete(other, 'copy')).rejects.toMatchObject({ code: 'circuit.unknown' })
    expect(await bed.circuits.delete(acme, 'copy')).toEqual({ circuit: 'copy' })
    expect(await bed.circuits.list(acme)).toEqual([])
  })

  test('[CIRCUIT-3] knows the operators of the organisation', async () => {
    const bed = await open(await databases.open())
    const document = { circuit: 'assets', edges: [{ from: 'input.assets', to: 'genesis.jobs', schema: jobSchema }] }
    await expect(bed.put(document)).rejects.toMatchObject({ code: 'circuit.invalid' })
    const session = await bed.operators.connect(acme, registration({ supportedSchemas: [jobSchema] }), new TestLink())
    expect(await bed.put(document)).toMatchObject({ state: 'paused' })
    await session.close('left')
  })

  test('[CIRCUIT-3] names every expression that is none', async () => {
    const bed = await open(await databases.open())
    const edges = [
      { from: 'a.b', to: 'c.d', when: '(', map: 'a' },
      { from: 'a.b', to: 'c.e', map: '{' },
    ]
    await expect(bed.put({ circuit: 'wrong', edges })).rejects.toMatchObject({
      code: 'circuit.invalid',
      details: [expect.stringMatching(/^edges\.0: when: .*no JSONata/), expect.stringMatching(/^edges\.1: map: /)],
    })
  })

  test('[CIRCUIT-8] [CIRCUIT-10] a mapping that does not come back is counted, and holds up nobody else', async () => {
    const bed = await open(await databases.open(), 100, { timeoutMs: 3_000 })
    const evaluations = vi.spyOn(bed.mappings, 'evaluateAll')
    const map = '($f := function($n, $v) { $n = 0 ? $v : $f($n - 1, {"a": $v, "b": $v}) }; $f(40, 1) = $f(40, 1))'
    await bed.enable({ circuit: 'stuck', edges: [{ from: 'input.assets', to: 'copied.assets', map }] })
    const own = { circuit: 'own', edges: [{ from: 'input.assets', to: 'copied.assets', when: 'n >= 0', map: 'n' }] }
    await bed.circuits.put(other, 'own', { document: CircuitDocument.parse(own) })
    await bed.circuits.enable(other, 'own')
    await bed.publish('input.assets', {})
    for (let n = 0; n < 3; n++) {
      const message = { topic: 'input.assets', type: 'event', schema: assetSchema, payload: bytes({ n }) } as const
      await bed.spine.messages.publish('other', message)
    }
    const others = async (): Promise<number> => (await bed.circuits.get(other, 'own')).counts.handed_on
    await expect.poll(others, { timeout: 7_000 }).toBe(3)
    // That of the first organisation is still at its first message.
    expect(await bed.circuits.get(acme, 'stuck')).toMatchObject({ counts: { failed: 0, handed_on: 0 } })
    await expect.poll(async () => (await bed.circuits.get(acme, 'stuck')).counts.failed, { timeout: 30_000 }).toBe(1)
    expect((await bed.circuits.get(acme, 'stuck')).last_problem).toMatch(/longer than 3000 ms/)
    expect(evaluations.mock.calls.filter(([organisation]) => organisation === 'acme')).toHaveLength(3)
  })
})

describe('documents of circuits', () => {
  const alone = { takers: [{ topics: ['genesis.jobs'], schemas: [jobSchema] }], others: [], unreadable: new Map() }
  const check = (edges: unknown[], over: object = {}): void =>
    checkCircuit(CircuitDocument.parse({ circuit: 'c', edges, ...over }), alone)

  test.each([
    ['no operator', [{ from: 'a.b', to: 'nvm.jobs' }], /no operator takes jobs of nvm.jobs/],
    [
      'no operator of the schema',
      [{ from: 'a.b', to: 'genesis.jobs', schema: assetSchema }],
      /no operator of genesis.jobs takes/,
    ],
    [
      'a circle',
      [
        { from: 'a.b', to: 'c.d' },
        { from: 'c.d', to: 'a.b' },
      ],
      /a.b → c.d → a.b is a circle/,
    ],
    ['a schema left open', [{ from: 'a.b', to: 'genesis.jobs' }], /say which schema .*arqonbus.genesis.job.v1/],
    ['results of nobody', [{ from: 'nvm.results', to: 'c.d' }], /nothing comes from nvm.results/],
    ['streams of nobody', [{ from: 'nvm.streams', to: 'c.d' }], /nothing comes from nvm.streams/],
    ['itself', [{ from: 'a.b', to: 'a.b' }], /circle/],
    ['a circle through an operator', [{ from: 'genesis.results', to: 'genesis.jobs' }], /circle/],
  ])('[CIRCUIT-3] [CIRCUIT-4] refuses %s', (_what, edges, message) => {
    expect(() => check(edges)).toThrow(message)
  })

  test.each([
    [{ from: 'genesis.jobs', to: 'a.b' }],
    [{ from: 'a.b', to: 'genesis.results' }],
    [{ from: 'a.b', to: 'system.control.operators' }],
    [{ from: 'a', to: 'b.c' }],
    [{ from: 'a.b', to: 'plan.jobs', may_be_empty: true }],
    [{ from: 'system.control.others', to: 'a.b' }],
    [{ from: 'a.b', to: 'c.d', then: 'e.f' }],
  ])('[CIRCUIT-3] refuses the edge %j', edge => {
    expect(CircuitDocument.safeParse({ circuit: 'c', edges: [edge] }).success).toBe(false)
  })

  test('[CIRCUIT-3] takes results of jobs that an operator takes, that the circuit makes, or that are to come', () => {
    check([{ from: 'genesis.results', to: 'c.d' }])
    check([
      { from: 'a.b', to: 'nvm.jobs', may_be_empty: true },
      { from: 'nvm.results', to: 'c.d' },
    ])
    check([{ from: 'nvm.streams', to: 'c.d', may_be_empty: true }])
    check([{ from: 'system.control.operators', to: 'c.d' }])
  })

  test('[CIRCUIT-4] a way as long as an organisation has edges is looked through', () => {
    const link = (n: number): unknown => ({ from: `chain.n${n}`, to: `chain.n${n + 1}` })
    const documents = Array.from({ length: 200 }, (_, at) =>
      CircuitDocument.parse({ circuit: `c${at}`, edges: Array.from({ length: 50 }, (_, n) => link(at * 50 + n)) }),
    )
    const [first, ...others] = documents
    if (!first) throw new Error('There is no document.')
    checkCircuit(first, { takers: [], others, unreadable: new Map() })
    const closing = CircuitDocument.parse({ circuit: 'end', edges: [{ from: 'chain.n10000', to: 'chain.n0' }] })
    expect(() => checkCircuit(closing, { takers: [], others: documents, unreadable: new Map() })).toThrow(/circle/)
  })

  test('[CIRCUIT-4] a circle that is bounded is allowed, and one through other circuits is seen', () => {
    check([{ from: 'genesis.results', to: 'genesis.jobs', schema: jobSchema }], { max_hops: 3 })
    const others = [CircuitDocument.parse({ circuit: 'o', edges: [{ from: 'c.d', to: 'a.b' }] })]
    const document = CircuitDocument.parse({ circuit: 'c', edges: [{ from: 'a.b', to: 'c.d' }] })
    expect(() => checkCircuit(document, { takers: [], others, unreadable: new Map() })).toThrow(/circle/)
  })
})

interface Bed extends Pick<OperatorBed, 'spine' | 'operators'> {
  readonly circuits: Circuits
  readonly audit: Audit
  readonly mappings: Mappings
  readonly server: () => Circuits
  readonly put: (document: unknown) => ReturnType<Circuits['put']>
  readonly enable: (document: {
    readonly circuit: string
    readonly max_hops?: number
    readonly edges: readonly object[]
  }) => ReturnType<Circuits['enable']>
  readonly publish: (topic: string, payload: unknown) => Promise<unknown>
  /** Messages of a topic from the first one. */
  readonly take: (topic: string, count: number) => Promise<Message[]>
}

async function open(db: Database, jobsPerQueue = 100, terms: Partial<MappingTerms> = {}): Promise<Bed> {
  const { spine, operators, clock } = operatorBed(db, {}, { jobsPerQueue })
  const mappings = testMappings(terms)
  const audit = new Audit({ db, now: () => clock.time })
  const server = (): Circuits => {
    const circuits = new Circuits({ db, spine, operators, mappings, audit, log: silentLogger(), now: () => clock.time })
    circuits.start()
    onTestFinished(() => circuits[Symbol.asyncDispose]())
    return circuits
  }
  const circuits = server()
  const put: Bed['put'] = document => {
    const parsed = CircuitDocument.parse(document)
    return circuits.put(acme, parsed.circuit, { document: parsed })
  }
  return Promise.resolve({
    spine,
    operators,
    audit,
    mappings,
    circuits,
    server,
    put,
    async enable(document) {
      await put(document)
      return circuits.enable(acme, document.circuit)
    },
    publish: (topic, payload) =>
      spine.messages.publish('acme', {
        topic,
        type: 'event',
        schema: assetSchema,
        payload: bytes(payload),
        trace: { user: 'u1' },
      }),
    async take(topic, count) {
      const taken: Message[] = []
      const signal = AbortSignal.timeout(20_000)
      for await (const delivery of spine.messages.follow({ organisation: 'acme', topics: [topic], after: 0, signal })) {
        if (delivery.type === 'message') taken.push(delivery.message)
        if (taken.length === count) break
      }
      return taken
    },
  })
}

function read(payload: Uint8Array | undefined): unknown {
  return payload === undefined ? undefined : parseJson(new TextDecoder().decode(payload))
}
