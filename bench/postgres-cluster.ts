import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { owned, ownFolder, removeFolder } from './leftovers.ts'
import { freePort } from './server-process.ts'

const run = promisify(execFile)
const folderOfVersions = '/usr/lib/postgresql'
const patienceMs = 30_000

/** The same for everybody. Durability is what Postgres has by itself, and is said so that nothing else counts. */
const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: '300',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
}

export interface PostgresDatabase {
  readonly url: string
  bytes(): Promise<number>
  /** What has been written to the log of the whole cluster so far. */
  logBytes(): Promise<number>
  drop(): Promise<void>
}

/** Why there is no Postgres here, or null. */
export function missingPostgres(): string | null {
  return programs() === null ? 'Postgres is not installed: initdb, postgres and psql were not found' : null
}

/** A Postgres of its own in a temporary folder, which is gone afterwards. */
export class PostgresCluster implements AsyncDisposable {
  readonly #folder: string
  readonly #port: number
  readonly #bin: string
  readonly #process: ChildProcess
  #databases = 0

  private constructor(options: { folder: string; port: number; bin: string; process: ChildProcess }) {
    this.#folder = options.folder
    this.#port = options.port
    this.#bin = options.bin
    this.#process = options.process
  }

  /** `wrapper` is what starts the server, such as `strace` with its options. */
  static async start(wrapper: readonly string[] = []): Promise<PostgresCluster> {
    const bin = programs()
    if (bin === null) throw new Error(missingPostgres() ?? '')
    const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-pg-'))
    ownFolder(folder)
    const user = otherUser()
    if (user) chownSync(folder, user.uid, user.gid)
    const data = join(folder, 'data')
    const init = ['-D', data, '-U', 'bench', '--auth=trust', '--encoding=UTF8', '--locale=C']
    execFileSync(join(bin, 'initdb'), init, { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    const port = await freePort()
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const [program = '', ...args] = [...wrapper, join(bin, 'postgres'), '-D', data, '-p', String(port), ...options]
    const child = owned(spawn(program, args, { ...user, cwd: folder, stdio: 'ignore' }))
    const cluster = new PostgresCluster({ folder, port, bin, process: child })
    await cluster.#untilReady()
    return cluster
  }

  async createDatabase(): Promise<PostgresDatabase> {
    const name = `bench_${++this.#databases}`
    await this.#query('postgres', `create database ${name}`)
    return {
      url: this.#url(name),
      bytes: async () => {
        await this.#query(name, 'checkpoint')
        return Number(await this.#query(name, `select pg_database_size('${name}')`))
      },
      logBytes: async () => Number(await this.#query(name, "select pg_current_wal_lsn() - '0/0'::pg_lsn")),
      drop: async () => {
        await this.#query('postgres', `drop database ${name} with (force)`)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit')
      // Ends the sessions that are open, writes everything and ends.
      this.#process.kill('SIGINT')
      await exited
    }
    removeFolder(this.#folder)
  }

  async #untilReady(): Promise<void> {
    const giveUpAt = performance.now() + patienceMs
    for (;;) {
      try {
        await this.#query('postgres', 'select 1')
        return
      } catch (error) {
        if (this.#process.exitCode !== null || performance.now() > giveUpAt) throw error
        await sleep(50)
      }
    }
  }

  async #query(database: string, sql: string): Promise<string> {
    const { stdout } = await run(join(this.#bin, 'psql'), ['-XAtq', '-c', sql, this.#url(database)])
    return stdout.trim()
  }

  #url(database: string): string {
    return `postgresql://bench@127.0.0.1:${this.#port}/${database}`
  }
}

/** The folder of the server's programs; distributions do not have them on the path. */
function programs(): string | null {
  const versions = existsSync(folderOfVersions) ? readdirSync(folderOfVersions) : []
  const folders = [
    ...versions.sort((a, b) => Number(b) - Number(a)).map(version => join(folderOfVersions, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(':'),
  ]
  const needed = ['initdb', 'postgres', 'psql']
  return folders.find(folder => needed.every(name => existsSync(join(folder, name)))) ?? null
}

/** Postgres refuses to be run by root: it then runs as the user that its package made. */
function otherUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const idOf = (option: string): number => Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}
