import { join } from 'node:path'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { openDatabase, type Database } from '@slipway/server/db/database'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan } from '../testbed/small-plans.ts'
import { attempt } from './fleet.ts'
import { fileViolations, violations } from './invariants.ts'

const patient = { timeout: 40_000, interval: 20 }
const steps = 10

async function pragma(db: Database, text: string): Promise<number> {
  const { rows } = await sql.raw<Record<string, number>>(`pragma ${text}`).execute(db.read)
  return Object.values(rows[0] ?? {})[0] ?? 0
}

interface Fault {
  readonly begin: (db: Database) => Promise<unknown>
  readonly end: (db: Database) => Promise<unknown>
}

const faults: Readonly<Record<string, Fault>> = {
  full: {
    begin: async db => pragma(db, `max_page_count = ${(await pragma(db, 'page_count')) + 2}`),
    end: db => pragma(db, 'max_page_count = 1000000000'),
  },
  'read-only': {
    begin: db => pragma(db, 'query_only = on'),
    end: db => pragma(db, 'query_only = off'),
  },
}

async function countRuns(bed: Bed, status: 'completed'): Promise<number> {
  return (await bed.client.runs({ status })).items.length
}

test.each(Object.entries(faults))(
  '[RUN-25] [RUN-7] [RUN-16] runs under way stop where the database is %s and go on when it is not, twice',
  async (_name, { begin, end }) => {
    await using folder = await temporaryDataFolder()
    // Long answers, all different, so that each entry of the journal takes space.
    const { models, prompts } = scriptedModel((_prompt, call) => `${call} ${'and so on '.repeat(800)}`)
    const runIds: string[] = []
    {
      await using bed = await openBed({ dataDir: folder.path, replace: { models } })
      const { db } = bed.server.context
      await bed.client.deploy(chainPlan('chain', steps))
      const follow: Promise<unknown>[] = []
      for (let at = 0; at < 5; at++) {
        const { run_id: id } = await bed.client.startRun('chain', { inputs: { c0: `start ${at}` } })
        runIds.push(id)
        follow.push(bed.events(id))
      }
      for (let round = 1; round <= 2; round++) {
        await expect.poll(() => prompts.length, patient).toBeGreaterThan(5 * round)
        await begin(db)
        // What cannot be put on disk is not acknowledged, and what is there can be read.
        await expect
          .poll(
            async () => (await attempt(() => bed.client.startRun('chain', { inputs: { c0: 'late' } }))).type,
            patient,
          )
          .toBe('refused')
        await bed.client.run(runIds[0] ?? '')
        await end(db)
      }
      // Those that were acknowledged before the database was found to be unwritable are among them.
      const listed = (await bed.client.runs({ limit: '500' })).items
      for (const { run_id: id } of listed) expect(await bed.finished(id)).toMatchObject({ status: 'completed' })
      await Promise.all(follow)
      expect(await countRuns(bed, 'completed')).toBe(listed.length)
      for (const id of runIds) {
        const events = await bed.events(id)
        expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
        expect(events.filter(({ event }) => event === 'inference:completed')).toHaveLength(steps)
      }
    }
    const file = join(folder.path, 'slipway.db')
    await using db = await openDatabase(file)
    expect(await violations(db)).toEqual([])
    expect(await fileViolations(file)).toEqual([])
  },
)
