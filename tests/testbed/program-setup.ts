import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server as it is shipped, which starts in a third of the time of its source. */
    readonly serverProgram?: string
  }
}

const repository = join(import.meta.dirname, '../..')

/** Bundles the server, below the repository, where it finds what is not bundled. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const caches = join(repository, 'node_modules', '.cache')
  await mkdir(caches, { recursive: true })
  const folder = await mkdtemp(join(caches, 'slipway-program-'))
  await promisify(execFile)(process.execPath, ['tools/build.mjs', folder], { cwd: repository })
  project.provide('serverProgram', join(folder, 'server.mjs'))
  return () => rm(folder, { recursive: true, force: true })
}
