import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  playEach,
  type Contender,
  type Home,
  type OpenOptions,
  type Order,
  type Played,
  type Session,
} from './contender.ts'
import { owned } from './leftovers.ts'
import { PeerProcess, type PeerSettings } from './peer-process.ts'
import { freePort, memoryOf, Poster } from './server-process.ts'

const folder = import.meta.dirname
const patienceMs = 60_000
// With 10, 32 and 64 connections both peers on Postgres were equally fast, within the noise of a busy machine.
const poolSize = 32

/** Installs what the peers need beside the bench, unless it is there as the lockfile says; the reason when it cannot be had. */
export function installPeers(): string | null {
  const installed = statSync(join(folder, 'node_modules/.package-lock.json'), { throwIfNoEntry: false })
  const wanted = statSync(join(folder, 'package-lock.json'))
  if (installed && installed.mtimeMs >= wanted.mtimeMs) return null
  console.error('installing the peers into bench/node_modules …')
  try {
    // No package needs its install script: the binaries are in the packages.
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'pipe' })
    return null
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    return `npm could not install the peers: ${text.split('\n').slice(0, 3).join(' ')}`
  }
}

const postgresDurability = 'Postgres with fsync=on and synchronous_commit=on, its default'

export const peers: readonly Contender[] = [
  {
    name: 'LangGraph.js, SQLite',
    isOurs: false,
    store: 'SQLite',
    durability: 'WAL with synchronous=FULL set by the bench (its default is NORMAL), durability "sync"',
    open: (home, options) => openScript('langgraph-sqlite.mjs', home, options),
  },
  {
    name: 'LangGraph.js, Postgres',
    isOurs: false,
    store: 'Postgres',
    durability: `${postgresDurability}; durability "sync"`,
    open: (home, options) => openScript('langgraph-postgres.mjs', home, options),
  },
  {
    name: 'DBOS, Postgres',
    isOurs: false,
    store: 'Postgres',
    durability: postgresDurability,
    open: (home, options) => openScript('dbos.mjs', home, options),
  },
  {
    name: 'Restate',
    isOurs: false,
    store: 'RocksDB',
    durability: 'one node with its default settings, which sync the write-ahead log of its log server',
    open: openRestate,
  },
]

function settingsOf(home: Home, options: OpenOptions): PeerSettings {
  return {
    folder: home.folder,
    databaseUrl: home.databaseUrl,
    poolSize,
    concurrency: options.concurrency,
    tellSteps: options.onStep !== undefined,
    stepMs: options.stepMs ?? 0,
    resume: options.resume ?? false,
  }
}

function openScript(script: string, home: Home, options: OpenOptions): Promise<Session> {
  const { onStep, wrapper } = options
  return PeerProcess.start(join(folder, 'peers', script), { settings: settingsOf(home, options), onStep, wrapper })
}

/** Where the processes of a home listen; the same after a restart, as in real use. */
interface RestatePorts {
  readonly node: number
  readonly admin: number
  readonly ingress: number
  readonly handlers: number
}

/** A server and a process with the handlers that it calls; whoever asks for a run calls the server over HTTP. */
async function openRestate(home: Home, options: OpenOptions): Promise<Session> {
  const notes = join(home.folder, 'ports.json')
  const isNew = !existsSync(notes)
  const ports = isNew ? await newPorts() : (JSON.parse(readFileSync(notes, 'utf8')) as RestatePorts)
  if (isNew) writeRestateFiles(home, ports, notes)
  const server = spawnRestate(home, options.wrapper ?? [])
  const handlers = await PeerProcess.start(join(folder, 'peers/restate.mjs'), {
    settings: { ...settingsOf(home, options), port: ports.handlers },
    onStep: options.onStep,
  })
  await untilHealthy(server, ports)
  const session = new RestateSession({ server, handlers, ports, concurrency: options.concurrency })
  if (isNew) await session.register()
  return session
}

async function newPorts(): Promise<RestatePorts> {
  return { node: await freePort(), admin: await freePort(), ingress: await freePort(), handlers: await freePort() }
}

