import type { RunEvent } from '@slipway/protocol/events'
import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { openDatabase, type Database } from '#db/database'
import { postgresUrl } from '#db/testing'
import { EventLog } from './events.ts'

function events(runId: string, ...seqs: readonly number[]) {
  return seqs.map(
    seq =>
      ({ organisation: 'default', runId, seq, event: 'cycle:started', ts: 1000 + seq, data: { cycle: seq } }) as const,
  )
}

/** A server's part of it. */
async function open(url: string): Promise<{ db: Database; log: EventLog } & AsyncDisposable> {
  const db = await openDatabase(url)
  return { db, log: new EventLog(db), [Symbol.asyncDispose]: () => db[Symbol.asyncDispose]() }
}

function follow(log: EventLog, runId: string | null): { seen: RunEvent[] } & AsyncDisposable {
  const stop = new AbortController()
  const seen: RunEvent[] = []
  const reading = (async () => {
    for await (const event of log.follow({ organisation: 'default', runId, after: 0, signal: stop.signal }))
      seen.push(event)
  })()
  return {
    seen,
    [Symbol.asyncDispose]: () => {
      stop.abort()
      return reading
    },
  }
}

const why = inject('postgres')?.why ?? null

describe.skipIf(why !== null)(`two servers on one Postgres${why === null ? '' : ` (${why})`}`, () => {
  test('[EVENT-7] [EVENT-8] each shows what both write, in one order', async () => {
    const url = await postgresUrl()
    await using first = await open(url)
    await using second = await open(url)
    await using all = follow(first.log, null)
    await using ofRun = follow(second.log, 'a')
    const write = async ({ db, log }: typeof first, runId: string): Promise<void> => {
      for (let seq = 1; seq <= 100; seq++) await db.transaction(tx => log.append(tx, events(runId, seq)))
    }
    await Promise.all([write(first, 'a'), write(second, 'b'), write(second, 'c')])
    await expect.poll(() => [all.seen.length, ofRun.seen.length], { timeout: 20_000 }).toEqual([300, 100])
    expect(all.seen.map(event => event.id)).toEqual(Array.from({ length: 300 }, (_, index) => index + 1))
    expect(ofRun.seen.map(event => event.seq)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1))
  })

  test('[EVENT-8] a notice that speaks of too many runs speaks of all', async () => {
    const url = await postgresUrl()
    await using first = await open(url)
    await using second = await open(url)
    await using ofRun = follow(second.log, 'run-of-a-rather-long-name-as-people-may-choose-199')
    const many = Array.from({ length: 200 }, (_, n) => `run-of-a-rather-long-name-as-people-may-choose-${n}`)
    await first.db.transaction(tx =>
      first.log.append(
        tx,
        many.flatMap(runId => events(runId, 1)),
      ),
    )
    await expect.poll(() => ofRun.seen.length, { timeout: 20_000 }).toBe(1)
  })

  test('[EVENT-8] what was committed while the connection was broken is shown after it', async () => {
    const url = await postgresUrl()
    await using first = await open(url)
    await using second = await open(url)
    await using all = follow(second.log, null)
    const append = (seq: number): Promise<void> => first.db.transaction(tx => first.log.append(tx, events('a', seq)))
    await append(1)
    await expect.poll(() => all.seen.length, { timeout: 20_000 }).toBe(1)
    const admin = new pg.Client({ connectionString: url })
    await admin.connect()
    // The connection that listens is the one whose last statement was not of a transaction.
    const listening = `select pg_terminate_backend(pid) as ended from pg_stat_activity
      where application_name = 'slipway' and query ilike 'listen %' and datname = current_database()`
    await expect.poll(async () => (await admin.query(listening)).rows.length, { timeout: 20_000 }).toBeGreaterThan(0)
    await append(2)
    await expect.poll(() => all.seen.length, { timeout: 20_000 }).toBe(2)
    await admin.end()
  })
})
