import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, describe, expect, test } from 'vitest'
import { openDatabase } from './database.ts'
import { migrateDatabase, missingInDatabase } from './migrate-database.ts'

const folders: string[] = []
afterEach(() => folders.splice(0).forEach(folder => rmSync(folder, { recursive: true })))

function databaseFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-database-'))
  folders.push(folder)
  return join(folder, 'slipway.db')
}

describe('SQLite', () => {
  test('[DB-1] every commit is on disk', async () => {
    await using db = await openDatabase(databaseFile())
    const { rows: mode } = await sql<{ journal_mode: string }>`pragma journal_mode`.execute(db.read)
    const { rows: synchronous } = await sql<{ synchronous: number }>`pragma synchronous`.execute(db.read)
    expect({ ...mode[0], ...synchronous[0] }).toEqual({ journal_mode: 'wal', synchronous: 2 })
  })

  test('[DB-6] it is brought up to date once', async () => {
    const file = databaseFile()
    const steps = await missingInDatabase(file)
    expect(steps).toEqual(steps.toSorted())
    expect(steps.length).toBeGreaterThan(2)
    expect(await migrateDatabase(file)).toEqual(steps)
    expect(await migrateDatabase(file)).toEqual([])
    expect(await missingInDatabase(file)).toEqual([])
    await using db = await openDatabase(file)
    expect(await db.read.selectFrom('migration').select('name').orderBy('name').execute()).toEqual(
      steps.map(name => ({ name })),
    )
  })

  test.each([
    ['it does not know', "insert into migration values ('9999-later', 0)"],
    ['that came before others', 'delete from migration where name = (select min(name) from migration)'],
  ])('[DB-7] a database with a step %s is refused', async (_what, statement) => {
    const file = databaseFile()
    {
      await using db = await openDatabase(file)
      await sql.raw(statement).execute(db.read)
    }
    for (const open of [openDatabase, migrateDatabase, missingInDatabase])
      await expect(open(file)).rejects.toMatchObject({ code: 'config.invalid' })
  })
})
