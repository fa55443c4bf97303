import type { RunEvent } from '@slipway/protocol/events'
import { expect, test } from 'vitest'
import type { Database } from '#db/database'
import { onDatabases } from '#db/testing'
import { EventLog, type EventDraft } from './events.ts'
import { Subscription } from './subscription.ts'

const organisation = 'default'

function draft(runId: string, seq: number): EventDraft {
  return { organisation, runId, seq, event: 'cycle:started', ts: 1000 + seq, data: { cycle: seq } }
}

async function write(db: Database, log: EventLog, drafts: readonly EventDraft[]): Promise<void> {
  await db.transaction(tx => log.append(tx, drafts))
}

async function take(events: AsyncIterable<RunEvent>, count: number): Promise<RunEvent[]> {
  const taken: RunEvent[] = []
  for await (const event of events) {
    taken.push(event)
    if (taken.length === count) break
  }
  return taken
}

onDatabases('event log', databases => {
  test('[EVENT-1] numbers a run without a gap and the server in order', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await write(db, log, [draft('a', 1), draft('b', 1), draft('a', 2)])
    const signal = AbortSignal.timeout(5000)
    expect((await take(log.follow({ organisation, runId: 'a', after: 0, signal }), 2)).map(event => event.seq)).toEqual(
      [1, 2],
    )
    const all = await take(log.follow({ organisation, runId: null, after: 0, signal }), 3)
    // Of one transaction, the events of each run stand together.
    expect(all.map(event => [event.id, event.run_id, event.seq])).toEqual([
      [1, 'a', 1],
      [2, 'a', 2],
      [3, 'b', 1],
    ])
  })

  test('[EVENT-1] a number that exists is refused', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await write(db, log, [draft('a', 1)])
    await expect(write(db, log, [draft('a', 1)])).rejects.toThrow()
  })

  test('[EVENT-2] a transaction that fails shows nothing', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    const stop = new AbortController()
    const seen: RunEvent[] = []
    const reading = (async () => {
      for await (const event of log.follow({ organisation, runId: null, after: 0, signal: stop.signal }))
        seen.push(event)
    })()
    const failing = db.transaction(async tx => {
      await log.append(tx, [draft('a', 1)])
      throw new Error('disk full')
    })
    await expect(failing).rejects.toThrow('disk full')
    await write(db, log, [draft('b', 1)])
    await expect.poll(() => seen.length).toBe(1)
    stop.abort()
    await reading
    expect(seen.map(event => event.run_id)).toEqual(['b'])
  })

  test('[EVENT-3] continues behind a number, from the log and then live, each event once', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await write(
      db,
      log,
      Array.from({ length: 1200 }, (_, index) => draft('a', index + 1)),
    )
    const signal = AbortSignal.timeout(10_000)
    const reading = take(log.follow({ organisation, runId: 'a', after: 700, signal }), 600)
    for (let seq = 1201; seq <= 1300; seq += 10) {
      await write(
        db,
        log,
        Array.from({ length: 10 }, (_, index) => draft('a', seq + index)),
      )
    }
    expect((await reading).map(event => event.seq)).toEqual(Array.from({ length: 600 }, (_, index) => 701 + index))
  })

  test('[EVENT-4] a reader that falls behind reads on from the log, and the writer does not wait', async () => {
    await using db = await databases.open()
    const log = new EventLog(db, 3)
    const signal = AbortSignal.timeout(10_000)
    const seen: number[] = []
    let goOn = (): void => undefined
    const stalled = new Promise<void>(resolve => (goOn = resolve))
    const reading = (async () => {
      for await (const event of log.follow({ organisation, runId: 'a', after: 0, signal })) {
        seen.push(event.seq)
        if (event.seq === 2) await stalled
        if (event.seq === 25) return
      }
    })()
    for (let seq = 1; seq <= 20; seq++) await write(db, log, [draft('a', seq)])
    await expect.poll(() => seen.length).toBe(2)
    goOn()
    await expect.poll(() => seen.length).toBe(20)
    for (let seq = 21; seq <= 25; seq++) await write(db, log, [draft('a', seq)])
    await reading
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => index + 1))
  })

  test('[EVENT-7] writers at the same time get numbers in the order of their commits', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    const signal = AbortSignal.timeout(20_000)
    const reading = take(log.follow({ organisation, runId: null, after: 0, signal }), 300)
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let seq = 1; seq <= 50; seq++) await write(db, log, [draft(`run${writer}`, seq)])
    })
    await Promise.all(writers)
    expect((await reading).map(event => event.id)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
    expect(await log.lastId()).toBe(300)
  })

  test('[EVENT-7] a failed transaction leaves no gap in the numbers', async () => {
    await using db = await databases.open()
    const log = new EventLog(db)
    await write(db, log, [draft('a', 1)])
    await expect(write(db, log, [draft('b', 1), draft('a', 1)])).rejects.toThrow()
    await write(db, log, [draft('a', 2)])
    expect((await log.read({ organisation, runId: 'a' }, { after: 0, limit: 10 })).map(event => event.id)).toEqual([
      1, 2,
    ])
  })

  test('[EVENT-9] a reader gets the events of its organisation, whoever writes between them', async () => {
    await using db = await databases.open()
    // The second log is another server's: what it writes is not offered, and is read from the log.
    const [log, other] = [new EventLog(db, 3), new EventLog(db)]
    const of = (owner: string, runId: string, seq: number): EventDraft => ({
      ...draft(runId, seq),
      organisation: owner,
    })
    await write(db, log, [of('one', 'a', 1), of('two', 'b', 1), of('one', 'a', 2)])
    const stop = new AbortController()
    const [seen, ofRun, foreign]: [RunEvent[], RunEvent[], RunEvent[]] = [[], [], []]
    const follow = async (organisation: string, runId: string | null, into: RunEvent[]): Promise<void> => {
      for await (const event of log.follow({ organisation, runId, after: 0, signal: stop.signal })) into.push(event)
    }
    const following = [follow('one', null, seen), follow('one', 'a', ofRun), follow('two', 'a', foreign)]
    for (let seq = 2; seq <= 60; seq++) {
      await write(db, seq % 3 === 0 ? other : log, [of('two', 'b', seq), of('two', 'c', seq)])
      if (seq % 5 === 0) await write(db, seq % 2 === 0 ? other : log, [of('one', 'a', seq / 5 + 2)])
    }
    const seqs = Array.from({ length: 14 }, (_, index) => index + 1)
    await expect.poll(() => seen.map(event => event.seq), { timeout: 10_000 }).toEqual(seqs)
    await expect.poll(() => ofRun.map(event => event.seq), { timeout: 10_000 }).toEqual(seqs)
    expect(seen.every(event => event.run_id === 'a')).toBe(true)
    expect(seen.map(event => event.id)).toEqual(seen.map(event => event.id).toSorted((x, y) => x - y))
    expect(foreign).toEqual([])
    expect(await log.read({ organisation: 'two', runId: 'a' }, { after: 0, limit: 10 })).toEqual([])
    expect(await log.lastSeqOfRun({ organisation: 'one', runId: 'a' })).toBe(14)
    expect(await log.lastSeqOfRun({ organisation: 'two', runId: 'a' })).toBe(0)
    stop.abort()
    await Promise.all(following)
  })

  test('[EVENT-4] what a subscription drops it tells, and then keeps on', async () => {
    using subscription = new Subscription(
      { organisation, runId: 'a' },
      { capacity: 3, signal: new AbortController().signal },
    )
    const offer = (seq: number): void =>
      subscription.offer({
        organisation,
        event: { event: 'cycle:started', id: seq, seq, run_id: 'a', ts: 0 } as RunEvent,
      })
    for (let seq = 1; seq <= 4; seq++) offer(seq)
    expect(await subscription.next()).toBe('gap')
    offer(5)
    expect(await subscription.next()).toMatchObject([{ event: { seq: 5 } }])
  })
})
