import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '@slipway/sdk/client'
import { modelChain, packed } from './bench-plans.ts'
import { makeHome, type Contender } from './contender.ts'
import { leave, once, type Field } from './field.ts'
import { ModelStub } from './model-stub.ts'
import { writeAgents } from './ours.ts'
import { PostgresCluster } from './postgres-cluster.ts'
import type { Row } from './report.ts'
import { playRun } from './served-runs.ts'
import { Poster, startServerProcess, TemporaryFolder, Watcher } from './server-process.ts'
import { checkOrder, type Order } from './sync-order.ts'

const steps = 50
const orderRuns = 24
const orderSteps = 20
const orderConcurrencies = [1, 8] as const
// What strace has not yet written when a run ends.
const settleMs = 300

/** Counts the syncs of everybody while one run is played alone, and checks the order of ours. Nothing is timed here. */
export async function benchSyncs(field: Field): Promise<Row[]> {
  const reason = missingStrace()
  if (reason !== null) {
    field.left.push(`fsync (${reason})`)
    return []
  }
  const counts = await once(field, 'syncs', contender => syncsOf(contender))
  const rows = [...counts].map(([contender, syncs]) => ({
    metric: `disk syncs per step, a run of ${steps} steps alone: ${contender.name}`,
    ours: Number((syncs / steps).toFixed(2)),
    peer: null,
    peerName: null,
    ratio: null,
    unit: 'syncs/step',
    note: `${verdict(syncs)}; ${contender.durability}`,
  }))
  const order: Row[] = []
  for (const concurrency of orderConcurrencies) {
    try {
      order.push(...rowsOfOrder(await orderOfOurs(concurrency), concurrency))
    } catch (error) {
      leave(field, `order of syncs, ${concurrency} at a time`, error)
    }
  }
  return [...rows, ...order]
}

// Alone, no step can share another's sync: fewer syncs than steps mean that some step did not wait for the disk.
function verdict(syncs: number): string {
  return syncs >= steps ? 'each step is synced' : 'NOT each step is synced'
}

function missingStrace(): string | null {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' })
    return null
  } catch {
    return 'strace is not installed'
  }
}

/** `-D` keeps the program itself the child of the bench, so that signals reach it. */
function straced(file: string, ...options: readonly string[]): string[] {
  return ['strace', '-D', '-f', '-o', file, ...options]
}

async function syncsOf(contender: Contender): Promise<number> {
  using traces = new TemporaryFolder()
  const file = join(traces.path, 'trace')
  writeFileSync(file, '', { mode: 0o666 })
  execFileSync('chmod', ['-R', 'a+rwx', traces.path])
  const wrapper = straced(file, '-e', 'trace=fsync,fdatasync,sync_file_range,msync')
  const onPostgres = contender.store === 'Postgres'
  await using cluster = onPostgres ? await PostgresCluster.start(wrapper) : null
  await using home = await makeHome(contender.store, cluster)
  await using session = await contender.open(home, { concurrency: 1, wrapper: onPostgres ? undefined : wrapper })
  await session.alone({ runs: 2, steps })
  await sleep(settleMs)
  const before = countSyncs(file)
  await session.alone({ runs: 1, steps })
  await sleep(settleMs)
  return countSyncs(file) - before
}

function countSyncs(file: string): number {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => /\b(fsync|fdatasync)\(/.test(line)).length
}

/** Our server on SQLite with a model over HTTP, each of whose answers is a word of its own. */
async function orderOfOurs(concurrency: number): Promise<Order> {
  await using home = await makeHome('SQLite', null)
  using traces = new TemporaryFolder()
  const file = join(traces.path, 'trace')
  const answers: string[] = []
  await using stub = await ModelStub.start({
    delayMs: 0,
    onRequest: () => undefined,
    answer: n => {
      const answer = `answer-${n}-${randomBytes(6).toString('hex')}`
      answers.push(answer)
      return answer
    },
  })
  writeAgents(home, stub)
  const runs: string[] = []
  const trace = 'trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg'
  {
    await using server = await startServerProcess(home.folder, {
      env: { SLIPWAY_MAX_CONCURRENT_RUNS: String(concurrency) },
      // Long enough for a page of the database and the socket's whole frame.
      wrapper: straced(file, '-yy', '-s', '70000', '-e', trace),
    })
    const plan = modelChain(orderSteps)
    await createClient({ url: server.url }).deploy(packed(plan))
    using poster = new Poster(server.url)
    using watcher = await Watcher.open(server.url)
    const worker = async (): Promise<void> => {
      while (runs.length < orderRuns) {
        const place = runs.push('') - 1
        runs[place] = await playRun(poster, watcher, plan)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    await sleep(settleMs)
  }
  return await checkOrder(file, { runs, answers })
}

function rowsOfOrder(order: Order, concurrency: number): Row[] {
  return Object.entries(order).map(([what, { checked, violations, unknown }]) => ({
    metric: `${what} before its sync, ${concurrency} at a time`,
    ours: violations,
    peer: null,
    peerName: null,
    ratio: null,
    unit: 'violations',
    note: `of ${checked} checked; ${unknown} not found in the write-ahead log`,
  }))
}
