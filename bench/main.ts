import { parseArgs } from 'node:util'
import { benchDurable, durableParts } from './durable.ts'
import { benchEngine, engineParts } from './engine.ts'
import { benchSpine, spineParts } from './spine.ts'
import { printReport, writeRows, type Report } from './report.ts'

export interface BenchOptions {
  /** Only the parts of the bench with these names; all when empty. */
  readonly parts: readonly string[]
  /** Only those whose names have one of these in them; all when empty. */
  readonly only: readonly string[]
  /** How often each figure is taken; the bench's usual number when null. */
  readonly rounds: number | null
}

interface Bench {
  readonly measure: (options: BenchOptions) => Promise<Report>
  /** What of it can be measured by itself. */
  readonly parts: readonly string[]
}

const benches: Readonly<Record<string, Bench>> = {
  engine: { measure: benchEngine, parts: engineParts },
  durable: { measure: benchDurable, parts: durableParts },
  spine: { measure: benchSpine, parts: spineParts },
}

const usage = 'npm run bench -- <name> [--json <file>] [--part <part>]… [--rounds <n>] [--only <name>]…'

/** See `usage`. Exit codes: 0 measured, 2 wrong use. */
async function main(): Promise<number> {
  const parsed = readArguments()
  const bench = benches[parsed?.name ?? '']
  if (!parsed || !bench) {
    console.error(`Usage: ${usage}`)
    console.error(`Benches: ${Object.keys(benches).join(', ')}`)
    return 2
  }
  const unknown = parsed.parts.filter(part => !bench.parts.includes(part))
  if (unknown.length > 0) {
    console.error(`The bench ${parsed.name} has no part ${unknown.join(', ')}. Parts: ${bench.parts.join(', ')}`)
    return 2
  }
  const report = await bench.measure(parsed)
  printReport(parsed.name, report)
  if (parsed.json !== undefined) writeRows(parsed.json, report.rows)
  return 0
}

interface Arguments extends BenchOptions {
  readonly name: string
  readonly json: string | undefined
}

function readArguments(): Arguments | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'string' },
        part: { type: 'string', multiple: true },
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
      },
    })
    const [name, ...more] = positionals
    const rounds = values.rounds === undefined ? null : Number(values.rounds)
    if (name === undefined || more.length > 0) return null
    if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0)) return null
    return { name, json: values.json, parts: values.part ?? [], only: values.only ?? [], rounds }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return null
  }
}

process.exitCode = await main()
