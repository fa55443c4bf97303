import { present, type Field } from './field.ts'
import { installPeers } from './peers.ts'
import type { BenchOptions } from './main.ts'
import { missingPostgres, PostgresCluster } from './postgres-cluster.ts'
import { missingRedis } from './redis-server.ts'
import { lineOf, type Report, type Row } from './report.ts'
import { buildPrograms } from './server-process.ts'
import { benchFanout } from './spine-fanout.ts'
import { oursOnTheSpine } from './spine-ours.ts'
import { queues } from './spine-peers.ts'
import type { QueueContender } from './spine-queue.ts'
import { benchAlone, benchThroughput } from './spine-speed.ts'

const usualRounds = 5

const parts: Readonly<Record<string, (field: Field<QueueContender>) => Promise<Row[]>>> = {
  throughput: benchThroughput,
  alone: benchAlone,
  fanout: benchFanout,
}

export const spineParts = Object.keys(parts)

/** Jobs and messages of ours and of peers over real sockets, equally durable, in turn on this machine. */
export async function benchSpine(options: BenchOptions): Promise<Report> {
  buildPrograms()
  const left: string[] = []
  const contenders = present([...oursOnTheSpine, ...queues], { only: options.only, left, missing: missingHere() })
  await using cluster = contenders.some(({ store }) => store === 'Postgres') ? await PostgresCluster.start() : null
  const field: Field<QueueContender> = { contenders, cluster, rounds: options.rounds ?? usualRounds, left }
  const rows: Row[] = []
  for (const [name, part] of Object.entries(parts)) {
    if (options.parts.length > 0 && !options.parts.includes(name)) continue
    console.error(`measuring ${name} …`)
    const measured = await part(field)
    for (const row of measured) console.error(lineOf(row))
    rows.push(...measured)
  }
  const stated = contenders.flatMap(({ name, durability, processes, results }) => [
    `${name}: ${durability}.`,
    `  Processes: ${processes}. Results: ${results}.`,
  ])
  return { rows, left, notMeasured, stated: ['What is on disk before each answer, and who takes part:', ...stated] }
}

/** Says why somebody cannot be measured here, or null. */
function missingHere(): (who: QueueContender) => string | null {
  const noPeers = installPeers()
  const noPostgres = missingPostgres()
  const noRedis = missingRedis()
  return ({ isOurs, store, missing }) =>
    missing?.() ??
    (isOurs ? null : noPeers) ??
    (store === 'Postgres' ? noPostgres : null) ??
    (store === 'Redis' ? noRedis : null)
}

const notMeasured = [
  'a network, several machines, replication: everybody has one node on this machine',
  'jobs that take time: each returns a small value at once',
  'several operators or publishers at a time',
  'a disk other than the one of the temporary folder; what its cache promises of a sync is taken as true',
  'limits of frames a second, policies and schemas: ours run with limits that are not reached, and without the others',
]
