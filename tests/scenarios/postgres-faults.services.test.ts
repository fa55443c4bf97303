import { parseJson } from '@slipway/kit/json'
import type { Envelope } from '@slipway/protocol/bus/envelope'
import { connectBus } from '@slipway/sdk/bus'
import { createClient } from '@slipway/sdk/client'
import { connectOperator } from '@slipway/sdk/operator'
import { testServer } from '@slipway/server/app/testing'
import { openDatabase, type Database } from '@slipway/server/db/database'
import { isStorageFault } from '@slipway/server/db/faults'
import { migrateDatabase } from '@slipway/server/db/migrate-database'
import { describe, expect, test } from 'vitest'
import { startPostgres, whyNoPostgres } from '../testbed/postgres.ts'

const why = whyNoPostgres()

function state(db: Database): Promise<string> {
  return db.ping({ withinMs: 3_000 }).then(
    () => 'answers',
    (error: unknown) => (isStorageFault(error) ? 'gone' : String(error)),
  )
}

function append(db: Database, id: number): Promise<void> {
  const row = { id, organisation: 'default', run_id: 'a', seq: id, events: '[]' }
  return db.transaction(tx => tx.insertAll('event', [row]))
}

describe.skipIf(why !== null)(`a Postgres that goes and comes${why === null ? '' : ` (${why})`}`, () => {
  test('[DB-9] [DB-10] killed and started again, it is used again, and all that was written is there', async () => {
    await using postgres = await startPostgres()
    await migrateDatabase(postgres.url)
    await using db = await openDatabase(postgres.url)
    let heard = 0
    db.listen('slipway_runs', () => (heard += 1))
    await expect.poll(() => heard, { timeout: 10_000 }).toBe(1)
    for (let id = 1; id <= 3; id++) {
      await append(db, id)
      await postgres.kill()
      expect(await state(db)).toBe('gone')
      const refused: unknown = await append(db, 100).catch((error: unknown) => error)
      expect(isStorageFault(refused)).toBe(true)
      await postgres.restart()
      await expect.poll(() => state(db), { timeout: 20_000 }).toBe('answers')
      await expect.poll(() => heard, { timeout: 20_000 }).toBe(id + 1)
    }
    expect(await db.read.selectFrom('event').select('id').orderBy('id').execute()).toEqual([
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ])
  })

  test('[DB-9] silent for a while, it goes on where it was; closing does not wait for it', async () => {
    await using postgres = await startPostgres()
    await migrateDatabase(postgres.url)
    const db = await openDatabase(postgres.url)
    db.listen('slipway_runs', () => undefined)
    await append(db, 1)
    postgres.pause()
    await expect(db.ping({ withinMs: 500 })).rejects.toThrow()
    const waiting = append(db, 2)
    postgres.resume()
    await waiting
    postgres.pause()
    await db[Symbol.asyncDispose]()
    postgres.resume()
    await using again = await openDatabase(postgres.url)
    expect(await again.read.selectFrom('event').select('id').orderBy('id').execute()).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('[HTTP-29] [SDK-41] silent for longer, requests are refused for now, and operators and readers wait', async () => {
    await using postgres = await startPostgres()
    await migrateDatabase(postgres.url)
    await using server = await testServer({
      databaseUrl: postgres.url,
      databaseTimeoutSeconds: 2,
      operatorStaleSeconds: 3,
    })
    const client = createClient({ url: server.url })
    await using bus = await connectBus(server.url)
    const follow = (): Promise<IteratorResult<Envelope>> => bus.subscribe('work.results', { after: 0 }).next()
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await using operator = connectOperator(server.url, undefined, { id: 'one', type: 'work' })
    operator.subscribe('work.jobs', async (_payload, { signal }) => {
      begun.resolve()
      await go.promise
      return signal.aborted ? 'given up' : 'done'
    })
    const { jobId } = await client.jobs.submit('work', { payload: {} })
    const early = follow()
    await begun.promise
    postgres.pause()
    const late = follow()
    // Each is refused after a time in which the operator keeps its lease, or tries to.
    for (const payload of ['a', 'b'])
      await expect(client.jobs.submit('work', { payload })).rejects.toMatchObject({ code: 'server.busy' })
    postgres.resume()
    go.resolve()
    for (const { value } of await Promise.all([early, late]))
      expect(parseJson(Buffer.from((value as Envelope).payload).toString())).toBe('done')
    expect(await client.jobs.attempts(jobId)).toMatchObject([{ n: 1, outcome: 'done' }])
  })
})
