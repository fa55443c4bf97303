import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { compileCache } from '@slipway/server/app/testing'

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

export async function startChildServer(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ChildServer> {
  const child = spawn(process.execPath, [main], {
    env: { ...compileCache(), PATH: process.env['PATH'] ?? '', SLIPWAY_DATA_DIR: dataDir, SLIPWAY_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const url = await readyAddress(child, exited)
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    url,
    pid: child.pid ?? 0,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    [Symbol.asyncDispose]: async () => void (await end('SIGKILL')),
  }
}

async function readyAddress(child: ChildProcess, exited: Promise<unknown[]>): Promise<string> {
  let output = ''
  const ready = new Promise<string>(resolve => {
    child.stdout?.on('data', (data: Buffer) => {
      output += data.toString()
      const url = /ready at (\S+)/.exec(output)?.[1]
      if (url !== undefined) resolve(url)
    })
  })
  const died = exited.then(() => Promise.reject(new Error(`The server ended before it was ready: ${output}`)))
  return Promise.race([ready, died])
}
