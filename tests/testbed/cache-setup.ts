import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

/** One folder per test run for what its servers may share; `@slipway/server/app/testing` fills it when it is needed. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-test-run-'))
  project.provide('cacheFolder', folder)
  return () => rm(folder, { recursive: true, force: true })
}
