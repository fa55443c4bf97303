import { createClient } from '@slipway/sdk/client'
import { rowOf, type Peer, type Report, type Row } from './report.ts'
import { startServerProcess, TemporaryFolder } from './server-process.ts'
import { storeData, type StoredData } from './stored-data.ts'

const roundCount = 9
const stored: StoredData = { plans: 1000, runs: 100_000 }

const restateMs: Peer = { name: 'Restate (recorded, 515 to 776 ms)', value: 515 }
const restateMb: Peer = { name: 'Restate (recorded)', value: 430 }

/** From starting the process to the first 200 of `/readyz`, and the memory it then has. */
export async function benchStartUp(): Promise<Pick<Report, 'rows' | 'left'>> {
  using folder = new TemporaryFolder()
  await storeData(folder.path, stored)
  await checkStored(folder.path)
  const what = `${stored.plans.toLocaleString('en')} plans and ${stored.runs.toLocaleString('en')} finished runs`
  const rows = [...(await startRounds('an empty data folder')), ...(await startRounds(what, folder.path))]
  return { rows, left: [] }
}

async function startRounds(what: string, dataDir?: string): Promise<Row[]> {
  const times: number[] = []
  const memory: number[] = []
  // The first start reads the programs from the disk and writes Node's compile cache.
  for (let round = -1; round < roundCount; round++) {
    using empty = new TemporaryFolder()
    await using server = await startServerProcess(dataDir ?? empty.path)
    const now = server.memory()?.nowMb
    if (round < 0) continue
    times.push(server.readyMs)
    if (now !== undefined) memory.push(now)
  }
  const note = 'files in the page cache, one start before'
  const rows = [rowOf(`start to ready, ${what}`, { unit: 'ms', rounds: times, better: 'lower', peer: restateMs, note })]
  if (memory.length > 0) {
    rows.push(rowOf(`memory when ready, ${what}`, { unit: 'MB', rounds: memory, better: 'lower', peer: restateMb }))
  }
  return rows
}

// Figures of a start that finds nothing would flatter.
async function checkStored(dataDir: string): Promise<void> {
  await using server = await startServerProcess(dataDir)
  const client = createClient({ url: server.url })
  const { items } = await client.runs({ limit: 1 })
  const [run] = items
  const plans = await client.plans({ limit: 2 })
  const copy = plans.items.at(-1)
  if (!run || !copy) throw new Error('The stored runs or plans are not there.')
  const detail = await client.plan(copy.id)
  await client.planGraph(detail.id)
  await client.result(run.run_id)
}
