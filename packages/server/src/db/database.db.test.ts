import { expect, test } from 'vitest'
import type { Tx } from './database.ts'
import { onDatabases } from './testing.ts'

function event(id: number, over: object = {}) {
  return { id, organisation: 'default', run_id: 'a', seq: id, events: '{}', ...over }
}

onDatabases('database', databases => {
  test('[DB-1] a failed transaction leaves nothing', async () => {
    await using db = await databases.open()
    const failing = db.transaction(async tx => {
      await tx.insertAll('event', [event(1)])
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await db.read.selectFrom('event').select('id').execute()).toEqual([])
  })

  test('[DB-1] statements sent together are undone together, and the next transaction works', async () => {
    await using db = await databases.open()
    const failing = db.transaction(tx =>
      Promise.all([
        tx.insertAll('event', [event(1)]),
        tx.insertAll('event', [event(2), event(2)]),
        tx.sql.selectFrom('event').select('id').execute(),
        db.notify(tx, 'slipway_runs', 'never'),
        tx.insertAll('event', [event(3)]),
      ]),
    )
    await expect(failing).rejects.toThrow(/unique/i)
    await Promise.all([4, 5, 6].map(id => db.transaction(tx => tx.insertAll('event', [event(id)]))))
    expect(await db.read.selectFrom('event').select('id').orderBy('id').execute()).toEqual([
      { id: 4 },
      { id: 5 },
      { id: 6 },
    ])
  })

  test('[DB-2] actions run before and behind the commit, in order, and not when it fails', async () => {
    await using db = await databases.open()
    const done: string[] = []
    const count = async (tx: Tx): Promise<number> => (await tx.sql.selectFrom('event').select('id').execute()).length
    await db.transaction(async tx => {
      tx.beforeCommit('events', async () => void done.push(`last sees ${await count(tx)}`))
      tx.beforeCommit('events', () => Promise.resolve(tx.afterCommit(() => done.push('after, too'))))
      tx.afterCommit(() => done.push('after'))
      await tx.insertAll('event', [event(1), event(2)])
      done.push('work')
    })
    expect(done).toEqual(['work', 'last sees 2', 'after', 'after, too'])
    const failing = db.transaction(async tx => {
      tx.afterCommit(() => done.push('never'))
      tx.beforeCommit('events', () => Promise.reject(new Error('last')))
      await tx.insertAll('event', [event(3)])
    })
    await expect(failing).rejects.toThrow('last')
    expect(done).not.toContain('never')
    expect(await db.read.selectFrom('event').select('id').orderBy('id').execute()).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('[DB-2] a transaction that is over writes no more rows', async () => {
    await using db = await databases.open()
    const kept = await db.transaction(tx => Promise.resolve({ tx }))
    await expect(kept.tx.insertAll('event', [event(1)])).rejects.toThrow('after its end')
  })

  test.each([1, 7, 8, 9, 1000])('[DB-3] %d rows are inserted with all they have', async count => {
    await using db = await databases.open()
    const rows = Array.from({ length: count }, (_, index) =>
      event(index + 1, {
        run_id: index % 2 === 0 ? null : `run "${index}"`,
        events: JSON.stringify({ '\\': `{${index},}` }),
      }),
    )
    await db.transaction(tx => tx.insertAll('event', rows))
    expect(await db.read.selectFrom('event').selectAll().orderBy('id').execute()).toEqual(rows)
  })

  test('[DB-3] large texts are inserted as well', async () => {
    await using db = await databases.open()
    const rows = Array.from({ length: 5 }, (_, index) => event(index + 1, { events: String(index).repeat(3_000_000) }))
    await db.transaction(tx => tx.insertAll('event', rows))
    const found = await db.read
      .selectFrom('event')
      .select(({ fn }) => fn<number>('length', ['events']).as('length'))
      .execute()
    expect(found).toEqual(rows.map(() => ({ length: 3_000_000 })))
  })

  test('[DB-3] an existing key refuses all rows, or is left as it is', async () => {
    await using db = await databases.open()
    await db.transaction(tx => tx.insertAll('event', [event(5, { events: 'first' })]))
    const more = [event(4), event(5, { events: 'second' }), event(6)]
    await expect(db.transaction(tx => tx.insertAll('event', more))).rejects.toThrow()
    expect(await db.read.selectFrom('event').select('id').execute()).toEqual([{ id: 5 }])
    await db.transaction(tx => tx.insertMissing('event', more))
    expect(await db.read.selectFrom('event').select(['id', 'events']).orderBy('id').execute()).toEqual([
      { id: 4, events: '{}' },
      { id: 5, events: 'first' },
      { id: 6, events: '{}' },
    ])
  })

  test('[DB-4] texts come back, are found and are ordered by their bytes', async () => {
    await using db = await databases.open()
    const texts = [
      '',
      '\0',
      'a\0b',
      '\ufdd0',
      '\ufdd00',
      '{"\\u0000"}',
      'ä',
      'B',
      'a',
      'é',
      '😀',
      'NULL',
      '\\',
      '"',
      '{}',
    ]
    const rows = texts.map((events, index) => event(index + 1, { events }))
    await db.transaction(async tx => {
      await tx.insertAll('event', rows.slice(0, 8))
      await tx.sql.insertInto('event').values(rows.slice(8)).execute()
    })
    const found = await db.read.selectFrom('event').select('events').orderBy('id').execute()
    expect(found.map(row => row.events)).toEqual(texts)
    for (const text of texts) {
      expect(await db.read.selectFrom('event').select('events').where('events', '=', text).execute()).toEqual([
        { events: text },
      ])
    }
    const plain = ['B', 'a', 'ä', 'é', '😀']
    const ordered = await db.read
      .selectFrom('event')
      .select('events')
      .where('events', 'in', plain)
      .orderBy('events')
      .execute()
    expect(ordered.map(row => row.events)).toEqual(plain)
  })

  test('[DB-5] numbers come back', async () => {
    await using db = await databases.open()
    const reals = [0, -0.1, 1 / 3, 1e300, 5e-324, 1_700_000_000_000.123, Number.MAX_SAFE_INTEGER]
    const first = Number.MAX_SAFE_INTEGER
    const rows = reals.map((at, index) => {
      return { run_id: 'a', n: first - index, at, kind: 'step', cycle: index, flow_index: null, record: '{}' }
    })
    await db.transaction(tx => tx.insertAll('run_step', rows))
    expect(await db.read.selectFrom('run_step').selectAll().orderBy('n', 'desc').execute()).toEqual(rows)
    const { count, sum } = await db.read
      .selectFrom('run_step')
      .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum<number>('cycle').as('sum')])
      .executeTakeFirstOrThrow()
    expect({ count, sum }).toEqual({ count: reals.length, sum: 21 })
  })

  test('[DB-5] a fraction is refused where whole numbers are kept', async () => {
    await using db = await databases.open()
    await expect(db.transaction(tx => tx.insertAll('event', [event(1, { seq: 1.5 })]))).rejects.toThrow()
  })

  test('[DB-10] a notice is told behind its commit, to all, and not of a failed transaction', async () => {
    await using db = await databases.open()
    const told: (string | null)[] = []
    const others: (string | null)[] = []
    db.listen('slipway_runs', payload => told.push(payload))
    using _other = db.listen('slipway_events', payload => others.push(payload))
    using _same = db.listen('slipway_runs', payload => others.push(payload))
    if (db.dialect === 'postgres') await expect.poll(() => others.length, { timeout: 10_000 }).toBe(2)
    const failing = db.transaction(async tx => {
      await db.notify(tx, 'slipway_runs', 'failed')
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    await db.transaction(async tx => {
      await db.notify(tx, 'slipway_runs', 'one')
      await tx.insertAll('event', [event(1)])
      expect(told.filter(payload => payload !== null)).toEqual([])
    })
    await db.transaction(tx => db.notify(tx, 'slipway_runs', 'two'))
    await expect.poll(() => told.filter(payload => payload !== null)).toEqual(['one', 'two'])
    expect(others.filter(payload => payload !== null)).toEqual(['one', 'two'])
  })

  test('[DB-11] works of one name take turns', async () => {
    await using db = await databases.open()
    let working = 0
    let most = 0
    const done: number[] = []
    const work = (n: number) => async (): Promise<number> => {
      most = Math.max(most, ++working)
      await db.read.selectFrom('event').select('id').execute()
      working -= 1
      done.push(n)
      if (n === 2) throw new Error('second')
      return n
    }
    const results = await Promise.allSettled([1, 2, 3, 4].map(n => db.exclusive('plans', work(n))))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
    expect({ most, done }).toEqual({ most: 1, done: [1, 2, 3, 4] })
    expect(await db.exclusive('a', () => db.exclusive('b', () => Promise.resolve('inside')))).toBe('inside')
  })

  test('[DB-12] servers that have joined are there, and others are gone', async () => {
    await using db = await databases.open()
    await db.join('here')
    await db.join('here too')
    expect(await db.gone(['here', 'never', 'here too', "it's"])).toEqual(['never', "it's"])
    expect(await db.gone([])).toEqual([])
  })

  test('[DB-9] it says whether it answers', async () => {
    const db = await databases.open()
    await db.ping({ withinMs: 10_000 })
    await db[Symbol.asyncDispose]()
    await expect(db.ping({ withinMs: 10_000 })).rejects.toThrow()
  })
})
