import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { textsOf, type ConformanceCase } from '@slipway/engine/conformance/cases'
import { compareRecordings, type LevelResult } from '@slipway/engine/conformance/compare'
import { normalValue } from '@slipway/engine/conformance/normal-form'
import { recordedCase } from '@slipway/engine/conformance/recorded-case'
import { playAndRecord, type ScriptDigest } from '@slipway/engine/conformance/recording'
import { ScriptedWorld } from '@slipway/engine/conformance/scripted-world'
import { asDialect, detectDialect } from '@slipway/engine/plan/dialect'
import { provisionCandidates } from '@slipway/engine/plan/provisions'
import { parseConceptRepo, parseInferenceRepo } from '@slipway/engine/plan/repositories'
import type { Effect, EffectOutcome } from '@slipway/engine/run/effects'
import { prepareProgram } from '@slipway/engine/run/program'
import { Run, type RunInput, type RunOptions } from '@slipway/engine/run/run'
import { readJson } from '@slipway/engine/value/json-read'
import { dumpJson } from '@slipway/engine/value/json-write'
import { PyDict, isList, type Value } from '@slipway/engine/value/value'

export type ScriptRunner = (effect: ScriptEffect, folder: string) => Promise<EffectOutcome>
type ScriptEffect = Extract<Effect, { readonly type: 'script.call' | 'script.execute' }>
type FileEffect = Extract<Effect, { readonly type: 'file.read' | 'file.exists' | 'file.write' }>

export interface PlayOptions {
  /** The folder that the paths of cases start from. */
  readonly root: string
  readonly mode?: RunOptions['mode']
  /** Runs the scripts of cases that bring them; without it their recorded answers are given. */
  readonly runScript?: ScriptRunner | undefined
}

export interface PlayedCase {
  readonly levels: readonly LevelResult[]
  /** What happened, in the form of recorded results. */
  readonly recorded: string
  readonly end: string
  readonly unexpectedPrompts: readonly string[]
}

