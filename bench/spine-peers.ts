import { join } from 'node:path'
import type { Home } from './contender.ts'
import { PeerProcess } from './peer-process.ts'
import { RedisServer } from './redis-server.ts'
import type { QueueContender, QueueOptions, QueueSession, RoleSettings } from './spine-queue.ts'

const poolSize = 32

const postgresDurability =
  'Postgres with fsync=on and synchronous_commit=on, its default, syncs each of its transactions'

const bossBatch = 16

const pgBoss = {
  isOurs: false,
  store: 'Postgres',
  durability: postgresDurability,
  processes: 'postgres; a publisher; a process of workers, which are woken by notifications',
  results: 'the output that it keeps of a job; the publisher asks for all that are under way with one statement a time',
} as const

const graphile = {
  isOurs: false,
  store: 'Postgres',
  durability: postgresDurability,
  processes: 'postgres; a publisher; a runner, which is woken by notifications',
  results: 'none of its own: the task writes a row to a table and notifies, and the publisher listens',
} as const

/** Queues of others, each with a process that publishes and one that works. */
export const queues: readonly QueueContender[] = [
  {
    name: 'BullMQ',
    isOurs: false,
    store: 'Redis',
    durability: 'Redis with appendonly yes and appendfsync always syncs its log before it answers',
    processes: 'redis-server; a publisher; a worker with as many jobs at a time as are in flight',
    results: 'waitUntilFinished with QueueEvents',
    isBatched: false,
    open: (home, options) => withRedis(home, redis => openRoles('bullmq.mjs', redis.url, options)),
  },
  {
    ...pgBoss,
    name: 'pg-boss',
    isBatched: false,
    open: (home, options) => openRoles('pg-boss.mjs', urlOf(home), options),
  },
  {
    ...pgBoss,
    name: `pg-boss in batches of ${bossBatch}`,
    isBatched: true,
    open: (home, options) => openRoles('pg-boss.mjs', urlOf(home), { ...options, batch: bossBatch }),
  },
  {
    ...graphile,
    name: 'graphile-worker',
    isBatched: false,
    open: (home, options) => openRoles('graphile-worker.mjs', urlOf(home), options),
  },
  {
    ...graphile,
    name: 'graphile-worker with a local queue',
    isBatched: true,
    // As its documentation proposes: one more than it works on at a time.
    open: (home, options) => openRoles('graphile-worker.mjs', urlOf(home), { ...options, batch: options.inFlight + 1 }),
  },
]

async function withRedis(home: Home, open: (redis: RedisServer) => Promise<QueueSession>): Promise<QueueSession> {
  await using starting = new AsyncDisposableStack()
  const session = await open(starting.use(await RedisServer.start(home.folder)))
  const redis = starting.move()
  return {
    ...session,
    [Symbol.asyncDispose]: async () => {
      await session[Symbol.asyncDispose]()
      await redis.disposeAsync()
    },
  }
}

async function openRoles(
  script: string,
  url: string,
  { inFlight, batch = 1 }: QueueOptions & { readonly batch?: number },
): Promise<QueueSession> {
  await using open = new AsyncDisposableStack()
  const start = async (role: RoleSettings['role']): Promise<PeerProcess> => {
    const settings: RoleSettings = { role, url, concurrency: inFlight, poolSize, batch }
    return open.use(await PeerProcess.start(join(import.meta.dirname, 'peers', script), { settings }))
  }
  // Whoever publishes comes first: it makes the queue.
  const publisher = await start('publisher')
  await start('operator')
  const running = open.move()
  return {
    play: jobs => publisher.play({ runs: jobs, steps: 1 }),
    processorMs: () => null,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

function urlOf({ databaseUrl }: Home): string {
  if (databaseUrl === null) throw new Error('There is no database here.')
  return databaseUrl
}
