import { createClient, type Client } from '@slipway/sdk/client'
import { probeProcessSandbox } from '@slipway/server/features/sandboxes/adapters/process-sandbox'
import { copyLoop, fillLoop, longAddition, packed, type BenchPlan } from './bench-plans.ts'
import { rowOf, type Report, type Row } from './report.ts'
import { rounds } from './rounds.ts'
import { Poster, startServerProcess, TemporaryFolder, Watcher, type ServerProcess } from './server-process.ts'

const roundCount = 5
const concurrencies = [1, 16] as const

interface Workload {
  readonly what: string
  readonly plan: BenchPlan
  /** Runs of one round at a concurrency of 1; more at a higher one. */
  readonly runs: number
  readonly sandbox: 'process' | 'wasm'
  readonly note: string
}

/** Executions per second of the whole server over HTTP, everything on disk, and its memory. */
export async function benchServedRuns(): Promise<Pick<Report, 'rows' | 'left'>> {
  const rows: Row[] = []
  const left: string[] = []
  const loop = { sandbox: 'wasm' as const }
  const workloads: Workload[] = [
    { ...loop, what: 'a loop without effects', plan: copyLoop(50), runs: 5, note: 'one decision and commit a run' },
    {
      ...loop,
      what: 'a loop that reads a file',
      plan: fillLoop(50),
      runs: 5,
      note: 'one durable answer an iteration',
    },
    { what: 'long-addition, wasm', plan: longAddition, runs: 2, sandbox: 'wasm', note: 'one interpreter a run' },
  ]
  const probe = await probeProcessSandbox()
  if (probe.works) {
    const note = 'one interpreter a run'
    workloads.push({ what: 'long-addition, process', plan: longAddition, runs: 4, sandbox: 'process', note })
  } else left.push(`long-addition in process sandboxes (${probe.reason})`)
  for (const workload of workloads) rows.push(...(await measure(workload)))
  return { rows, left }
}

async function measure(workload: Workload): Promise<Row[]> {
  const rows: Row[] = []
  for (const concurrency of concurrencies) {
    using folder = new TemporaryFolder()
    await using server = await startServerProcess(folder.path, {
      env: { SLIPWAY_PYTHON_SANDBOX: workload.sandbox, SLIPWAY_MAX_CONCURRENT_RUNS: '16' },
    })
    rows.push(...(await measureOn(server, workload, concurrency)))
  }
  return rows
}

async function measureOn(server: ServerProcess, workload: Workload, concurrency: number): Promise<Row[]> {
  const { plan, what, note } = workload
  const client = createClient({ url: server.url })
  await client.deploy(packed(plan))
  using poster = new Poster(server.url)
  using watcher = await Watcher.open(server.url)
  const runs = concurrency === 1 ? workload.runs : Math.max(concurrency, workload.runs)
  const round = (): Promise<number> => executionsPerSecond({ client, poster, watcher, plan, runs, concurrency })
  await round()
  const figures = await rounds(roundCount, round)
  const at = `${what}, ${concurrency} at a time`
  const cutNote = watcher.cuts === 0 ? note : `${note}; the watcher was cut ${watcher.cuts} times`
  const rows = [
    rowOf(`durable steps per second, ${at}`, {
      unit: 'executions/s',
      rounds: figures,
      better: 'higher',
      note: cutNote,
    }),
  ]
  const memory = server.memory()
  if (memory) {
    const highest = { unit: 'MB', rounds: [memory.peakMb], better: 'lower' as const, note: 'without the sandboxes' }
    rows.push(rowOf(`highest memory of the server, ${at}`, highest))
  }
  return rows
}

interface RoundOptions {
  readonly client: Client
  readonly poster: Poster
  readonly watcher: Watcher
  readonly plan: BenchPlan
  readonly runs: number
  readonly concurrency: number
}

async function executionsPerSecond({
  client,
  poster,
  watcher,
  plan,
  runs,
  concurrency,
}: RoundOptions): Promise<number> {
  const ids: string[] = []
  const start = performance.now()
  let started = 0
  const worker = async (): Promise<void> => {
    while (started < runs) {
      started++
      ids.push(await playRun(poster, watcher, plan))
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  const seconds = (performance.now() - start) / 1000
  let executions = 0
  for (const id of ids) executions += (await client.run(id)).progress.execution_count
  return executions / seconds
}

/** Starts a run and waits for its end. */
export async function playRun(poster: Pick<Poster, 'post'>, watcher: Watcher, plan: BenchPlan): Promise<string> {
  let id: string | null = null
  const over = new Map<string, string>()
  let wake = (): void => undefined
  const stop = watcher.listen(frame => {
    if (frame.event !== 'run:completed' && frame.event !== 'run:failed') return
    over.set(frame.run_id ?? '', frame.event)
    wake()
  })
  const reply = await poster.post('/api/runs', { plan_id: plan.id, inputs: plan.inputs })
  if (reply.status !== 201) throw new Error(`A run was not accepted: ${reply.status} ${reply.text}`)
  id = (JSON.parse(reply.text) as { run_id: string }).run_id
  while (!over.has(id)) await new Promise<void>(resolve => (wake = resolve))
  stop()
  if (over.get(id) !== 'run:completed') throw new Error(`The run ${id} of ${plan.id} failed.`)
  return id
}
