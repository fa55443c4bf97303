import { migrateDatabase } from '@slipway/server/db/migrate-database'
import { startPostgres, whyNoPostgres } from './postgres.ts'
import type { TestProject } from 'vitest/node'
import type {} from '@slipway/server/db/testing'

const template = 'slipway_template'

/** One Postgres for all tests of the project; says why where there is none. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const why = whyNoPostgres()
  if (why !== null) {
    console.warn(`Suites on Postgres are skipped: ${why}.`)
    project.provide('postgres', { url: null, template, why })
    return undefined
  }
  const server = await startPostgres()
  await migrateDatabase(await server.create(template))
  project.provide('postgres', { url: server.url, template, why: null })
  return async () => server[Symbol.asyncDispose]()
}
