import { expect, test } from 'vitest'
import { openDatabase } from '#db/database'
import { EventLog } from '#features/events/events'
import { Journal } from './journal.ts'

function event(runId: string, seq: number) {
  return { runId, seq, event: 'cycle:started', ts: seq, data: {} } as const
}

test('[RUN-16] entries of many runs share a commit and keep their order', async () => {
  await using db = await openDatabase(':memory:')
  const log = new EventLog(db)
  let commits = 0
  const counting = new Proxy(db, {
    get: (target, key) =>
      key === 'transaction'
        ? (work: Parameters<typeof db.transaction>[0]) => {
            commits++
            return target.transaction(work)
          }
        : (Reflect.get(target, key) as unknown),
  })
  const journal = new Journal(counting, log)
  const runs = Array.from({ length: 50 }, (_, index) => `run${index}`)
  await Promise.all(
    runs.flatMap(run => [1, 2, 3].map(seq => journal.append({ runId: run, events: [event(run, seq)] }))),
  )
  expect(commits).toBe(1)
  expect((await log.read('run7', 0, 10)).map(({ seq }) => seq)).toEqual([1, 2, 3])
})

test('[RUN-16] an entry that cannot be written does not take those of other runs with it', async () => {
  await using db = await openDatabase(':memory:')
  const log = new EventLog(db)
  const journal = new Journal(db, log)
  await journal.append({ runId: 'a', events: [event('a', 1)] })
  const doubled = journal.append({ runId: 'a', events: [event('a', 1)] })
  const other = journal.append({ runId: 'b', events: [event('b', 1)] })
  const behind = journal.append({ runId: 'a', events: [event('a', 2)] })
  await expect(doubled).rejects.toThrow()
  await expect(behind).rejects.toThrow()
  await other
  await expect(journal.append({ runId: 'a', events: [event('a', 3)] })).rejects.toThrow()
  journal.restart('a')
  await journal.append({ runId: 'a', events: [event('a', 2)] })
  expect((await log.read('a', 0, 10)).map(({ seq }) => seq)).toEqual([1, 2])
})
