import type { Contender } from './contender.ts'
import { benchKill, benchResume, benchWaiting } from './durable-recovery.ts'
import { present, type Field } from './field.ts'
import { benchAlone, benchDisk, benchThroughput } from './durable-speed.ts'
import { benchSyncs } from './durable-syncs.ts'
import type { BenchOptions } from './main.ts'
import { ours, oursOnPostgresMissing } from './ours.ts'
import { installPeers, peers } from './peers.ts'
import { missingPostgres, PostgresCluster } from './postgres-cluster.ts'
import { lineOf, type Report, type Row } from './report.ts'
import { buildPrograms } from './server-process.ts'

const usualRounds = 5

const parts: Readonly<Record<string, (field: Field) => Promise<Row[]>>> = {
  fsync: benchSyncs,
  throughput: benchThroughput,
  alone: benchAlone,
  disk: benchDisk,
  resume: benchResume,
  kill: benchKill,
  waiting: benchWaiting,
}

export const durableParts = Object.keys(parts)

/** Equally durable steps of ours and of peers, in turn on this machine: speed, disk, memory and recovery. */
export async function benchDurable(options: BenchOptions): Promise<Report> {
  buildPrograms()
  const left: string[] = []
  const contenders = present([...ours, ...peers], { only: options.only, left, missing: missingHere() })
  await using cluster = missingPostgres() === null ? await PostgresCluster.start() : null
  const field: Field = { contenders, cluster, rounds: options.rounds ?? usualRounds, left }
  const rows: Row[] = []
  for (const [name, part] of Object.entries(parts)) {
    if (options.parts.length > 0 && !options.parts.includes(name)) continue
    console.error(`measuring ${name} …`)
    const measured = await part(field)
    // A whole bench takes an hour: what is known is shown at once.
    for (const row of measured) console.error(lineOf(row))
    rows.push(...measured)
  }
  const durable = contenders.map(({ name, durability }) => `${name}: ${durability}`)
  return { rows, left, notMeasured, stated: ['How each write gets to the disk (counted by --part fsync):', ...durable] }
}

/** Says why somebody cannot be measured here, or null. */
function missingHere(): (who: Contender) => string | null {
  const noPeers = installPeers()
  const noPostgres = missingPostgres()
  const noPostgresOfOurs = oursOnPostgresMissing()
  return ({ isOurs, store }) =>
    (isOurs ? null : noPeers) ??
    (store === 'Postgres' ? noPostgres : null) ??
    (store === 'Postgres' && isOurs ? noPostgresOfOurs : null)
}

const notMeasured = [
  'a network, several machines, replication: everybody has one node on this machine',
  'steps that take time: each returns a small text at once, except where the table says that it waits',
  'a disk other than the one of the temporary folder; what its cache promises of a sync is taken as true',
  'the time of clients is not taken out: theirs and ours share the cores with what they ask',
  'peers with many processes at once: each is one process, as ours is, with its handlers or its server beside it',
  'recovery by a library that has none: LangGraph.js gets a loop over its unfinished threads at the start',
]
