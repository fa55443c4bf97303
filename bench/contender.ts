import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PostgresCluster } from './postgres-cluster.ts'
import { TemporaryFolder } from './server-process.ts'

/** One of those who are measured, in whatever they do. */
export interface Entrant {
  readonly name: string
  readonly isOurs: boolean
  readonly store: Store
  /** How its writes get to the disk, as it is run here. */
  readonly durability: string
}

/** A way to do a number of durable steps. */
export interface Contender extends Entrant {
  /** Starts its processes over what is in the home, and takes up what is unfinished there. */
  open(home: Home, options: OpenOptions): Promise<Session>
}

export type Store = 'SQLite' | 'Postgres' | 'RocksDB' | 'Redis'

export interface OpenOptions {
  /** How many runs it may work on at a time. */
  readonly concurrency: number
  /** Called at the start of each step that is really done, not one that is read from a journal. */
  readonly onStep?: ((step: string) => void) | undefined
  /** What each step waits, in ms. */
  readonly stepMs?: number | undefined
  /** Whether there are unfinished runs to take up. */
  readonly resume?: boolean | undefined
  /** What starts the processes that write to the disk, such as `strace` with its options. */
  readonly wrapper?: readonly string[] | undefined
}

export interface Order {
  readonly runs: number
  readonly steps: number
  /** A text that each run is given and keeps to its end without changing it. */
  readonly large?: string | undefined
}

export interface Played {
  readonly ms: number
  /** Of each run, from asking for it to knowing its end, in ms. Empty where ends are not told one by one. */
  readonly latencies: readonly number[]
  /** The same from the reply that says that the run is on disk, where there is one. */
  readonly sinceAccepted?: readonly number[] | undefined
}

/** Running processes of a contender. */
export interface Session extends AsyncDisposable {
  /** Plays runs as fast as it can, as many at a time as it was opened for. */
  play(order: Order): Promise<Played>
  /** Plays runs one after another. */
  alone(order: Order): Promise<Played>
  /** Starts runs and waits for nothing. */
  begin(order: Order): Promise<void>
  /** Resolves once so many runs wait for an answer of a person. */
  wait(runs: number): Promise<void>
  /** Resident memory of its own processes, without a database server, in MB. */
  memoryMb(): number | null
  /** `kill -9` of all its processes but a database server. */
  kill(): Promise<void>
}

/** Where a contender keeps what has to outlive its processes. */
export interface Home extends AsyncDisposable {
  readonly folder: string
  readonly databaseUrl: string | null
  /** Size of all files and of the database. */
  bytes(): Promise<number>
  /** What a Postgres has written to its log so far, whose files it uses again; null for others. */
  logBytes(): Promise<number> | null
}

export async function makeHome(store: Store, cluster: PostgresCluster | null): Promise<Home> {
  const folder = new TemporaryFolder()
  const database = store === 'Postgres' ? await cluster?.createDatabase() : undefined
  return {
    folder: folder.path,
    databaseUrl: database?.url ?? null,
    bytes: async () => bytesBelow(folder.path) + ((await database?.bytes()) ?? 0),
    logBytes: () => database?.logBytes() ?? null,
    [Symbol.asyncDispose]: async () => {
      folder[Symbol.dispose]()
      await database?.drop()
    },
  }
}

/** Plays runs, some at a time, each by `play`, which resolves when its end is known. */
export async function playEach(runs: number, concurrency: number, play: (n: number) => Promise<void>): Promise<Played> {
  const latencies: number[] = []
  let started = 0
  const start = performance.now()
  const worker = async (): Promise<void> => {
    while (started < runs) {
      const from = performance.now()
      await play(started++)
      latencies.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { ms: performance.now() - start, latencies }
}

function bytesBelow(folder: string): number {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return paths.reduce((sum, path) => {
    const stat = statSync(join(folder, path), { throwIfNoEntry: false })
    return stat?.isFile() === true ? sum + stat.size : sum
  }, 0)
}
