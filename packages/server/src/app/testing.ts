import { link, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Settings } from '@slipway/protocol/settings'
import { inject } from 'vitest'
import { startServer, type RunningServer, type StartOptions } from './start-server.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of this test run, gone at its end. */
    readonly cacheFolder: string
  }
}

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

/** An empty folder that is gone at the end of the test. */
export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'slipway-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/**
 * A data folder in which a server finds the start image of its Python. Making one takes seconds, and a server uses
 * none that it has not verified.
 */
export async function temporaryDataFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder()
  await symlink(await startImages(), join(folder.path, 'sandbox'), 'junction')
  return folder
}

/**
 * Where the tests of this worker keep start images. The first one that runs Python makes it there, unless another
 * worker has one already: two makers at a time would write the same file.
 */
export async function startImages(): Promise<string> {
  const all = join(inject('cacheFolder'), 'start-images')
  const own = join(all, `worker-${process.pid}`)
  await mkdir(own, { recursive: true })
  const found = await readdir(all, { recursive: true })
  const image = found.find(path => path.endsWith('.image'))
  const name = image?.split(/[\\/]/).at(-1)
  if (image !== undefined && name !== undefined && !(await readdir(own)).includes(name))
    await link(join(all, image), join(own, name))
  return own
}

/** Environment with which child processes of this test run share their compiled code. */
export function compileCache(): Readonly<Record<string, string>> {
  return { NODE_COMPILE_CACHE: join(inject('cacheFolder'), 'compiled') }
}

/** A whole server on a free port, silent, in a folder of its own unless one is given. */
export async function testServer(settings: Partial<Settings> = {}, options: StartOptions = {}): Promise<RunningServer> {
  const folder = settings.dataDir === undefined ? await temporaryDataFolder() : null
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
