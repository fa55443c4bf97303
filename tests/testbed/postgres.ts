import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { appendFile, chown, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { sleep } from '@slipway/kit/abort'
import pg from 'pg'
import type { Host } from './hosts.ts'

/** A real Postgres of our own, in a temporary folder and on a free port. Anybody on this machine may connect. */
export interface PostgresServer extends AsyncDisposable {
  /** The URL of its database `postgres`. */
  readonly url: string
  /** The same, as other hosts reach it. */
  readonly remoteUrl: string
  /** Makes a database and gives its URL; `template` is copied where it is given. */
  create(name: string, options?: { readonly template?: string }): Promise<string>
  drop(name: string): Promise<void>
  /** Stops all its processes where they stand, so that it takes connections and answers nothing. */
  pause(): void
  resume(): void
  /** Ends all its processes at once, as a power cut would. */
  kill(): Promise<void>
  /** Starts it again after `kill`, with the same data on the same port. */
  restart(): Promise<void>
}

export interface PostgresServerOptions {
  /** Whether commits wait for the disk. Only tests that kill the machine itself could tell the difference. */
  readonly isDurable?: boolean | undefined
  /** Further settings, `name=value`. */
  readonly settings?: readonly string[] | undefined
  /** Where it runs, if not beside the test. The test itself reaches it nevertheless, through a file. */
  readonly host?: Host | undefined
}

/** Why there can be no `startPostgres` here, or null. */
export function whyNoPostgres(): string | null {
  if (process.platform === 'win32') return 'Postgres is not tried on Windows'
  if (binaries() === null) return 'no Postgres is installed (initdb and postgres; Debian: apt-get install postgresql)'
  return isRoot() && launcher() === null
    ? 'Postgres does not run as root, and there is no user postgres or no setpriv'
    : null
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const why = whyNoPostgres()
  const folder = binaries()
  if (why !== null || folder === null) throw new Error(why ?? 'no Postgres')
  const data = await mkdtemp(join(tmpdir(), 'slipway-postgres-'))
  await giveAway(data)
  await finished(
    launch(join(folder, 'initdb'), ['-D', data, '-U', 'slipway', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N']),
  )
  const { host } = options
  if (host !== undefined) await appendFile(join(data, 'pg_hba.conf'), 'host all all all trust\n')
  const port = host === undefined ? await freePort() : 5432
  // A socket of the file system is reached from everywhere on this machine.
  const near = host === undefined ? '127.0.0.1' : encodeURIComponent(data)
  const urlOf = (name: string): string => `postgres://slipway@${near}:${port}/${name}`
  const url = urlOf('postgres')
  const start = (): Promise<ChildProcess> => startServer({ binary: join(folder, 'postgres'), data, port, url, options })
  let child = await start()
  const admin = (statement: string): Promise<void> => execute(url, statement)
  return {
    url,
    remoteUrl: `postgres://slipway@${host?.address ?? near}:${port}/postgres`,
    create: async (name, { template } = {}) => {
      await admin(`create database ${name}${template === undefined ? '' : ` template ${template}`}`)
      return urlOf(name)
    },
    drop: name => admin(`drop database if exists ${name} with (force)`),
    pause: () => signalAll(child, 'SIGSTOP'),
    resume: () => signalAll(child, 'SIGCONT'),
    kill: () => endWith(child, 'SIGKILL'),
    restart: async () => {
      child = await start()
    },
    [Symbol.asyncDispose]: async () => {
      await endWith(child, 'SIGKILL')
      await rm(data, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

interface Start {
  readonly binary: string
  readonly data: string
  readonly port: number
  readonly url: string
  readonly options: PostgresServerOptions
}

async function startServer({ binary, data, port, url, options }: Start): Promise<ChildProcess> {
  const { host } = options
  const settings = [
    `port=${port}`,
    `listen_addresses=${host?.address ?? '127.0.0.1'}`,
    `unix_socket_directories=${host === undefined ? '' : data}`,
    'max_connections=200',
    `fsync=${options.isDurable === true ? 'on' : 'off'}`,
    ...(options.settings ?? []),
  ]
  const child = launch(binary, ['-D', data, ...settings.flatMap(setting => ['-c', setting])], host)
  const output = text(child.stderr ?? process.stdin)
  const ended = once(child, 'exit').then(async () => Promise.reject(new Error(`Postgres ended: ${await output}`)))
  await Promise.race([untilReady(url), ended])
  ended.catch(() => undefined)
  return child
}

async function untilReady(url: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await execute(url, 'select 1')
    } catch (error) {
      if (attempt === 400) throw error
      await sleep(50)
    }
  }
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  // A database that is killed under it shows in the statement, too.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** The server's processes have groups of their own, so each is told. */
function signalAll(child: ChildProcess, signal: NodeJS.Signals): void {
  for (const pid of [child.pid, ...childrenOf(child.pid)]) if (pid !== undefined) send(pid, signal)
}

function childrenOf(pid: number | undefined): number[] {
  try {
    const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    return listed.split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

async function endWith(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  signalAll(child, signal)
  signalAll(child, 'SIGCONT')
  await exited
}

async function finished(child: ChildProcess): Promise<void> {
  const output = text(child.stderr ?? process.stdin)
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`initdb failed: ${await output}`)
}

function launch(binary: string, parameters: readonly string[], host?: Host): ChildProcess {
  const [program = binary, ...before] = isRoot() ? (launcher() ?? []) : []
  const all = program === binary ? parameters : [...before, binary, ...parameters]
  const start = host?.start ?? spawn
  return start(program, all, { cwd: tmpdir(), stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } })
}

// Postgres refuses to run as root. With setpriv it keeps the process id that we know it by.
function launcher(): readonly string[] | null {
  const user = postgresUser()
  const program = pathOf('setpriv')
  if (user === null || program === null) return null
  return [program, `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
}

function postgresUser(): { readonly uid: number; readonly gid: number } | null {
  const line = readFileSync('/etc/passwd', 'utf8').match(/^(?:postgres|nobody):[^:]*:(\d+):(\d+):/m)
  return line ? { uid: Number(line[1]), gid: Number(line[2]) } : null
}

async function giveAway(folder: string): Promise<void> {
  const user = postgresUser()
  if (isRoot() && user !== null) await chown(folder, user.uid, user.gid)
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}

/** The folder of the newest Postgres on this machine that has both programs. */
function binaries(): string | null {
  const version = (folder: string): number => Number(/\/(\d+)\/bin$/.exec(folder)?.[1])
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => version(b) - version(a))
  const folders = [...debian, ...(process.env['PATH'] ?? '').split(delimiter)]
  return folders.find(folder => ['initdb', 'postgres'].every(name => existsSync(join(folder, name)))) ?? null
}

function pathOf(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin']
  return folders.map(folder => join(folder, name)).find(file => existsSync(file)) ?? null
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port')
  return address.port
}
