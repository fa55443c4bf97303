import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { compileCache, temporaryDataFolder } from '@slipway/server/app/testing'

export const repository = fileURLToPath(new URL('../..', import.meta.url))
export const examplePlans = join(repository, 'examples/plans')
const main = join(repository, 'packages/cli/src/main.ts')

export interface CommandEnd {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly cwd?: string
}

/** Starts the command line as somebody at a shell would, with none of this process's own settings. */
export function spawnSlipway(
  args: readonly string[],
  { env = {}, cwd = repository }: CommandOptions = {},
): ChildProcess {
  return spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...compileCache(), PATH: process.env['PATH'], HOME: process.env['HOME'], TZ: 'UTC', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export async function slipway(args: readonly string[], options: CommandOptions = {}): Promise<CommandEnd> {
  const child = spawnSlipway(args, options)
  child.stdin?.end(options.input ?? '')
  const [stdout, stderr] = await Promise.all([read(child.stdout), read(child.stderr), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

async function read(stream: NodeJS.ReadableStream | null): Promise<string> {
  return stream ? text(stream) : ''
}

export interface Server extends AsyncDisposable {
  readonly url: string
  /** Runs a command against this server. */
  readonly cli: (args: readonly string[], options?: CommandOptions) => Promise<CommandEnd>
  readonly stop: () => Promise<number | null>
}

export interface ServerOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Data folder that outlives this server. */
  readonly data?: string
  readonly port?: string
}

/** A real server in a child process, started by `slipway up` on a free port and an empty folder. */
export async function startSlipway({ env = {}, data, port = '0' }: ServerOptions = {}): Promise<Server> {
  const folder = data === undefined ? await temporaryDataFolder() : null
  const args = ['up', '--port', port, '--data', data ?? folder?.path ?? '', '--log-level', 'error']
  const child = spawnSlipway(args, { env })
  const url = await readyUrl(child)
  const stop = async (): Promise<number | null> => {
    if (child.exitCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    return child.exitCode
  }
  return {
    url,
    cli: (commandArgs, options = {}) =>
      slipway(commandArgs, { ...options, env: { SLIPWAY_URL: url, ...env, ...options.env } }),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
      await folder?.[Symbol.asyncDispose]()
    },
  }
}

async function readyUrl(child: ChildProcess): Promise<string> {
  let said = ''
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer): void => {
      said += chunk.toString()
      const url = /ready at (http:\/\/\S+)/.exec(said)?.[1]
      if (url !== undefined) resolve(url)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    child.on('exit', code => reject(new Error(`The server ended with ${code}:\n${said}`)))
  })
}

export interface Wire extends AsyncDisposable {
  readonly url: string
  /** Breaks every connection that is open now. */
  cut(): void
  /** Breaks every connection, and new ones at once, until `mend`. */
  block(): void
  /** Keeps connections, and lets nothing through them, until `mend`. */
  stall(): void
  mend(): void
  /** Connections so far. */
  count(): number
}

/** A wire in front of a server that can be cut. */
export async function openWire(target: string): Promise<Wire> {
  const { hostname, port } = new URL(target)
  const open = new Map<Socket, Socket>()
  let connections = 0
  let state: 'whole' | 'blocked' | 'stalled' = 'whole'
  const wire = createServer(near => {
    connections += 1
    if (state === 'blocked') return void near.destroy()
    const far = connect(Number(port), hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.set(from, to)
      if (state === 'whole') from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  const address = wire.address()
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port')
  const cut = (): void => {
    for (const socket of open.keys()) socket.destroy()
  }
  return {
    url: `http://127.0.0.1:${address.port}`,
    cut,
    block: () => {
      state = 'blocked'
      cut()
    },
    stall: () => {
      state = 'stalled'
      for (const [from, to] of open) from.unpipe(to).pause()
    },
    mend: () => {
      if (state === 'stalled') for (const [from, to] of open) from.pipe(to)
      state = 'whole'
    },
    count: () => connections,
    async [Symbol.asyncDispose]() {
      cut()
      wire.close()
      await once(wire, 'close')
    },
  }
}
