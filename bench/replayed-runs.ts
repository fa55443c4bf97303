import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { readCases, type ConformanceCase } from '@slipway/engine/conformance/cases'
import type { World } from '@slipway/engine/conformance/recording'
import { inputsOf } from '@slipway/engine/plan/inputs'
import { loadPlan } from '@slipway/engine/plan/manifest'
import type { EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { prepareProgram, type Program } from '@slipway/engine/run/program'
import { Run, type RunInput, type RunOptions } from '@slipway/engine/run/run'
import { readJson } from '@slipway/engine/value/json-read'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { KeyedWorld, type KeyedWorldOptions } from '../tests/conformance/keyed-world.ts'
import { fileEffect, fillFolder, openRun, readGolden } from '../tests/conformance/play-case.ts'
import { openScripts } from '../tests/conformance/scripts.ts'
import { rowOf, type Peer, type Report, type Row } from './report.ts'
import { rounds } from './rounds.ts'

type FileEffect = Parameters<KeyedWorldOptions['files']>[0]

const data = '../shared/data/normcode'
const roundMs = 1500
const roundCount = 7

/** A plan whose outside world was recorded once: every outcome under the key of its effect. */
interface Recorded {
  readonly program: Program
  readonly options: RunOptions
  readonly outcomes: ReadonlyMap<string, EffectOutcome>
  readonly executions: number
}

/** Executions per second of the engine alone: every answer of the outside is there at once, nothing is stored. */
export async function benchReplayedRuns(): Promise<Pick<Report, 'rows' | 'left'>> {
  const rows: Row[] = []
  const left: string[] = []
  rows.push(...(await replayBoth('long-addition, two 12-digit numbers', recordLongAddition)))
  if (!existsSync(data)) return { rows, left: [`addition and gold (there is no ${data} here)`] }
  rows.push(...(await replayBoth('addition, 123 + 98', mode => recordAddition(['123', '98'], mode), peer(1362))))
  rows.push(
    ...(await replayBoth('addition, two 12-digit numbers', mode => recordAddition(twelveDigits, mode), peer(1207))),
  )
  rows.push(...(await replayBoth('gold', mode => recordCase('gold_en_all_bullish.head', mode), peer(414))))
  return { rows, left }
}

const twelveDigits = ['123456789012', '987654321098'] as const

function peer(value: number): Peer {
  return { name: 'reference engine (recorded, two cores)', value }
}

type Mode = RunOptions['mode']

async function replayBoth(what: string, record: (mode: Mode) => Promise<Recorded>, against?: Peer): Promise<Row[]> {
  const rows: Row[] = []
  for (const mode of ['sequential', 'parallel'] as const) {
    const recorded = await record(mode)
    for (const start = performance.now(); performance.now() - start < roundMs;) replay(recorded)
    const figures = await rounds(roundCount, () => executionsPerSecond(recorded))
    rows.push(
      rowOf(`engine steps per second, ${what}, ${mode}`, {
        unit: 'executions/s',
        rounds: figures,
        better: 'higher',
        peer: against,
        note: `${recorded.executions} executions and ${recorded.outcomes.size} effects a run`,
      }),
    )
  }
  return rows
}

function executionsPerSecond(recorded: Recorded): number {
  const start = performance.now()
  let executions = 0
  let ms = 0
  while (ms < roundMs) {
    executions += replay(recorded)
    ms = performance.now() - start
  }
  return (executions / ms) * 1000
}

/** Plays a run from its recorded outcomes and gives its number of executions. */
export function replay({ program, options, outcomes, executions }: Recorded): number {
  const run = new Run(program, options)
  const waiting: EffectRequest[] = []
  let next = 0
  for (;;) {
    const progress = run.advance()
    for (const request of progress.effects) waiting.push(request)
    if (progress.end !== null) break
    const request = waiting[next++]
    if (request === undefined) break
    const outcome = outcomes.get(request.key)
    if (outcome === undefined) throw new Error(`Nothing is recorded for ${request.key}.`)
    run.resolve(request.key, outcome)
  }
  if (run.tracker.totalExecutions !== executions) throw new Error('The replay is not the run that was recorded.')
  return executions
}

async function record(run: Run, options: RunOptions, world: World): Promise<Recorded> {
  const outcomes = new Map<string, EffectOutcome>()
  const waiting: EffectRequest[] = []
  for (;;) {
    const progress = run.advance()
    waiting.push(...progress.effects)
    const request = waiting.shift()
    if (progress.end !== null) break
    if (request === undefined) throw new Error('The run waits for nothing and has not ended.')
    const outcome = await world.perform(request)
    outcomes.set(request.key, outcome)
    run.resolve(request.key, outcome)
  }
  if (run.end?.status !== 'completed') throw new Error(`The run to record did not complete: ${run.end?.reason}`)
  return { program: run.program, options, outcomes, executions: run.tracker.totalExecutions }
}

async function recordLongAddition(mode: Mode): Promise<Recorded> {
  const source = 'examples/plans/long-addition'
  const loaded = loadPlan(filesOf(source))
  if (!loaded.ok) throw new Error('The example plan long-addition cannot be loaded.')
  const [first, second] = twelveDigits
  const inputs = new Map<string, RunInput>([
    ['{first number}', { data: first, axes: null }],
    ['{second number}', { data: second, axes: null }],
  ])
  const options: RunOptions = { mode, maxCycles: 100_000, seed: 'bench', inputs }
  using scratch = new Scratch(source)
  cpSync(source, scratch.folder, { recursive: true })
  return await recordWithScripts(new Run(prepareProgram(loaded.plan), options), options, scratch.folder)
}

function recordAddition([first, second]: readonly [string, string], mode: Mode): Promise<Recorded> {
  const pair = `{"{number pair}": {"data": [["%(${first})", "%(${second})"]], "axes": ["number pair", "number"]}}`
  return recordCase('addition_123_98.legacyfix', mode, readJson(pair))
}

async function recordCase(name: string, mode: Mode, inputs?: Value): Promise<Recorded> {
  const found = readCases(readFileSync(join(data, 'cases.json'), 'utf8')).find(candidate => candidate.name === name)
  if (!found) throw new Error(`There is no case ${name}.`)
  const given: ConformanceCase = inputs instanceof PyDict ? { ...found, inputs } : found
  const golden = given.golden === null ? null : readGolden(join(data, given.golden))
  using scratch = new Scratch(given.baseDir)
  fillFolder(scratch.folder, given, { root: data, golden })
  const { program } = openRun(given, { root: data })
  const supplied = inputsOf(given.inputs, { path: 'inputs', problems: [] })
  const options: RunOptions = { mode, maxCycles: given.maxCycles, seed: name, inputs: supplied }
  const run = new Run(program, options)
  if (given.python !== 'replay') return await recordWithScripts(run, options, scratch.folder)
  if (golden === null) throw new Error(`The case ${name} has no recorded answers.`)
  const files = (effect: FileEffect): EffectOutcome => fileEffect(effect, scratch.folder)
  return await record(run, options, new KeyedWorld({ given, golden, baseDir: scratch.folder, files }))
}

/** Records with files and scripts for real. */
async function recordWithScripts(run: Run, options: RunOptions, folder: string): Promise<Recorded> {
  const scripts = openScripts()
  const runScript = scripts.runnerFor('auto')
  try {
    return await record(run, options, {
      perform: ({ effect }) => {
        if (effect.type === 'script.call' || effect.type === 'script.execute') {
          if (runScript) return runScript(effect, folder)
        } else if (effect.type === 'file.read' || effect.type === 'file.exists' || effect.type === 'file.write') {
          return fileEffect(effect, folder)
        }
        throw new Error(`The plan needs ${effect.type}, which this bench does not have.`)
      },
    })
  } finally {
    await scripts.close()
  }
}

function filesOf(folder: string): Map<string, Uint8Array> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = paths.filter(path => statSync(join(folder, path)).isFile())
  return new Map(files.map(path => [path.replaceAll('\\', '/'), readFileSync(join(folder, path))]))
}

/** A folder that a run may write to; gone afterwards. */
class Scratch implements Disposable {
  readonly folder: string
  readonly #root = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-bench-')))

  constructor(name: string) {
    this.folder = join(this.#root, basename(name))
  }

  [Symbol.dispose](): void {
    rmSync(this.#root, { recursive: true, force: true })
  }
}
