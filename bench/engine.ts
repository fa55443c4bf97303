import type { BenchOptions } from './main.ts'
import { benchFirstFrame } from './first-frame.ts'
import { benchReplayedRuns } from './replayed-runs.ts'
import type { Report } from './report.ts'
import { buildPrograms } from './server-process.ts'
import { benchServedRuns } from './served-runs.ts'
import { benchStartUp } from './start-up.ts'

const parts: Readonly<Record<string, () => Promise<Pick<Report, 'rows' | 'left'>>>> = {
  replay: benchReplayedRuns,
  serve: benchServedRuns,
  start: benchStartUp,
  latency: benchFirstFrame,
}

export const engineParts = Object.keys(parts)

/** Steps per second of the engine alone and of the whole server, start-up, memory, and the way to the first frame. */
export async function benchEngine(options: BenchOptions): Promise<Report> {
  const found: Pick<Report, 'rows' | 'left'>[] = []
  buildPrograms()
  for (const [name, part] of Object.entries(parts)) {
    if (options.parts.length > 0 && !options.parts.includes(name)) continue
    console.error(`measuring ${name} …`)
    found.push(await part())
  }
  return { rows: found.flatMap(({ rows }) => rows), left: found.flatMap(({ left }) => left), notMeasured }
}

const notMeasured = [
  'the time of models, scripts and people in the replayed runs: their answers are there at once',
  'loading and preparing a plan in the replayed runs: it is done once, as the server does it once per plan',
  'peers side by side: the figures of the reference engine and of Restate were recorded earlier, on two cores',
  'memory and time of the sandboxes: highest memory is that of the server process alone',
  'a cold disk: programs and data are in the page cache; nor more than one watcher, a network, or TLS',
  'the load of the client itself, which shares the cores with the server',
]
