import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import { api } from '@slipway/protocol/api'
import { createClient } from '@slipway/sdk/client'
import { childEnvironment } from './environment.ts'

export interface ServerFlags {
  readonly port?: string | undefined
  readonly host?: string | undefined
  readonly data?: string | undefined
  readonly logLevel?: string | undefined
}

// A built command starts what was built with it, and one from the source the source: what lies about may be older.
const programs = import.meta.url.endsWith('.ts')
  ? { server: '../../server/src/app/main.ts', migrate: '../../server/src/app/migrate.ts' }
  : { server: './server.mjs', migrate: './migrate.mjs' }

function programFile(name: keyof typeof programs): string {
  return fileURLToPath(new URL(programs[name], import.meta.url))
}

/** Starts the server as a child. Its settings travel as variables, which go before its config file. */
export function spawnServer(flags: ServerFlags, stdio: 'inherit' | 'pipe'): ChildProcess {
  return spawn(process.execPath, [programFile('server')], {
    // Through the channel the server hears when this process ends, however that ends, and ends as well.
    stdio: stdio === 'inherit' ? ['inherit', 'inherit', 'inherit', 'ipc'] : ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own, so that Ctrl-C at the terminal reaches it once, through us.
    detached: true,
    env: childEnvironment({
      SLIPWAY_PORT: flags.port,
      SLIPWAY_HOST: flags.host,
      SLIPWAY_DATA_DIR: flags.data,
      SLIPWAY_LOG_LEVEL: flags.logLevel,
    }),
  })
}

/** Runs the program that changes the database's schema; it writes its own output. */
export function spawnMigration(parameters: readonly string[], { data }: Pick<ServerFlags, 'data'>): ChildProcess {
  return spawn(process.execPath, [programFile('migrate'), ...parameters], {
    stdio: 'inherit',
    env: childEnvironment({ SLIPWAY_DATA_DIR: data }),
  })
}

/** Resolves with the child's exit code; 1 when a signal ended it. */
export async function exitOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? (child.signalCode === 'SIGTERM' || child.signalCode === 'SIGINT' ? 0 : 1)
}

export async function stopServer(child: ChildProcess, { withinMs = 15_000 } = {}): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await exitOf(child)
  clearTimeout(late)
}

/** Waits until the server takes work. Rejects when the child ends before that, with what it wrote last. */
export async function waitUntilReady(
  child: ChildProcess,
  {
    url,
    token,
    signal,
    output,
  }: { url: string; token?: string | undefined; signal: AbortSignal; output: () => string },
): Promise<void> {
  const client = createClient({ url, token, signal, timeoutMs: 2_000 })
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new AppError(
        'server.unreachable',
        `The server ended at its start (exit ${child.exitCode ?? 'by signal'}).\n${output()}`,
      )
    try {
      if ((await client.call(api.readyz)).status === 'ready') return
    } catch (error) {
      if (!(error instanceof AppError)) throw error
    }
    await sleep(50, signal)
  }
  throw new AppError('server.unreachable', `The server at ${url} did not become ready within 30 s.\n${output()}`)
}

/** Whether something could listen there now. */
export async function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const probe = createServer()
  try {
    probe.listen(port, host)
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}

/** `wanted` when it is free, else any free port. */
export async function choosePort(wanted: number, host = '127.0.0.1'): Promise<number> {
  if (await isPortFree(wanted, host)) return wanted
  const probe = createServer().listen(0, host)
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port')
  return address.port
}
