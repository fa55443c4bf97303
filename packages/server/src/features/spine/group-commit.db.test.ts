import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { Tx } from '#db/database'
import { onDatabases } from '#db/testing'
import { GroupCommit, QueueLane, type Outcome } from './group-commit.ts'

interface Note {
  readonly name: string
  readonly fails?: 'alone' | 'all'
}

async function write(tx: Tx, notes: readonly Note[]): Promise<Outcome<string>[]> {
  for (const { name, fails } of notes) {
    if (fails === 'all') throw new Error(`${name} cannot be written`)
    await sql`insert into plan (organisation, id, active_version) values ('default', ${name}, ${String(notes.length)})`.execute(
      tx.sql,
    )
  }
  return notes.map(({ name, fails }) =>
    fails === 'alone' ? { ok: false, error: new Error(`${name} is refused`) } : { ok: true, value: name },
  )
}

onDatabases('group commit', databases => {
  test('[SPINE-37] what comes at the same time is written together, and what is refused harms nobody', async () => {
    await using db = await databases.open()
    await using commits = new GroupCommit(db)
    const lane = new QueueLane({ work: write, limit: 10 })
    commits.add(lane)
    const notes: Note[] = [{ name: 'a' }, { name: 'b', fails: 'alone' }, { name: 'c' }]
    const settled = Promise.allSettled(notes.map(note => lane.add(note)))
    commits.wake()
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    const rows = await db.read.selectFrom('plan').selectAll().orderBy('id').execute()
    expect(rows.map(row => [row.id, row.active_version])).toEqual([
      ['a', '3'],
      ['b', '3'],
      ['c', '3'],
    ])
  })

  test('[SPINE-37] one that cannot be written does not take the others with it', async () => {
    await using db = await databases.open()
    await using commits = new GroupCommit(db)
    const first = new QueueLane({ work: write, limit: 10, keyOf: ({ name }: Note) => name })
    const second = new QueueLane({ work: write, limit: 10 })
    commits.add(first, second)
    const settled = Promise.allSettled([
      first.add({ name: 'a' }),
      first.add({ name: 'b', fails: 'all' }),
      first.add({ name: 'a' }),
      second.add({ name: 'c' }),
    ])
    commits.wake()
    expect(await settled).toMatchObject([
      { value: 'a' },
      { reason: { message: 'b cannot be written' } },
      // The same name comes in a later transaction, and is there already.
      { status: 'rejected' },
      { value: 'c' },
    ])
    expect(await db.read.selectFrom('plan').select('id').orderBy('id').execute()).toEqual([{ id: 'a' }, { id: 'c' }])
  })
})
