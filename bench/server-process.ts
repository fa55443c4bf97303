import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { owned, ownFolder, removeFolder } from './leftovers.ts'

const program = resolve('dist/server.mjs')
const migration = resolve('dist/migrate.mjs')
/** A server inside the process that asks for its runs, bundled as the server itself is. */
export const childProgram = resolve('dist/ours-child.mjs')
const patienceMs = 60_000

/** Publishes jobs on the bus or does them, as it is told. */
export const spineClientProgram = resolve('dist/spine-client.mjs')

/** Bundles the programs, so that what is measured is what is shipped. */
export function buildPrograms(): void {
  const further = ['ours-child=bench/ours-child.ts', 'spine-client=bench/spine-client.ts']
  execFileSync(process.execPath, ['tools/build.mjs', 'dist', ...further], { stdio: ['ignore', 'ignore', 'inherit'] })
}

/** Brings an empty Postgres database to the server's schema, which a server does by itself only on SQLite. */
export function migrateDatabase(databaseUrl: string, dataDir: string): void {
  const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl, SLIPWAY_DATA_DIR: dataDir }
  execFileSync(process.execPath, [migration], { env, stdio: ['ignore', 'ignore', 'inherit'] })
}

/** The built server in a process of its own. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** From starting the process to the first 200 of `/readyz`. */
  readonly readyMs: number
  /** Processor time that the server's own process has used, in ms; null where the system does not say. */
  processorMs(): number | null
  /** Resident memory now and at its highest, of the server's own process, in MB; null where the system does not say. */
  memory(): { readonly nowMb: number; readonly peakMb: number } | null
  stop(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
}

export interface ServerOptions {
  readonly env?: Readonly<Record<string, string>>
  /** For Node, before the program. */
  readonly flags?: readonly string[]
  /** What starts Node, such as `strace` with its options. */
  readonly wrapper?: readonly string[] | undefined
  /** Gets each line of the server's log from the level `info` on; without it those from `warn` on are shown. */
  readonly onLog?: ((line: string) => void) | undefined
}

export async function startServerProcess(dataDir: string, options: ServerOptions = {}): Promise<ServerProcess> {
  const port = await freePort()
  const startedAt = performance.now()
  const [node = '', ...args] = [...(options.wrapper ?? []), process.execPath, ...(options.flags ?? []), program]
  const spawned = spawn(node, args, {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      SLIPWAY_DATA_DIR: dataDir,
      SLIPWAY_PORT: String(port),
      SLIPWAY_LOG_LEVEL: options.onLog ? 'info' : 'warn',
      SLIPWAY_RATE_LIMIT_PER_MINUTE: '10000000',
      ...options.env,
    },
    stdio: ['ignore', 'ignore', options.onLog ? 'pipe' : 'inherit'],
  })
  const child = owned(spawned)
  if (options.onLog && child.stderr) createInterface({ input: child.stderr }).on('line', options.onLog)
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  await untilReady(child, port)
  const readyMs = performance.now() - startedAt
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exited
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  const pid = child.pid ?? 0
  return {
    url,
    pid,
    readyMs,
    processorMs: () => processorMsOf(pid),
    memory: () => memoryOf(pid),
    stop,
    kill,
    [Symbol.asyncDispose]: stop,
  }
}

async function untilReady(child: ChildProcess, port: number): Promise<void> {
  const giveUpAt = performance.now() + patienceMs
  while (performance.now() < giveUpAt) {
    if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode} before it was ready.`)
    if ((await statusOf(port)) === 200) return
    await sleep(2)
  }
  child.kill('SIGKILL')
  throw new Error(`The server was not ready after ${patienceMs} ms.`)
}

function statusOf(port: number): Promise<number | null> {
  return new Promise(done => {
    const asked = request({ host: '127.0.0.1', port, path: '/readyz', agent: false }, reply => {
      reply.resume().on('end', () => done(reply.statusCode ?? null))
    })
    asked.on('error', () => done(null)).end()
  })
}

export function memoryOf(pid: number): { nowMb: number; peakMb: number } | null {
  const file = `/proc/${pid}/status`
  if (!existsSync(file)) return null
  const status = readFileSync(file, 'utf8')
  const megabytes = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1_000_000
  return { nowMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') }
}

// What Linux counts in, whatever the machine.
const ticksPerSecond = 100

function processorMsOf(pid: number): number | null {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return null
  const stat = readFileSync(file, 'utf8')
  // Behind the name, which may have anything in it; the time in the program and in the system are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port.')
  return address.port
}

/** A folder that is gone afterwards. */
export class TemporaryFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'slipway-bench-'))

  constructor() {
    ownFolder(this.path)
  }

  [Symbol.dispose](): void {
    removeFolder(this.path)
  }
}

interface Reply {
  readonly status: number
  readonly text: string
  /** When its last byte was there, as `performance.now()` says it. */
  readonly at: number
}

/** Sends JSON over kept connections; Node's own client costs less than `fetch` and so hides less. */
export class Poster implements Disposable {
  readonly #url: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(url: string) {
    this.#url = url
  }

  post(path: string, body: unknown): Promise<Reply> {
    return this.#send('POST', path, JSON.stringify(body))
  }

  get(path: string): Promise<Reply> {
    return this.#send('GET', path, '')
  }

  #send(method: 'GET' | 'POST', path: string, text: string): Promise<Reply> {
    return new Promise((done, failed) => {
      const body = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
      const headers = method === 'POST' ? body : {}
      const asked = request(`${this.#url}${path}`, { method, agent: this.#agent, headers }, reply => {
        const parts: Buffer[] = []
        reply.on('data', (part: Buffer) => parts.push(part))
        reply.on('end', () =>
          done({ status: reply.statusCode ?? 0, text: Buffer.concat(parts).toString(), at: performance.now() }),
        )
      })
      asked.on('error', failed).end(text)
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

/** An open `/ws/events` socket, which continues where it was when the server cuts it for being behind. */
export class Watcher implements Disposable {
  /** How often the server cut it. */
  cuts = 0
  readonly #url: string
  readonly #listeners = new Set<(frame: Frame, at: number) => void>()
  #socket: WebSocket | null = null
  #lastId: number | null = null
  #closed = false

  private constructor(url: string) {
    this.#url = url.replace('http', 'ws')
  }

  static async open(url: string): Promise<Watcher> {
    const watcher = new Watcher(url)
    await watcher.#connect()
    return watcher
  }

  listen(listener: (frame: Frame, at: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#socket?.close()
  }

  #connect(): Promise<void> {
    const after = this.#lastId === null ? '' : `?after=${this.#lastId}`
    const socket = new WebSocket(`${this.#url}/ws/events${after}`)
    this.#socket = socket
    return new Promise((opened, failed) => {
      socket.addEventListener('message', ({ data }) => {
        const at = performance.now()
        const frame = JSON.parse(String(data)) as Frame
        if (frame.event === 'connected') return opened()
        if (frame.id !== undefined) this.#lastId = frame.id
        for (const listener of this.#listeners) listener(frame, at)
      })
      socket.addEventListener('error', () => failed(new Error('The socket of events could not be opened.')))
      socket.addEventListener('close', () => {
        if (this.#closed) return
        this.cuts++
        this.#connect().catch((error: unknown) => console.error(error))
      })
    })
  }
}

export interface Frame {
  readonly event: string
  readonly id?: number
  readonly run_id?: string | null
}
