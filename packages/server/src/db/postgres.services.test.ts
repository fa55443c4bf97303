import { sql } from 'kysely'
import { afterEach, describe, expect, inject, test } from 'vitest'
import { openDatabase, type Database } from './database.ts'
import { DatabaseUnavailable, isStorageFault } from './faults.ts'
import { migrateDatabase, missingInDatabase } from './migrate-database.ts'
import { postgresUrl } from './testing.ts'

const why = inject('postgres')?.why ?? null

describe.skipIf(why !== null)(`Postgres${why === null ? '' : ` (${why})`}`, () => {
  const open: Database[] = []
  afterEach(() => Promise.all(open.splice(0).map(db => db[Symbol.asyncDispose]())))

  async function connect(url: string): Promise<Database> {
    const db = await openDatabase(url)
    open.push(db)
    return db
  }

  async function setting(db: Database, name: string): Promise<string> {
    const { rows } = await sql<{ value: string }>`select current_setting(${name}) as value`.execute(db.read)
    return rows[0]?.value ?? ''
  }

  async function setForDatabase(url: string, change: string): Promise<void> {
    const db = await connect(url)
    const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(db.read)
    await sql.raw(`alter database ${rows[0]?.name} set ${change}`).execute(db.read)
  }

  test.each([
    ['off', 'on'],
    ['local', 'on'],
    ['remote_apply', 'remote_apply'],
  ])('[DB-1] where the database says synchronous_commit = %s, sessions have %s', async (configured, used) => {
    const url = await postgresUrl()
    await setForDatabase(url, `synchronous_commit = ${configured}`)
    expect(await setting(await connect(url), 'synchronous_commit')).toBe(used)
  })

  test('[DB-9] statements and idle transactions have limits', async () => {
    const db = await connect(await postgresUrl())
    expect(await setting(db, 'statement_timeout')).toBe('30s')
    expect(await setting(db, 'idle_in_transaction_session_timeout')).toBe('15s')
  })

  test('[DB-6] of many at the same time one brings it up to date', async () => {
    const url = await postgresUrl({ empty: true })
    const steps = await missingInDatabase(url)
    const applied = await Promise.all(Array.from({ length: 6 }, () => migrateDatabase(url)))
    expect(applied.filter(names => names.length > 0)).toEqual([steps])
    expect(await missingInDatabase(url)).toEqual([])
  })

  test('[DB-7] without its tables, or with newer ones, it is refused', async () => {
    const url = await postgresUrl({ empty: true })
    await expect(openDatabase(url)).rejects.toMatchObject({
      code: 'config.invalid',
      message: expect.stringContaining('slipway migrate') as string,
    })
    await migrateDatabase(url)
    const db = await connect(url)
    await sql`insert into migration values ('9999-later', 0)`.execute(db.read)
    for (const use of [openDatabase, migrateDatabase, missingInDatabase])
      await expect(use(url)).rejects.toMatchObject({ code: 'config.invalid' })
  })

  test('[DB-8] why it cannot be used is said without its password', async () => {
    const there = new URL(inject('postgres')?.url ?? '')
    const wrong = [`postgres://a:hidden-word@127.0.0.1:1/b`, `postgres://a:hidden-word@${there.host}/nothing`]
    for (const url of wrong) {
      const error: unknown = await openDatabase(url).catch((cause: unknown) => cause)
      expect(error).toMatchObject({
        code: 'config.invalid',
        message: expect.stringContaining('SLIPWAY_DATABASE_URL') as string,
      })
      expect(String((error as Error).stack)).not.toContain('hidden-word')
    }
  })

  test('[DB-9] connections that were cut are replaced', async () => {
    const url = await postgresUrl()
    const db = await connect(url)
    const admin = await connect(url)
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`
    for (let time = 1; time <= 3; time++) {
      const inside: unknown = await db
        .transaction(async tx => {
          await tx.insertAll('event', [{ id: time, organisation: 'default', run_id: 'a', seq: time, events: '[]' }])
          await sql.raw(cut).execute(admin.read)
          await tx.sql.selectFrom('event').select('id').execute()
        })
        .catch((error: unknown) => error)
      expect(isStorageFault(inside)).toBe(true)
      await expect.poll(() => db.ping({ withinMs: 5_000 }).then(() => 'answers', isStorageFault)).toBe('answers')
      expect(await db.read.selectFrom('event').select('id').execute()).toEqual([])
    }
  })

  test('[DB-9] what is refused by Postgres itself is no fault that passes', async () => {
    const db = await connect(await postgresUrl())
    const error: unknown = await sql`select * from nothing`.execute(db.read).catch((cause: unknown) => cause)
    expect(isStorageFault(error)).toBe(false)
    expect(error).not.toBeInstanceOf(DatabaseUnavailable)
  })

  test('[DB-10] a listener hears other servers, and of a lost connection', async () => {
    const url = await postgresUrl()
    const [first, second] = [await connect(url), await connect(url)]
    const told: (string | null)[] = []
    second.listen('slipway_runs', payload => told.push(payload))
    await expect.poll(() => told, { timeout: 10_000 }).toEqual([null])
    await first.transaction(tx => first.notify(tx, 'slipway_runs', 'x'.repeat(7_999)))
    await expect.poll(() => told.length).toBe(2)
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query ilike 'listen%'`
    await sql.raw(cut).execute(first.read)
    await expect.poll(() => told.slice(2), { timeout: 10_000 }).toEqual([null])
    await first.transaction(tx => first.notify(tx, 'slipway_runs', 'again'))
    await expect.poll(() => told.slice(3)).toEqual(['again'])
  })

  test('[DB-12] a server that ends is gone, and one whose connection broke comes back', async () => {
    const url = await postgresUrl()
    const [first, second] = [await connect(url), await connect(url)]
    const admin = await connect(url)
    expect(await second.gone(['first'])).toEqual([])
    await first.join('first')
    const shows = async (): Promise<number | undefined> => {
      const { rows } = await sql<{ pid: number }>`select pid from pg_stat_activity
        where datname = current_database() and query like '%lock_shared%' and pid <> pg_backend_pid()`.execute(
        admin.read,
      )
      return rows[0]?.pid
    }
    const pid = await shows()
    await sql`select pg_terminate_backend(${pid})`.execute(admin.read)
    await expect.poll(shows, { timeout: 10_000 }).toSatisfy(now => now !== undefined && now !== pid)
    await second.join('second')
    await expect.poll(() => second.gone(['first', 'third'])).toEqual(['third'])
    // It cannot know who else was cut off together with it.
    expect(await first.gone(['third'])).toEqual([])
    await first[Symbol.asyncDispose]()
    await expect.poll(() => second.gone(['first', 'second'])).toEqual(['first'])
  })

  test('[DB-11] works of one name take turns over two servers', async () => {
    const url = await postgresUrl()
    const both = [await connect(url), await connect(url)]
    let working = 0
    let most = 0
    const work = async (db: Database): Promise<void> => {
      most = Math.max(most, ++working)
      await db.ping({ withinMs: 5_000 })
      working -= 1
    }
    const works = [...both, ...both, ...both].map(db => db.exclusive('plans', () => work(db)))
    await Promise.all(works)
    expect(most).toBe(1)
  })
})
