import { createHash } from 'node:crypto'
import { CreateToken } from '@slipway/protocol/access'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { z } from 'zod'
import type { Database } from '#db/database'
import { onDatabases } from '#db/testing'
import type { Identity } from '#http/authenticate'
import { createLogger } from '#observe/log'
import { Access, Audit } from './access.ts'

const apiToken = 'the-token-of-the-operator'
const admin: Identity = { organisation: 'acme', subject: 'token:a', scopes: ['admin'], isOperator: false }
const dayMs = 86_400_000

interface Clock {
  now: number
}

function open(
  db: Database,
  { clock = { now: 1_000_000 }, configured = apiToken }: { clock?: Clock; configured?: string | null } = {},
): { access: Access; lines: string[]; clock: Clock; operator: () => Promise<Identity> } {
  const lines: string[] = []
  const log = createLogger({ logLevel: 'debug', destination: { write: line => lines.push(line) } })
  const access = new Access({ db, log, apiToken: configured, now: () => clock.now })
  return { access, lines, clock, operator: () => access.verifier.verify(configured) }
}

function asked(over: Partial<z.input<typeof CreateToken>> = {}): CreateToken {
  return CreateToken.parse({ name: 'one', ...over })
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  )
}

onDatabases('access', databases => {
  test('[ACCESS-1] a token is shown once, and only the hash of its secret is kept', async () => {
    await using db = await databases.open()
    const { access, lines } = open(db)
    const made = await access.create(admin, asked())
    const [, id, secret = ''] = /^slw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(made.token) ?? []
    expect(id).toBe(made.id)
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32)
    const rows = await db.read.selectFrom('token').selectAll().execute()
    expect(rows).toMatchObject([{ id, hash: createHash('sha256').update(secret).digest('hex') }])
    const { tokens } = await access.list(admin, { limit: 10 })
    await access.verifier.verify(made.token)
    await access.revoke(admin, made.id)
    await access[Symbol.asyncDispose]()
    for (const text of [JSON.stringify(rows), JSON.stringify(tokens), lines.join('')]) {
      expect(text).toContain(id)
      expect(text).not.toContain(secret)
    }
    expect((await access.create(admin, asked())).token).not.toBe(made.token)
  })

  test('[ACCESS-2] a token says what it is, and when it was last used', async () => {
    await using db = await databases.open()
    const { access, clock, operator } = open(db)
    const made = await access.create(await operator(), asked({ organisation: 'acme', scopes: ['admin', 'admin'] }))
    expect(made).toMatchObject({
      name: 'one',
      organisation: 'acme',
      scopes: ['admin'],
      created_by: 'operator',
      expires_at: new Date(clock.now + 90 * dayMs).toISOString(),
      last_used_at: null,
      status: 'valid',
      new_organisation: true,
    })
    const usedAt = async (): Promise<string | null> => {
      await access[Symbol.asyncDispose]()
      return (await access.list(admin, { limit: 1 })).tokens[0]?.last_used_at ?? null
    }
    const first = new Date(clock.now).toISOString()
    expect(await access.verifier.verify(made.token)).toEqual({
      organisation: 'acme',
      subject: `token:${made.id}`,
      scopes: ['admin'],
      isOperator: false,
    })
    expect(await usedAt()).toBe(first)
    clock.now += 59_000
    await access.verifier.verify(made.token)
    expect(await usedAt()).toBe(first)
    clock.now += 2_000
    await access.verifier.verify(made.token)
    expect(await usedAt()).toBe(new Date(clock.now).toISOString())
    const forever = await access.create(admin, asked({ expires_in_seconds: null }))
    expect(forever).toMatchObject({ expires_at: null, new_organisation: false })
  })

  test('[ACCESS-3] what opens nothing says why', async () => {
    await using db = await databases.open()
    const { access, clock } = open(db)
    const short = await access.create(admin, asked({ expires_in_seconds: 60 }))
    const revoked = await access.create(admin, asked())
    const why = async (token: string | null) => refusal(access.verifier.verify(token))
    expect(await why(short.token)).toBeNull()
    await access.revoke(admin, revoked.id)
    clock.now += 60_000
    const code = 'auth.required'
    const saying = (text: string) => ({ code, message: expect.stringContaining(text) as string })
    expect(await why(null)).toMatchObject(saying('asks for a token'))
    expect(await why(short.token)).toMatchObject(saying('expired on 1970-01-01T00:17:40.000Z'))
    expect(await why(revoked.token)).toMatchObject(saying('was revoked on 1970-01-01T00:16:40.000Z'))
    const otherSecret = `slw_${revoked.id}_${'A'.repeat(43)}`
    for (const token of [otherSecret, `slw_0011223344556677_${'A'.repeat(43)}`, 'anything', `${revoked.token}x`, ''])
      expect(await why(token)).toMatchObject(saying('no token of this server'))
  })

  test('[ACCESS-5] a revoked token opens nothing here, and nothing elsewhere within five seconds', async () => {
    await using db = await databases.open()
    const clock = { now: 1_000_000 }
    const here = open(db, { clock })
    const there = open(db, { clock })
    const { id, token } = await here.access.create(admin, asked())
    await here.access.verifier.verify(token)
    await there.access.verifier.verify(token)
    await here.access.revoke(admin, id)
    expect(await refusal(here.access.verifier.verify(token))).toMatchObject({ code: 'auth.required' })
    clock.now += 5_000
    expect(await refusal(there.access.verifier.verify(token))).toMatchObject({ code: 'auth.required' })
    await here.access[Symbol.asyncDispose]()
    await there.access[Symbol.asyncDispose]()
  })

  test('[ACCESS-6] whoever watches a token hears of its end, on every server', async () => {
    await using db = await databases.open()
    const here = open(db)
    const there = open(db)
    const { id, token } = await here.access.create(admin, asked())
    const other = await here.access.create(admin, asked())
    using watched = here.access.verifier.watch(await here.access.verifier.verify(token))
    using far = there.access.verifier.watch(await there.access.verifier.verify(token))
    using kept = there.access.verifier.watch(await there.access.verifier.verify(other.token))
    await here.access.revoke(admin, id)
    expect(watched.signal.reason).toMatchObject({ code: 'auth.required' })
    await expect.poll(() => far.signal.aborted, { timeout: 10_000 }).toBe(true)
    there.clock.now += 90 * dayMs
    await expect.poll(() => kept.signal.aborted, { timeout: 10_000 }).toBe(true)
    expect(kept.signal.reason).toMatchObject({ message: expect.stringContaining('expired') as string })
    await here.access[Symbol.asyncDispose]()
    await there.access[Symbol.asyncDispose]()
  })

  test('[ACCESS-7] [ACCESS-9] an administrator has the own tokens, the operator all', async () => {
    await using db = await databases.open()
    const { access, operator } = open(db)
    const root = await operator()
    expect(root).toMatchObject({ organisation: 'default', scopes: ['admin'], isOperator: true })
    const own = await access.create(admin, asked({ name: 'own' }))
    const foreign = await access.create(root, asked({ name: 'foreign', organisation: 'other' }))
    expect(await refusal(access.create(admin, asked({ organisation: 'other' })))).toMatchObject({
      code: 'auth.forbidden',
    })
    expect(await refusal(access.list(admin, { organisation: 'other', limit: 10 }))).toMatchObject({
      code: 'auth.forbidden',
    })
    expect(await refusal(access.revoke(admin, foreign.id))).toMatchObject({ code: 'token.unknown' })
    expect(await refusal(access.revoke(admin, '0011223344556677'))).toMatchObject({ code: 'token.unknown' })
    const names = async (by: Identity, organisation?: string) =>
      (await access.list(by, { organisation, limit: 10 })).tokens.map(({ name }) => name)
    expect(await names(admin)).toEqual(['own'])
    expect(await names(root)).toEqual(['foreign', 'own'])
    expect(await names(root, 'other')).toEqual(['foreign'])
    expect(await access.revoke(root, foreign.id)).toMatchObject({ status: 'revoked' })
    expect(await access.revoke(root, foreign.id)).toMatchObject({ status: 'revoked' })
    expect(await access.verifier.verify(own.token)).toMatchObject({ organisation: 'acme' })
    await access[Symbol.asyncDispose]()
  })

  test('[ACCESS-8] a server without a configured token is open until the first one is made', async () => {
    await using db = await databases.open()
    const clock = { now: 1_000_000 }
    const { access } = open(db, { clock, configured: null })
    const there = open(db, { clock, configured: null }).access
    const local = await access.verifier.verify(null)
    expect(local).toEqual({ organisation: 'default', subject: 'local', scopes: ['admin'], isOperator: true })
    expect(await access.verifier.verify('anything')).toEqual(local)
    expect(await there.verifier.verify(null)).toEqual(local)
    using watched = access.verifier.watch(local)
    const first = await access.create(local, asked({ scopes: ['admin'] }))
    expect(first.closes_server).toBe(true)
    expect(watched.signal.aborted).toBe(true)
    expect(await refusal(access.verifier.verify(null))).toMatchObject({ code: 'auth.required' })
    expect((await access.create(await access.verifier.verify(first.token), asked())).closes_server).toBe(false)
    clock.now += 5_000
    expect(await refusal(there.verifier.verify(null))).toMatchObject({ code: 'auth.required' })
    await access.revoke(local, first.id)
    const again = open(db, { clock, configured: null }).access
    expect(await refusal(again.verifier.verify(null))).toMatchObject({ code: 'auth.required' })
    await access[Symbol.asyncDispose]()
  })

  test('[ACCESS-9] the list is in pages', async () => {
    await using db = await databases.open()
    const { access } = open(db)
    for (const name of ['1', '2', '3', '4', '5']) await access.create(admin, asked({ name }))
    const names: string[] = []
    for (let after: number | undefined; ;) {
      const page = await access.list(admin, { limit: 2, after })
      names.push(...page.tokens.map(({ name }) => name))
      if (page.next === null) break
      after = page.next
    }
    expect(names).toEqual(['5', '4', '3', '2', '1'])
  })

  test('[ACCESS-15] what is done to tokens is written down, once, for their organisation alone', async () => {
    await using db = await databases.open()
    const { access, operator, clock } = open(db)
    const root = await operator()
    const { id } = await access.create(admin, asked({ name: 'own', scopes: ['read:jobs'] }))
    clock.now += 5_000
    await access.revoke(root, id)
    await access.revoke(admin, id)
    const foreign = await access.create(root, asked({ organisation: 'other' }))
    await refusal(access.revoke(admin, foreign.id))
    const of = async (organisation: string, more: { before?: number; name?: string } = {}) =>
      access.audit.list({ organisation }, { limit: 1, ...more })
    const newest = await of('acme')
    const entry = {
      kind: 'token',
      name: id,
      version: null,
      digest: null,
      details: { name: 'own', scopes: ['read:jobs'] },
    }
    const at = (ms: number): string => new Date(ms).toISOString()
    expect(newest.entries).toEqual([{ ...entry, change: 'revoked', by: root.subject, at: at(clock.now) }])
    const oldest = await of('acme', { before: newest.next ?? 0 })
    expect(oldest).toEqual({
      entries: [{ ...entry, change: 'created', by: 'token:a', at: at(clock.now - 5_000) }],
      next: null,
    })
    expect(await of('acme', { name: foreign.id })).toEqual({ entries: [], next: null })
    expect((await of('other')).entries).toMatchObject([{ name: foreign.id, change: 'created', by: root.subject }])
    await access[Symbol.asyncDispose]()
  })

  test('[ACCESS-15] of very many changes the newest are kept, and a failed one is not among them', async () => {
    await using db = await databases.open()
    const audit = new Audit({ db, now: () => 1 })
    const deed = (name: string) => ({ kind: 'policy', name, change: 'put' }) as const
    await db.transaction(async tx => {
      for (let n = 0; n < 10_020; n++) await audit.note(tx, admin, deed(`p${n}`))
    })
    const failing = db.transaction(async tx => {
      await audit.note(tx, admin, deed('failed'))
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    const { rows } = await sql<{ count: number }>`select count(*) as count from audit`.execute(db.read)
    expect(Number(rows[0]?.count)).toBe(10_000)
    expect((await audit.list(admin, { limit: 1 })).entries).toMatchObject([{ name: 'p10019' }])
  })
})
