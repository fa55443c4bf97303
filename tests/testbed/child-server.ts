import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { compileCache } from '@slipway/server/app/testing'
import type { Host } from './hosts.ts'

const main = fileURLToPath(new URL('../../packages/server/src/app/main.ts', import.meta.url))

/** A server in a process of its own, which can be killed. */
export interface ChildServer extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** Ends the process at once, as a power cut would. */
  kill(): Promise<void>
  /** Asks it to stop; gives the exit code. */
  stop(): Promise<number | null>
}

/** As `ChildServer`, from before it is ready. */
export interface LaunchedServer extends Omit<ChildServer, 'url'> {
  /** Its address; rejects when the process ends before that. */
  readonly ready: Promise<string>
  /** With `SIGSTOP` it stands still with all its connections, until `SIGCONT`. */
  signal(signal: NodeJS.Signals): void
  /** The end of what it has written. */
  output(): string
}

export interface LaunchOptions {
  readonly env?: Readonly<Record<string, string>> | undefined
  /** The file to start; the source unless another is given. */
  readonly program?: string | undefined
  /** What Node is given before the server's file. */
  readonly nodeArguments?: readonly string[] | undefined
  /** Where it runs, if not beside the test. */
  readonly host?: Host | undefined
}

const longestOutput = 100_000

export function launchChildServer(
  dataDir: string,
  { env = {}, program = main, nodeArguments = [], host }: LaunchOptions = {},
): LaunchedServer {
  const start = host?.start ?? spawn
  const child = start(process.execPath, [...nodeArguments, program], {
    env: { ...compileCache(), PATH: process.env['PATH'] ?? '', SLIPWAY_DATA_DIR: dataDir, SLIPWAY_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const exited = once(child, 'exit')
  const ready = readyAddress(child, text => (output = (output + text).slice(-longestOutput)))
  ready.catch(() => undefined)
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    ready,
    pid: child.pid ?? 0,
    output: () => output,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    signal: signal => void child.kill(signal),
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

export async function startChildServer(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ChildServer> {
  const launched = launchChildServer(dataDir, { env })
  return { ...launched, url: await launched.ready }
}

function readyAddress(child: ChildProcess, hear: (text: string) => string): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data: Buffer) => {
        output = hear(data.toString())
        const url = /ready at (\S+)/.exec(output)?.[1]
        if (url !== undefined) resolve(url)
      })
    }
    child.on('close', () => reject(new Error(`The server ended before it was ready: ${output}`)))
  })
}
