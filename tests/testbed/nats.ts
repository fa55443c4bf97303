import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { sleep } from '@slipway/kit/abort'
import { keptPort } from './free-port.ts'

/** A real nats-server of our own with JetStream, in a temporary folder and on a free port. */
export interface NatsServer extends AsyncDisposable {
  /** Such as `nats://127.0.0.1:15000`. */
  readonly url: string
  readonly port: number
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>
  /** Asks it to stop. */
  stop(): Promise<void>
  /** Starts it again after `kill` or `stop` on the same port, with the same store unless it is to be `empty`. */
  start(options?: { readonly empty?: boolean }): Promise<void>
  /** The end of what it has written. */
  output(): string
}

export interface NatsServerOptions {
  /** Where it listens; 127.0.0.1 unless said otherwise. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** Further lines of its configuration, such as users and their permissions. */
  readonly settings?: string | undefined
  /** Whether it is left to the test to start it. */
  readonly isStopped?: boolean | undefined
  /** The program with all that comes before its own arguments, such as `ip netns exec broker nats-server`. */
  readonly command?: readonly string[] | undefined
}

const longestOutput = 20_000

/** Why there can be no `startNats` here, or null. */
export function whyNoNats(): string | null {
  return binary() === null ? 'no nats-server is installed (Debian: apt-get install nats-server)' : null
}

export async function startNats(options: NatsServerOptions = {}): Promise<NatsServer> {
  const program = binary()
  if (program === null) throw new Error(whyNoNats() ?? 'no nats-server')
  const { host = '127.0.0.1', port = await keptPort(), settings = '', command = [program] } = options
  const folder = await mkdtemp(join(tmpdir(), 'slipway-nats-'))
  const config = join(folder, 'nats.conf')
  const lines = [`listen: "${host}:${port}"`, `jetstream { store_dir: "${join(folder, 'store')}" }`, settings]
  await writeFile(config, `${lines.join('\n')}\n`)
  let output = ''
  let child: ChildProcess | null = null
  const start = async ({ empty = false } = {}): Promise<void> => {
    if (empty) await rm(join(folder, 'store'), { recursive: true, force: true })
    const [first = program, ...rest] = command
    const started = spawn(first, [...rest, '-c', config], { stdio: ['ignore', 'pipe', 'pipe'] })
    const hear = (data: Buffer): string => (output = (output + data.toString()).slice(-longestOutput))
    started.stdout.on('data', hear)
    started.stderr.on('data', hear)
    child = started
    const ended = once(started, 'exit').then(() => Promise.reject(new Error(`nats-server ended: ${output}`)))
    ended.catch(() => undefined)
    const isElsewhere = options.command !== undefined
    await Promise.race([isElsewhere ? untilSaid(() => output) : untilReady(host, port), ended])
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
    output = ''
  }
  if (options.isStopped !== true) await start()
  return {
    url: `nats://${host}:${port}`,
    port,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
    output: () => output,
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL')
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

async function untilReady(host: string, port: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const isThere = await new Promise<boolean>(resolve => {
      const probe = connect(port, host)
      probe.once('error', () => resolve(false))
      // It speaks first, once it takes connections.
      probe.once('data', () => {
        probe.destroy()
        resolve(true)
      })
    })
    if (isThere) return
    if (attempt === 400) throw new Error('nats-server does not answer.')
    await sleep(25)
  }
}

async function untilSaid(output: () => string): Promise<void> {
  for (let attempt = 1; !output().includes('Server is ready'); attempt++) {
    if (attempt === 400) throw new Error(`nats-server is not ready: ${output()}`)
    await sleep(25)
  }
}

function binary(): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/bin', '/usr/local/bin']
  return folders.map(folder => join(folder, 'nats-server')).find(file => existsSync(file)) ?? null
}
