import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readCases, type ConformanceCase } from '@slipway/engine/conformance/cases'
import { runCompileCases, type CompileFolder } from '@slipway/engine/conformance/compile'
import { runUnits } from '@slipway/engine/conformance/units'
import type { Dialect } from '@slipway/engine/plan/dialect'
import { playCase } from './play-case.ts'
import { openScripts, type Scripts } from './scripts.ts'

/**
 * `conformance <folder> [--record <out>] [--case <name>] [--mode sequential|parallel]`: runs the cases, unit vectors
 * and compiler cases of a folder, says which levels hold, and exits with 1 when one does not.
 */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      record: { type: 'string' },
      case: { type: 'string' },
      mode: { type: 'string', default: 'sequential' },
    },
  })
  const [folder] = positionals
  if (folder === undefined) {
    console.error('Usage: npm run conformance -- <folder> [--record <out>] [--case <name>] [--mode parallel]')
    return 2
  }
  const root = resolve(folder)
  const mode = values.mode === 'parallel' ? 'parallel' : 'sequential'
  let failures = await runCases(root, { only: values.case ?? null, record: values.record ?? null, mode })
  if (values.case === undefined) failures += runUnitFiles(root) + runCompiler(root)
  console.log(failures === 0 ? 'Everything holds.' : `${failures} failed.`)
  return failures === 0 ? 0 : 1
}

interface CaseOptions {
  readonly only: string | null
  readonly record: string | null
  readonly mode: 'sequential' | 'parallel'
}

async function runCases(root: string, options: CaseOptions): Promise<number> {
  const path = join(root, 'cases.json')
  if (!existsSync(path)) return 0
  const cases = readCases(readFileSync(path, 'utf8')).filter(
    ({ name }) => options.only === null || name === options.only,
  )
  if (cases.length === 0 && options.only !== null) {
    console.log(`No case is called ${options.only}.`)
    return 1
  }
  const scripts = openScripts()
  let failures = 0
  try {
    for (const given of cases) failures += await runCase(given, { ...options, root, scripts })
  } finally {
    await scripts.close()
  }
  return failures
}

async function runCase(
  given: ConformanceCase,
  options: CaseOptions & { readonly root: string; readonly scripts: Scripts },
): Promise<number> {
  const { root, mode, scripts, record } = options
  try {
    const runScript = scripts.runnerFor(given.python)
    const { levels, recorded, end } = await playCase(given, { root, mode, runScript })
    if (record !== null) {
      mkdirSync(record, { recursive: true })
      writeFileSync(join(record, `${given.name.replaceAll(/[\\/]/g, '_')}.json`), `${recorded}\n`)
    }
    const failed = levels.filter(({ ok }) => !ok)
    const holding =
      levels.length === 0
        ? 'nothing is recorded to compare with'
        : `${levels.length - failed.length}/${levels.length} levels`
    console.log(`${failed.length === 0 ? 'ok  ' : 'FAIL'} ${given.name}: ${end}; ${holding}`)
    for (const { level, difference } of failed) console.log(`       ${level}: ${difference ?? ''}`)
    return failed.length === 0 ? 0 : 1
  } catch (error) {
    console.log(`FAIL ${given.name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    return 1
  }
}

function runUnitFiles(root: string): number {
  let failures = 0
  for (const file of filesIn(join(root, 'units'), '.json')) {
    const results = runUnits(readFileSync(join(root, 'units', file), 'utf8'), dialectOf(file))
    const failed = results.filter(({ ok }) => !ok)
    console.log(
      `${failed.length === 0 ? 'ok  ' : 'FAIL'} units/${file}: ${results.length - failed.length}/${results.length}`,
    )
    for (const { name, expected, actual } of failed) console.log(`       ${name}: ${actual} instead of ${expected}`)
    failures += failed.length
  }
  return failures
}

function dialectOf(file: string): Dialect {
  if (file.includes('head')) return '2026-01-strict'
  return file.includes('next') ? '2026-03' : '2026-01'
}

function runCompiler(root: string): number {
  const folder = join(root, 'compile')
  const micros = filesIn(folder, '.json').map(file => readFileSync(join(folder, file), 'utf8'))
  const snippets = micros.flatMap(text => JSON.parse(text) as unknown[])
  const results = runCompileCases(snippets, compileFolders(folder))
  const failed = results.filter(({ differences }) => differences.length > 0)
  if (results.length > 0) {
    console.log(`${failed.length === 0 ? 'ok  ' : 'FAIL'} compile: ${results.length - failed.length}/${results.length}`)
  }
  for (const { name, differences } of failed) console.log(`       ${name}: ${differences.join('; ')}`)
  return failed.length
}

function compileFolders(folder: string): CompileFolder[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter(name => statSync(join(folder, name)).isDirectory() && existsSync(join(folder, name, 'source.pf.ncd')))
    .map(name => {
      const text = (file: string): string | null => {
        const path = join(folder, name, file)
        return existsSync(path) ? readFileSync(path, 'utf8') : null
      }
      return {
        name,
        source: text('source.pf.ncd') ?? '',
        nci: text('expected.nci.json'),
        concepts: text('expected.concept_repo.json'),
        inferences: text('expected.inference_repo.json'),
      }
    })
}

function filesIn(folder: string, ending: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder)
        .filter(file => file.endsWith(ending))
        .sort()
    : []
}

process.exitCode = await main()
