import { startNats, whyNoNats } from '../tests/testbed/nats.ts'
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
  ...(['SQLite', 'Postgres'] as const).map(store => ({
    ...shared,
    name: `Slipway, ${store}, operator behind NATS`,
    store,
    durability: `${store} as above; JetStream has its default, which syncs every two minutes, and keeps nothing that ${store} has not synced before`,
    processes: 'the server; nats-server; a publisher over WS /bus, and an operator over the broker',
    missing: whyNoNats,
    open: openBehindNats,
  })),
]

const token = 'the-token-of-the-bench'

export function startSpineServer(
  home: Home,
  { onLog, further = {} }: { readonly onLog?: (line: string) => void; readonly further?: NodeJS.ProcessEnv } = {},
): Promise<ServerProcess> {
  const { databaseUrl, folder } = home
  if (databaseUrl !== null) migrateDatabase(databaseUrl, folder)
  const env = { ...openLimits, ...further, ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }) }
  return startServerProcess(folder, { env, onLog, flags: flagsOfServer() })
}

/** Node's own, such as `--cpu-prof`, for whoever looks into the server while it is measured. */
function flagsOfServer(): readonly string[] {
  return (process.env['BENCH_SERVER_FLAGS'] ?? '').split(' ').filter(flag => flag !== '')
}

async function openOurs(home: Home, { inFlight }: QueueOptions): Promise<QueueSession> {
  await using open = new AsyncDisposableStack()
  const server = open.use(await startSpineServer(home))
  return await openClients(open, { server, operatorUrl: server.url, inFlight })
}

async function openBehindNats(home: Home, { inFlight }: QueueOptions): Promise<QueueSession> {
  await using open = new AsyncDisposableStack()
  const broker = open.use(await startNats())
  const further = { SLIPWAY_NATS_URL: broker.url, SLIPWAY_API_TOKEN: token }
  const server = open.use(await startSpineServer(home, { further }))
  return await openClients(open, { server, operatorUrl: broker.url, inFlight })
}

interface Clients extends QueueOptions {
  readonly server: ServerProcess
  /** Where the operator connects. */
  readonly operatorUrl: string
}

async function openClients(
  open: AsyncDisposableStack,
  { server, operatorUrl, inFlight }: Clients,
): Promise<QueueSession> {
  const client = async (role: RoleSettings['role'], url: string): Promise<PeerProcess> => {
    const settings: RoleSettings = { role, url, token, concurrency: inFlight, poolSize: 0, batch: 1 }
    return open.use(await PeerProcess.start(spineClientProgram, { settings }))
  }
  await client('operator', operatorUrl)
  const publisher = await client('publisher', server.url)
  const running = open.move()
  return {
    play: (jobs): Promise<Played> => publisher.play({ runs: jobs, steps: 1 }),
    processorMs: () => server.processorMs(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
