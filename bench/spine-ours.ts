import type { Home, Played } from './contender.ts'
import { PeerProcess } from './peer-process.ts'
import { migrateDatabase, spineClientProgram, startServerProcess, type ServerProcess } from './server-process.ts'
import type { QueueContender, QueueOptions, QueueSession, RoleSettings } from './spine-queue.ts'

/** What nobody asks of a peer: how many frames a token may send. */
export const openLimits = {
  SLIPWAY_BUS_FRAMES_PER_SECOND: '10000000',
  SLIPWAY_BUS_TOPIC_FRAMES_PER_SECOND: '10000000',
  SLIPWAY_BUS_SOCKETS_PER_TOKEN: '10000',
}

const shared = {
  isOurs: true,
  isBatched: false,
  processes: 'the server; a publisher and an operator, each with the SDK over its own socket of WS /bus',
  results: 'a subscription to bench.results on the socket that the publisher has open anyway',
  open: openOurs,
} as const

export const oursOnTheSpine: readonly QueueContender[] = [
  {
    ...shared,
    name: 'Slipway, SQLite',
    store: 'SQLite',
    durability:
      'SQLite in WAL with synchronous=FULL, its default: the server syncs before Published and before a result',
  },
  {
    ...shared,
    name: 'Slipway, Postgres',
    store: 'Postgres',
    durability:
      'Postgres with fsync=on and synchronous_commit=on, its default: it syncs before Published and before a result',
  },
]

export function startSpineServer(home: Home, onLog?: (line: string) => void): Promise<ServerProcess> {
  const { databaseUrl, folder } = home
  if (databaseUrl !== null) migrateDatabase(databaseUrl, folder)
  const env = { ...openLimits, ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }) }
  return startServerProcess(folder, { env, onLog, flags: flagsOfServer() })
}

/** Node's own, such as `--cpu-prof`, for whoever looks into the server while it is measured. */
function flagsOfServer(): readonly string[] {
  return (process.env['BENCH_SERVER_FLAGS'] ?? '').split(' ').filter(flag => flag !== '')
}

async function openOurs(home: Home, { inFlight }: QueueOptions): Promise<QueueSession> {
  await using open = new AsyncDisposableStack()
  const server = open.use(await startSpineServer(home))
  const client = async (role: RoleSettings['role']): Promise<PeerProcess> => {
    const settings: RoleSettings = { role, url: server.url, concurrency: inFlight, poolSize: 0, batch: 1 }
    return open.use(await PeerProcess.start(spineClientProgram, { settings }))
  }
  await client('operator')
  const publisher = await client('publisher')
  const running = open.move()
  return {
    play: (jobs): Promise<Played> => publisher.play({ runs: jobs, steps: 1 }),
    processorMs: () => server.processorMs(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
