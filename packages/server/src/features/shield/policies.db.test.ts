import { afterEach, describe, expect, test } from 'vitest'
import type { Database } from '#db/database'
import { onDatabases } from '#db/testing'
import { Audit } from '#features/access/access'
import type { Identity } from '#http/authenticate'
import { silentLogger } from '#observe/log'
import { ShieldCounters } from '#observe/shield-counters'
import type { Outgoing } from './gate.ts'
import { Policies, type PolicyTerms } from './policies.ts'
import { base64, bytes, constantPolicy, schema, wasmCode, wasmModule, type WasmParts } from './testing.ts'

const acme: Identity = { organisation: 'acme', subject: 'token:1', scopes: ['admin'], isOperator: false }
const other: Identity = { ...acme, organisation: 'other' }
const { constant, local, call, drop, trap, loop, grow, load, equal } = wasmCode

const terms: PolicyTerms = {
  required: false,
  moduleBytes: 100_000,
  memoryBytes: 1_048_576,
  timeoutMs: 2_000,
  loadMs: 1_000,
  workers: 2,
  queue: 100,
}

const running: Policies[] = []
afterEach(async () => {
  for (const policies of running.splice(0)) await policies[Symbol.asyncDispose]()
})

function start(db: Database, changed: Partial<PolicyTerms> = {}): { policies: Policies; counters: ShieldCounters } {
  const counters = new ShieldCounters()
  const audit = new Audit({ db, now: () => 1 })
  const parts = { db, audit, log: silentLogger(), now: () => 1, counters }
  const policies = new Policies({ ...parts, terms: { ...terms, ...changed } })
  running.push(policies)
  return { policies, counters }
}

function message(over: Partial<Outgoing> = {}): Outgoing {
  return { by: acme, topic: 'input.assets', type: 'event', schema, payload: bytes(1), trace: undefined, ...over }
}

function policy(check: readonly number[], parts: Partial<WasmParts> = {}): string {
  return base64(wasmModule({ functions: [{ name: 'policy_check', params: 2, body: check }], ...parts }))
}

/** What the module's answer to a message is. */
async function answer(policies: Policies, module: string, over: Partial<Outgoing> = {}): Promise<string> {
  await policies.put(acme, 'tested', { topics: '>', module, active: true })
  return policies.check(message(over)).then(
    () => 'allowed',
    (error: unknown) => (error as { readonly code: string }).code,
  )
}

