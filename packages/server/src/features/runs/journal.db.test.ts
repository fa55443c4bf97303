import { expect, test } from 'vitest'
import type { Database } from '#db/database'
import { onDatabases } from '#db/testing'
import { EventLog } from '#features/events/events'
import { claimRuns } from './lease-store.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { findRun, insertRun } from './run-store.ts'
import { newRun } from './testing.ts'

async function addRuns(db: Database, ids: readonly string[]): Promise<void> {
  await db.transaction(async tx => {
    for (const id of ids)
      await insertRun(tx, newRun(id), { run_id: id, inputs: '{}', origin: null, node_statuses: '{}', result: null })
  })
}

function entry(runId: string, seq: number, lease = 0): JournalEntry {
  return {
    position: { id: runId, lease, before: seq - 1, seq, entries: 0, records: 0, emitted: 0, starts: 0 },
    events: [{ organisation: 'default', runId, seq, event: 'cycle:started', ts: seq, data: {} }],
  }
}

function counted(db: Database): { readonly db: Database; readonly commits: () => number } {
  let commits = 0
  const counting = new Proxy(db, {
    get: (target, key) => {
      if (key !== 'transaction') return Reflect.get(target, key) as unknown
      return (work: Parameters<typeof db.transaction>[0]) => {
        commits++
        return target.transaction(work)
      }
    },
  })
  return { db: counting, commits: () => commits }
}

onDatabases('journal', databases => {
  test('[RUN-16] entries of many runs share a commit and keep their order', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    const runs = Array.from({ length: 50 }, (_, index) => `run${index}`)
    await addRuns(db, runs)
    const counting = counted(db)
    const journal = new Journal(counting.db, log)
    await Promise.all(runs.flatMap(run => [1, 2, 3].map(seq => journal.append(entry(run, seq)))))
    expect(counting.commits()).toBe(1)
    expect(
      (await log.read({ organisation: 'default', runId: 'run7' }, { after: 0, limit: 10 })).map(({ seq }) => seq),
    ).toEqual([1, 2, 3])
    expect((await findRun(db.read, 'run7'))?.seq).toBe(3)
  })

  test('[RUN-16] an entry that cannot be written does not take those of other runs with it', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await addRuns(db, ['a', 'b'])
    const journal = new Journal(db, log)
    await journal.append(entry('a', 1))
    const doubled = journal.append(entry('a', 1))
    const other = journal.append(entry('b', 1))
    const behind = journal.append(entry('a', 2))
    await expect(doubled).rejects.toThrow()
    await expect(behind).rejects.toThrow()
    await other
    await expect(journal.append(entry('a', 3))).rejects.toThrow()
    journal.restart('a')
    await journal.append(entry('a', 2))
    expect(
      (await log.read({ organisation: 'default', runId: 'a' }, { after: 0, limit: 10 })).map(({ seq }) => seq),
    ).toEqual([1, 2])
  })

  test('[RUN-26] a run that another server has taken over is not written any more', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await addRuns(db, ['a', 'b'])
    const journal = new Journal(db, log)
    const terms = { leaseMs: 60_000, dialect: db.dialect, limit: 10 }
    const [a] = (await db.transaction(tx => claimRuns(tx, { ...terms, owner: 'one' }))).runs
    expect(a?.lease).toBe(1)
    expect((await db.transaction(tx => claimRuns(tx, { ...terms, owner: 'two' }))).runs).toEqual([])
    const late = journal.append(entry('a', 1, 0))
    const own = journal.append(entry('b', 1, 1))
    await expect(late).rejects.toMatchObject({ code: 'run.lost' })
    await own
    expect(await log.read({ organisation: 'default', runId: 'a' }, { after: 0, limit: 10 })).toEqual([])
    expect(await log.read({ organisation: 'default', runId: 'b' }, { after: 0, limit: 10 })).toHaveLength(1)
  })

  test('[RUN-27] no more runs are driven than all servers together may drive', async () => {
    await using db = await databases.open()
    await addRuns(db, ['a', 'b', 'c'])
    const terms = { leaseMs: 60_000, dialect: db.dialect, limit: 2 }
    const first = await db.transaction(tx => claimRuns(tx, { ...terms, owner: 'one' }))
    expect(first.runs.map(({ id }) => id).sort()).toEqual(['a', 'b'])
    expect((await db.transaction(tx => claimRuns(tx, { ...terms, owner: 'two' }))).runs).toEqual([])
    const more = await db.transaction(tx => claimRuns(tx, { ...terms, limit: 3, owner: 'two' }))
    expect(more.runs.map(({ id }) => id)).toEqual(['c'])
  })
})
