import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { describe, inject, onTestFinished } from 'vitest'
import type { DialectName } from './columns.ts'
import { openDatabase, type Database } from './database.ts'

export interface PostgresForTests {
  /** Where each test makes a database of its own; null where there is no Postgres. */
  readonly url: string | null
  /** Name of a database with all tables, which is copied for each test. */
  readonly template: string
  /** Why there is none. */
  readonly why: string | null
}

declare module 'vitest' {
  interface ProvidedContext {
    /** In the projects whose tests need services. */
    readonly postgres?: PostgresForTests
  }
}

export interface TestDatabases {
  readonly dialect: DialectName
  /** An empty database with all tables, gone at the end of the test. */
  open(): Promise<Database>
}

/**
 * Runs the suite on SQLite, and in the projects whose tests need services on Postgres instead; where there is no
 * Postgres it is skipped, and its title says why.
 */
export function onDatabases(title: string, suite: (databases: TestDatabases) => void): void {
  const postgres = inject('postgres')
  if (postgres === undefined) {
    describe(`${title}, SQLite`, () => suite({ dialect: 'sqlite', open: () => openDatabase(':memory:') }))
  } else if (postgres.url === null) {
    describe.skip(`${title}, Postgres (${postgres.why})`, () => suite({ dialect: 'postgres', open: testPostgres }))
  } else {
    describe(`${title}, Postgres`, () => suite({ dialect: 'postgres', open: testPostgres }))
  }
}

async function testPostgres(): Promise<Database> {
  return openDatabase(await postgresUrl())
}

/** URL of a database that is gone at the end of the test; with all tables unless it is to be `empty`. */
export async function postgresUrl({ empty = false } = {}): Promise<string> {
  const postgres = inject('postgres')
  if (!postgres?.url) throw new Error(`There is no Postgres (${postgres?.why ?? 'in this project'}).`)
  const name = `test_${randomBytes(8).toString('hex')}`
  await run(postgres.url, `create database ${name}${empty ? '' : ` template ${postgres.template}`}`)
  onTestFinished(() => run(postgres.url ?? '', `drop database if exists ${name} with (force)`))
  const url = new URL(postgres.url)
  url.pathname = name
  return url.href
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