onDatabases('policies', databases => {
  test('[SHIELD-20] a policy looks at the topics of its pattern, of its organisation alone', async () => {
    const { policies } = start(await databases.open())
    await policies.put(acme, 'no', { topics: 'input.*', module: base64(constantPolicy(3)), active: true })
    await expect(policies.check(message())).rejects.toMatchObject({
      code: 'policy.denied',
      details: { policy: 'no', version: 1, number: 3 },
    })
    await policies.check(message({ topic: 'output.assets' }))
    await policies.check(message({ by: other }))
    expect(await policies.list(other)).toEqual([])
    await expect(policies.get(other, 'no')).rejects.toMatchObject({ code: 'policy.unknown' })
    await expect(policies.delete(other, 'no')).rejects.toMatchObject({ code: 'policy.unknown' })
  })

  test('[SHIELD-21] policies are kept, put in and out of force, and removed', async () => {
    const db = await databases.open()
    const { policies } = start(db)
    await policies.put(acme, 'no', { topics: '>', module: base64(constantPolicy(1)), active: false })
    await policies.check(message())
    expect(await policies.setActive(acme, 'no', true)).toMatchObject({ active: true, loaded: true, version: 1 })
    await expect(policies.check(message())).rejects.toMatchObject({ code: 'policy.denied' })
    // Another server of the same database, or this one after a restart.
    const { policies: later } = start(db)
    await expect(later.check(message())).rejects.toMatchObject({ code: 'policy.denied' })
    await policies.setActive(acme, 'no', false)
    await policies.check(message())
    await policies.setActive(acme, 'no', true)
    await policies.delete(acme, 'no')
    await policies.check(message())
    expect(await policies.list(acme)).toEqual([])
  })

  test('[SHIELD-22] a new version takes over once it is compiled, and a bad one never', async () => {
    const { policies } = start(await databases.open())
    const put = (module: string) => policies.put(acme, 'gate', { topics: '>', module, active: true })
    await put(base64(constantPolicy(7)))
    const bad = [
      base64(bytes('no module')),
      base64(constantPolicy(0).subarray(0, 40)),
      policy(constant(0), { memory: { min: 1 } }),
      policy(constant(0), { start: loop.slice() }),
    ]
    for (const module of bad) await expect(put(module)).rejects.toMatchObject({ code: 'policy.invalid' })
    await expect(policies.check(message())).rejects.toMatchObject({ details: { version: 1, number: 7 } })
    expect(await put(base64(constantPolicy(0)))).toMatchObject({ version: 2, loaded: true })
    await policies.check(message())
  })

  test('[SHIELD-23] what cannot be loaded refuses its topics, and so does a server that asks for a policy', async () => {
    const db = await databases.open()
    const { policies } = start(db)
    await policies.put(acme, 'gate', { topics: 'input.>', module: base64(constantPolicy(0)), active: true })
    await db.transaction(tx =>
      tx.sql
        .updateTable('policy')
        .set({ module: bytes('gone') })
        .execute(),
    )
    const { policies: later } = start(db)
    await expect(later.check(message())).rejects.toMatchObject({ code: 'policy.missing' })
    await later.check(message({ topic: 'output.assets' }))
    const { policies: strict } = start(db, { required: true })
    await expect(strict.check(message({ topic: 'output.assets' }))).rejects.toMatchObject({ code: 'policy.missing' })
  })
})

onDatabases('policies that change', databases => {
  test('[SHIELD-23] what cannot be read at the moment is read again for the next message', async () => {
    const db = await databases.open()
    const { policies } = start(db)
    for (const name of ['a', 'b', 'c']) {
      const module = policy([...constant(name === 'c' ? 5 : 0)])
      await policies.put(acme, name, { topics: '>', module, active: true })
    }
    // Together they would not have room to wait; one after the other they have.
    const { policies: later } = start(db, { queue: 1 })
    await expect(later.check(message())).rejects.toMatchObject({ code: 'policy.denied', details: { policy: 'c' } })
    expect(await later.list(acme)).toMatchObject([{ loaded: true }, { loaded: true }, { loaded: true }])
    const { policies: crowded } = start(db, { queue: 1 })
    const others = crowded.put(acme, 'd', { topics: 'none.*', module: base64(constantPolicy(1)), active: true })
    await expect(crowded.check(message())).rejects.toMatchObject({ code: 'policy.missing', retryable: true })
    await others
    await expect(crowded.check(message())).rejects.toMatchObject({ code: 'policy.denied', details: { policy: 'c' } })
    expect((await crowded.list(acme)).every(({ loaded }) => loaded)).toBe(true)
  })

  test('[SHIELD-31] writes down who did what to policies, also to those that are gone', async () => {
    const db = await databases.open()
    const { policies } = start(db)
    const first = { topics: 'a.*', module: base64(constantPolicy(0)), active: true }
    const { digest } = await policies.put(acme, 'gate', first)
    const next = await policies.put(acme, 'gate', { topics: '>', module: base64(constantPolicy(1)), active: false })
    await policies.setActive({ ...acme, subject: 'token:2' }, 'gate', true)
    await policies.setActive(acme, 'gate', true)
    await policies.delete(acme, 'gate')
    const bad = policies.put(acme, 'bad', { topics: '>', module: base64(bytes('none')), active: true })
    await expect(bad).rejects.toMatchObject({ code: 'policy.invalid' })
    const { entries } = await new Audit({ db, now: () => 1 }).list(acme, { kind: 'policy', limit: 50 })
    const second = { version: 2, digest: next.digest }
    expect(entries).toMatchObject([
      { ...second, change: 'deleted', details: { topics: '>', active: true }, by: 'token:1' },
      { ...second, change: 'activated', details: { topics: '>', active: true }, by: 'token:2' },
      { ...second, change: 'put', details: { topics: '>', active: false }, by: 'token:1' },
      { version: 1, digest, change: 'put', details: { topics: 'a.*', active: true }, by: 'token:1' },
    ])
  })
})