/** Plays one case on a scratch copy of its folder and compares it with what was recorded, if anything was. */
export async function playCase(given: ConformanceCase, options: PlayOptions): Promise<PlayedCase> {
  const golden = given.golden === null ? null : readGolden(join(options.root, given.golden))
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-case-')))
  const folder = join(scratch, basename(given.baseDir))
  try {
    fillFolder(folder, given, { root: options.root, golden })
    const run = openRun(given, options)
    const runScript = given.python === 'replay' ? undefined : options.runScript
    const world = new ScriptedWorld({
      given,
      golden,
      baseDir: folder,
      files: effect => fileEffect(effect, folder),
      scripts: runScript ? effect => runScript(effect, folder) : null,
    })
    const recording = await playAndRecord(run, world, scriptDigest(given, golden))
    const readFile = (path: string): string | null => textAt(join(folder, path))
    const recorded = recordedCase(recording, {
      given,
      fixtureFiles: textsOf(golden?.get('fixture_files')),
      files: writtenTexts(recording.writtenFiles.keys(), folder),
    })
    const written = [...recording.writtenFiles.values()]
    const levels = golden === null ? [] : compareRecordings({ golden, recorded, baseDir: folder, readFile, written })
    return {
      levels,
      recorded: dumpJson(normalValue(recorded, { baseDir: folder }), { indent: 1, ascii: false }),
      end: run.end === null ? 'waits for an answer that is not recorded' : (run.end.reason ?? run.end.status),
      unexpectedPrompts: world.unexpectedPrompts,
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

// The scripts of a replayed case are not there: theirs is the digest that was recorded.
function scriptDigest(given: ConformanceCase, golden: PyDict | null): ScriptDigest {
  const recorded = golden?.get('python_calls')
  return (code, place) => {
    const call = given.python === 'replay' && isList(recorded) ? recorded[place] : undefined
    const digest = call instanceof PyDict ? call.get('script_sha256') : undefined
    return typeof digest === 'string' ? digest : createHash('sha256').update(code).digest('hex')
  }
}

function writtenTexts(paths: Iterable<string>, folder: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const path of paths) {
    const text = textAt(resolve(folder, path))
    if (text !== null) texts.set(relative(folder, resolve(folder, path)).replaceAll('\\', '/'), text)
  }
  return texts
}

/** A run of a case's plan, ready to be played. */
export function openRun(given: ConformanceCase, { root, mode = 'sequential' }: PlayOptions): Run {
  const conceptText = readFileSync(join(root, given.concepts), 'utf8')
  const inferenceText = readFileSync(join(root, given.inferences), 'utf8')
  const dialect = asDialect(given.dialect) ?? detectDialect(dictsOf(conceptText), dictsOf(inferenceText)) ?? '2026-01'
  const concepts = parseConceptRepo(conceptText)
  const inferences = parseInferenceRepo(inferenceText, { dialect })
  const program = prepareProgram({
    concepts: concepts.entries,
    inferences: inferences.entries,
    dialect,
    paradigms: given.paradigms === null ? new Map() : paradigmTexts(join(root, given.paradigms)),
  })
  return new Run(program, {
    mode,
    maxCycles: given.maxCycles,
    seed: given.name,
    inputs: inputsOf(suppliedInputs(given, root)),
  })
}

function dictsOf(text: string): PyDict[] {
  const entries = readJson(text)
  return isList(entries) ? entries.filter(entry => entry instanceof PyDict) : []
}

function suppliedInputs(given: ConformanceCase, root: string): PyDict {
  if (given.inputsFile === null) return given.inputs
  const inputs = readJson(readFileSync(join(root, given.inputsFile), 'utf8'))
  return inputs instanceof PyDict ? inputs : new PyDict()
}

export function readGolden(path: string): PyDict | null {
  if (!existsSync(path)) return null
  const golden = readJson(readFileSync(path, 'utf8'))
  return golden instanceof PyDict ? golden : null
}

function paradigmTexts(folder: string): Map<string, string> {
  if (!existsSync(folder)) return new Map()
  const files = readdirSync(folder).filter(file => file.endsWith('.json'))
  return new Map(files.map(file => [file.slice(0, -'.json'.length), readFileSync(join(folder, file), 'utf8')]))
}

function inputsOf(inputs: PyDict): Map<string, RunInput> {
  const entries = [...inputs.entries()].flatMap(([name, value]) =>
    typeof name === 'string' && !name.startsWith('_') ? [[name, inputOf(value)] as const] : [],
  )
  return new Map(entries)
}

function inputOf(value: Value): RunInput {
  if (!(value instanceof PyDict) || !value.has('data')) return { data: value, axes: null }
  const axes = value.get('axes')
  const named = isList(axes) && axes.every(axis => typeof axis === 'string') ? axes : null
  return { data: value.get('data') ?? null, axes: named }
}

export function fillFolder(
  folder: string,
  given: ConformanceCase,
  { root, golden }: { readonly root: string; readonly golden: PyDict | null },
): void {
  cpSync(join(root, given.baseDir), folder, { recursive: true })
  const fixtures = new Map([...textsOf(golden?.get('fixture_files')), ...given.files])
  for (const [path, text] of fixtures) writeText(join(folder, path), text)
  if (given.python !== 'replay') return
  // The scripts are not there, but a step looks for them before it calls them.
  const named = readFileSync(join(root, given.concepts), 'utf8').matchAll(/%(?:\{\w+\})?\w*\(([^()"]+\.py)\)/g)
  for (const [, path = ''] of named) {
    const target = join(folder, path.replaceAll('\\\\', '/'))
    if (!existsSync(target)) writeText(target, `# Stands in for ${path}\n`)
  }
}

function writeText(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function textAt(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null
}

export function fileEffect(effect: FileEffect, folder: string): EffectOutcome {
  const paths = isAbsolute(effect.path)
    ? [effect.path]
    : [effect.path, ...provisionCandidates({ baseDir: '', provisionDirs: new Map() }, effect.path)].map(path =>
        resolve(folder, path),
      )
  const found = paths.find(path => isInside(path, folder) && existsSync(path))
  const target = found ?? paths[0] ?? folder
  if (effect.type === 'file.exists') return { ok: true, value: found !== undefined }
  if (!isInside(target, folder)) {
    return { ok: false, error: { name: 'PermissionError', message: `Outside of the plan's folder: ${effect.path}` } }
  }
  try {
    if (effect.type === 'file.read') return readText(found, target)
    writeText(target, effect.content)
    return { ok: true, value: target }
  } catch (error) {
    return { ok: false, error: { name: 'OSError', message: error instanceof Error ? error.message : String(error) } }
  }
}

function readText(found: string | undefined, target: string): EffectOutcome {
  if (found === undefined) {
    return { ok: false, error: { name: 'FileNotFoundError', message: `File not found at ${target}` } }
  }
  return { ok: true, value: readFileSync(found, 'utf8') }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way === '' || (!way.startsWith('..') && !isAbsolute(way))
}
