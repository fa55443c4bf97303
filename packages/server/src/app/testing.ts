import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '@slipway/protocol/settings'
import { startServer, type RunningServer, type StartOptions } from './start-server.ts'

/** An empty folder that is gone at the end of the test. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'slipway-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A whole server on a free port, silent, in a folder of its own unless one is given. */
export async function testServer(settings: Partial<Settings> = {}, options: StartOptions = {}): Promise<RunningServer> {
  const folder = settings.dataDir === undefined ? await temporaryFolder() : null
  const server = await startServer(
    {
      port: 0,
      logLevel: 'silent',
      shutdownGraceMs: 2_000,
      ...settings,
      dataDir: settings.dataDir ?? folder?.path ?? '',
    },
    options,
  )
  return {
    ...server,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await folder?.[Symbol.asyncDispose]()
    },
  }
}