describe('modules', () => {
  onDatabases('policies', databases => {
    test('[SHIELD-24] a module that declares more than it may is refused', async () => {
      const { policies } = start(await databases.open())
      const allowed = { functions: [{ name: 'policy_check', params: 2, body: constant(0) }] }
      const refused: readonly [string, WasmParts][] = [
        ['may grow to', { ...allowed, memory: { min: 1, max: 17 } }],
        ['no maximum', { ...allowed, memory: { min: 1 } }],
        ['table without a maximum', { ...allowed, table: { min: 1 } }],
        ['table of', { ...allowed, table: { min: 1, max: 1_000_000 } }],
        ['imports function env.fd_write', { ...allowed, imports: [{ name: 'fd_write', params: 2 }] }],
        ['imports function wasi', { ...allowed, imports: [{ name: 'host_log', from: 'wasi', params: 2 }] }],
        ['does not export the function', { functions: [{ name: 'check', params: 2, body: constant(0) }] }],
        ['takes two numbers', { functions: [{ name: 'policy_check', params: 1, body: constant(0) }] }],
        ['unreachable', { ...allowed, start: trap.slice() }],
      ]
      for (const [why, parts] of refused) {
        const put = policies.put(acme, 'tested', { topics: '>', module: base64(wasmModule(parts)), active: true })
        await expect(put).rejects.toMatchObject({
          code: 'policy.invalid',
          message: expect.stringContaining(why) as unknown,
        })
      }
      const large = policies.put(acme, 'tested', { topics: '>', module: base64(new Uint8Array(100_001)), active: true })
      await expect(large).rejects.toMatchObject({ code: 'body.too_large' })
      expect(await policies.list(acme)).toEqual([])
    })

    test('[SHIELD-25] whatever keeps a policy from answering refuses the message with its own code', async () => {
      const { policies, counters } = start(await databases.open(), { timeoutMs: 300 })
      expect(await answer(policies, policy(constant(0)))).toBe('allowed')
      expect(await answer(policies, policy([...loop, ...constant(0)]))).toBe('policy.timeout')
      expect(await answer(policies, policy(trap.slice()))).toBe('policy.failed')
      // Calls itself without end.
      expect(await answer(policies, policy([...local(0), ...local(1), ...call(0)]))).toBe('policy.failed')
      // Reads beyond its memory.
      expect(await answer(policies, policy([...constant(-8), ...load]))).toBe('policy.failed')
      // Memory grows no further than declared: 15 pages more are there, and a sixteenth is not.
      const growing = (pages: number) => [...constant(pages), ...grow, ...constant(1), ...equal, 0x45]
      const memory = { min: 1, max: 16 }
      expect(await answer(policies, policy(growing(15), { memory }))).toBe('allowed')
      expect(await answer(policies, policy(growing(16), { memory }))).toBe('policy.denied')
      expect(await answer(policies, policy(constant(0)), { payload: new Uint8Array(70_000) })).toBe('policy.memory')
      expect(counters.all().workersReplaced).toBe(1)
      expect(await answer(policies, policy(constant(0)))).toBe('allowed')
    })

    test('[SHIELD-26] a policy sees the payload, headers and nothing else of the host', async () => {
      const { policies } = start(await databases.open())
      const bytesAt = (at: number[]) => [...at, 0x2d, 0x00, 0x00]
      // The payload is at 0: its first byte is the answer.
      const first = { payload: Uint8Array.of(9) }
      await policies.put(acme, 'first', { topics: '>', module: policy(bytesAt(local(0))), active: true })
      await expect(policies.check(message(first))).rejects.toMatchObject({ details: { number: 9 } })
      await policies.delete(acme, 'first')
      // Or where the guest says, so that its own data stays whole.
      const placed = wasmModule({
        functions: [
          { name: 'policy_check', params: 2, body: bytesAt(local(0)) },
          { name: 'policy_alloc', params: 1, body: constant(4096) },
        ],
      })
      await policies.put(acme, 'placed', { topics: '>', module: base64(placed), active: true })
      await expect(policies.check(message(first))).rejects.toMatchObject({ details: { number: 9 } })
      await policies.delete(acme, 'placed')
      // Gives the length of the topic, and of a header that is not there.
      const header = (name: string) =>
        policy([...constant(100), ...constant(name.length), ...constant(200), ...call(0)], {
          imports: [{ name: 'host_get_header', params: 3 }],
          data: { 100: name },
        })
      await policies.put(acme, 'header', { topics: '>', module: header('topic'), active: true })
      await expect(policies.check(message())).rejects.toMatchObject({ details: { number: 'input.assets'.length } })
      await policies.put(acme, 'header', { topics: '>', module: header('trace.span_id'), active: true })
      await expect(policies.check(message({ trace: { span_id: '12345' } }))).rejects.toMatchObject({
        details: { number: 5 },
      })
      await policies.put(acme, 'header', { topics: '>', module: header('__proto__'), active: true })
      await expect(policies.check(message())).rejects.toMatchObject({ details: { number: -1 } })
    })

    test('[SHIELD-27] what a policy rejects stays rejected, and wild pointers refuse the message', async () => {
      const { policies } = start(await databases.open())
      const reject = { imports: [{ name: 'host_reject', params: 3 }], data: { 100: 'too large' } }
      const rejecting = policy([...constant(5), ...constant(100), ...constant(9), ...call(0)], reject)
      await policies.put(acme, 'tested', { topics: '>', module: rejecting, active: true })
      await expect(policies.check(message())).rejects.toMatchObject({
        code: 'policy.denied',
        message: expect.stringContaining('too large') as unknown,
        details: { number: 5 },
      })
      // A guest that catches the exception and says yes: try … catch_all … end.
      const caught = [0x06, 0x40, ...constant(5), ...constant(100), ...constant(9), ...call(0), ...drop, 0x19, 0x0b]
      expect(await answer(policies, policy([...caught, ...constant(0)], reject))).toBe('policy.denied')
      for (const name of ['host_reject', 'host_log', 'host_get_header'])
        for (const [at, length] of [
          [65_530, 100],
          [-1, 4],
          [4, -1],
        ] as const) {
          const place = [...constant(at), ...constant(length)]
          const given = name === 'host_get_header' ? [...place, ...constant(0)] : [...constant(1), ...place]
          const body = [...given, ...call(0), ...drop, ...constant(0)]
          expect(await answer(policies, policy(body, { imports: [{ name, params: 3 }] }))).toBe('policy.failed')
        }
    })

    test('[SHIELD-28] an organisation whose policies hang does not keep others from theirs, and waits are bounded', async () => {
      const { policies } = start(await databases.open(), { timeoutMs: 300, queue: 3 })
      const asleep = policy([...loop, ...constant(0)])
      await policies.put(acme, 'asleep', { topics: '>', module: asleep, active: true })
      await policies.put(other, 'awake', { topics: '>', module: policy(constant(0)), active: true })
      const hanging = Array.from({ length: 8 }, () =>
        policies.check(message()).catch((error: unknown) => (error as { readonly code: string }).code),
      )
      let done = 0
      const passing = (async () => {
        for (; done < 20; done++) await policies.check(message({ by: other }))
      })()
      const first = await Promise.race([Promise.all(hanging).then(() => 'hanging'), passing.then(() => 'passing')])
      expect(first).toBe('passing')
      const codes = await Promise.all(hanging)
      expect(codes.filter(code => code === 'policy.timeout')).toHaveLength(4)
      expect(codes.filter(code => code === 'policy.busy')).toHaveLength(4)
    })
  })
})
