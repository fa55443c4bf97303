import { createClient } from '@slipway/sdk/client'
import { copyLoop, packed } from './bench-plans.ts'
import { rowOf, type Peer, type Report, type Row } from './report.ts'
import { quantile } from './rounds.ts'
import { playRun } from './served-runs.ts'
import { Poster, startServerProcess, TemporaryFolder, Watcher } from './server-process.ts'

const roundCount = 5
const runsPerRound = 100
const warmUpRuns = 100

/** How long after an accepted run a watcher sees its first step start. */
export async function benchFirstFrame(): Promise<Pick<Report, 'rows' | 'left'>> {
  using folder = new TemporaryFolder()
  await using server = await startServerProcess(folder.path)
  const plan = copyLoop(3)
  await createClient({ url: server.url }).deploy(packed(plan))
  using poster = new Poster(server.url)
  using watcher = await Watcher.open(server.url)
  const sample = async (): Promise<Sample> => {
    const sentAt = performance.now()
    const frames = new Map<string, number>()
    const stop = watcher.listen((frame, at) => {
      if (frame.event === 'inference:started' && !frames.has(frame.run_id ?? '')) frames.set(frame.run_id ?? '', at)
    })
    let acceptedAt = NaN
    const noting = { post: async (path: string, body: unknown) => noteTime(await poster.post(path, body)) }
    const noteTime = <T extends { readonly at: number }>(reply: T): T => {
      acceptedAt = reply.at
      return reply
    }
    const id = await playRun(noting, watcher, plan)
    stop()
    const frameAt = frames.get(id) ?? NaN
    return { sinceAccepted: frameAt - acceptedAt, sinceSent: frameAt - sentAt, reply: acceptedAt - sentAt }
  }
  for (let run = 0; run < warmUpRuns; run++) await sample()
  const series: Sample[][] = []
  for (let round = 0; round < roundCount; round++) {
    const samples: Sample[] = []
    for (let run = 0; run < runsPerRound; run++) samples.push(await sample())
    series.push(samples)
  }
  return { rows: rowsOf(series), left: [] }
}

interface Sample {
  /** From the reply of the POST to the frame; below zero when the frame came first. */
  readonly sinceAccepted: number
  readonly sinceSent: number
  readonly reply: number
}

function rowsOf(series: readonly (readonly Sample[])[]): Row[] {
  const restate = (value: number): Peer => ({ name: 'Restate, submit to handler start (recorded)', value })
  const note = `${series.length * runsPerRound} runs one after another`
  const row = (metric: string, of: (sample: Sample) => number, part: number, peer?: Peer): Row =>
    rowOf(`${metric}, p${part * 100}`, {
      unit: 'ms',
      rounds: series.map(samples => quantile(samples.map(of), part)),
      better: 'lower',
      peer,
      note,
    })
  return [
    row('accepted POST to first inference:started', sample => Math.max(sample.sinceAccepted, 0.01), 0.5, restate(2.0)),
    row('accepted POST to first inference:started', sample => Math.max(sample.sinceAccepted, 0.01), 0.99, restate(4.8)),
    row('sent POST to first inference:started', sample => sample.sinceSent, 0.5),
    row('sent POST to first inference:started', sample => sample.sinceSent, 0.99),
    row('sent POST to its reply', sample => sample.reply, 0.5),
  ]
}
