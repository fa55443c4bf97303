import { parseArgs } from 'node:util'
import { benchEngine } from './engine.ts'
import { printReport, writeRows, type Report } from './report.ts'

export interface BenchOptions {
  /** Only the parts of the bench with these names; all when empty. */
  readonly parts: readonly string[]
}

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<Report>>> = { engine: benchEngine }

/** `bench <name> [--json <file>] [--part <part>]…`. Exit codes: 0 measured, 2 wrong use. */
async function main(): Promise<number> {
  const parsed = readArguments()
  const bench = benches[parsed?.name ?? '']
  if (!parsed || !bench) {
    console.error('Usage: npm run bench -- <name> [--json <file>] [--part <part>]…')
    console.error(`Benches: ${Object.keys(benches).join(', ')}`)
    return 2
  }
  const report = await bench({ parts: parsed.parts })
  printReport(parsed.name, report)
  if (parsed.json !== undefined) writeRows(parsed.json, report.rows)
  return 0
}

function readArguments(): { name: string; json: string | undefined; parts: readonly string[] } | null {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'string' }, part: { type: 'string', multiple: true } },
    })
    const [name, ...more] = positionals
    return name === undefined || more.length > 0 ? null : { name, json: values.json, parts: values.part ?? [] }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    return null
  }
}

process.exitCode = await main()