function writeRestateFiles(home: Home, ports: RestatePorts, notes: string): void {
  const config = [
    `base-dir = ${JSON.stringify(join(home.folder, 'data'))}`,
    'disable-telemetry = true',
    'listen-mode = "tcp"',
    'bind-ip = "127.0.0.1"',
    `bind-port = ${ports.node}`,
    'log-filter = "off"',
    '[admin]',
    `bind-port = ${ports.admin}`,
    'disable-web-ui = true',
    '[ingress]',
    `bind-port = ${ports.ingress}`,
  ]
  writeFileSync(join(home.folder, 'restate.toml'), `${config.join('\n')}\n`)
  writeFileSync(notes, JSON.stringify(ports))
}

function spawnRestate(home: Home, wrapper: readonly string[]): ChildProcess {
  // The package's own start script only starts this program; it would stand between it and a `kill -9`.
  const starter = createRequire(join(folder, 'package.json')).resolve('@restatedev/restate-server/package.json')
  const platform = `@restatedev/restate-server-${process.platform}-${process.arch}`
  const binary = createRequire(starter).resolve(`${platform}/bin/restate-server`)
  const config = join(home.folder, 'restate.toml')
  const [program = '', ...args] = [...wrapper, binary, '--no-logo', '--config-file', config]
  return owned(spawn(program, args, { cwd: home.folder, stdio: 'ignore' }))
}

async function untilHealthy(server: ChildProcess, ports: RestatePorts): Promise<void> {
  const giveUpAt = performance.now() + patienceMs
  const urls = [`http://127.0.0.1:${ports.admin}/health`, `http://127.0.0.1:${ports.ingress}/restate/health`]
  for (const url of urls) {
    while ((await fetch(url).catch(() => null))?.status !== 200) {
      if (server.exitCode !== null) throw new Error(`Restate ended with ${server.exitCode} before it was ready.`)
      if (performance.now() > giveUpAt) throw new Error(`Restate was not ready after ${patienceMs} ms.`)
      await sleep(5)
    }
  }
}

class RestateSession implements Session {
  readonly #server: ChildProcess
  readonly #handlers: PeerProcess
  readonly #ports: RestatePorts
  readonly #concurrency: number
  readonly #poster: Poster

  constructor(parts: { server: ChildProcess; handlers: PeerProcess; ports: RestatePorts; concurrency: number }) {
    this.#server = parts.server
    this.#handlers = parts.handlers
    this.#ports = parts.ports
    this.#concurrency = parts.concurrency
    this.#poster = new Poster(`http://127.0.0.1:${parts.ports.ingress}`)
  }

  /** Tells the server where the handlers are. */
  async register(): Promise<void> {
    const body = { uri: `http://127.0.0.1:${this.#ports.handlers}` }
    using admin = new Poster(`http://127.0.0.1:${this.#ports.admin}`)
    const reply = await admin.post('/deployments', body)
    if (reply.status >= 300) throw new Error(`Restate did not take the handlers: ${reply.status} ${reply.text}`)
  }

  play(order: Order): Promise<Played> {
    return playEach(order.runs, this.#concurrency, n => this.#call('play', { run: `run-${n}`, ...order }))
  }

  alone(order: Order): Promise<Played> {
    return playEach(order.runs, 1, n => this.#call('play', { run: `run-${n}`, ...order }))
  }

  async begin(order: Order): Promise<void> {
    for (let n = 0; n < order.runs; n++) await this.#call('play/send', { run: `run-${n}`, ...order })
  }

  async wait(runs: number): Promise<void> {
    for (let n = 0; n < runs; n++) await this.#call('wait/send', {})
  }

  memoryMb(): number | null {
    const server = memoryOf(this.#server.pid ?? 0)
    const handlers = this.#handlers.memoryMb()
    return server && handlers !== null ? server.nowMb + handlers : null
  }

  async kill(): Promise<void> {
    this.#poster[Symbol.dispose]()
    const exited = once(this.#server, 'exit')
    this.#server.kill('SIGKILL')
    await Promise.all([exited, this.#handlers.kill()])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#poster[Symbol.dispose]()
    if (this.#server.exitCode === null && this.#server.signalCode === null) {
      const exited = once(this.#server, 'exit')
      this.#server.kill('SIGTERM')
      await exited
    }
    await this.#handlers[Symbol.asyncDispose]()
  }

  async #call(path: string, body: object): Promise<void> {
    const reply = await this.#poster.post(`/chain/${path}`, body)
    if (reply.status >= 300) throw new Error(`Restate did not play a run: ${reply.status} ${reply.text}`)
  }
}
