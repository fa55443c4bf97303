import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { readCases, type ConformanceCase } from '@slipway/engine/conformance/cases'
import { normalText } from '@slipway/engine/conformance/normal-form'
import { packPlan } from '@slipway/engine/plan/pack'
import { toPlain } from '@slipway/engine/value/codec'
import { isList, PyDict, type Value } from '@slipway/engine/value/value'
import { fillFolder, readGolden } from '../conformance/play-case.ts'
import { repository } from '../testbed/slipway.ts'
import type { Answerer } from './model-world.ts'
import { filesBelow, type StormPlan } from './storm-plans.ts'

const root = join(repository, '../shared/data/normcode')
const file = join(root, 'cases.json')

export const hasRecordedPlans = existsSync(file)

/** Real plans whose models, scripts and people answer what was recorded. */
export function recordedPlans(): StormPlan[] {
  const names = ['gold', 'addition_9_1', 'formalization', 'chat', 'phase_1', 'experiment_5.2']
  return readCases(readFileSync(file, 'utf8'))
    .filter(({ name, golden }) => golden !== null && names.some(start => name.startsWith(start)))
    .map(recordedPlan)
}

function recordedPlan(given: ConformanceCase): StormPlan {
  const golden = readGolden(join(root, given.golden ?? ''))
  if (golden === null) throw new Error(`Nothing is recorded for ${given.name}.`)
  const answers = dicts(golden, 'user_inputs').map(call => call.get('answer') ?? null)
  const chat = given.chatMessages.map(message => toPlain(message))
  const people = answers.map(answer => toPlain(answer))
  return {
    id: given.name,
    package: packageOf(given, golden),
    inputs: toPlain(given.inputs) as Record<string, unknown>,
    answer: recordedAnswers(golden),
    say: ({ type }, place) => {
      const said = (type === 'chat' ? chat : people)[place]
      return typeof said === 'string' || typeof said === 'boolean' || Array.isArray(said) ? (said as string) : ''
    },
  }
}

function packageOf(given: ConformanceCase, golden: PyDict): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-recorded-'))
  try {
    fillFolder(folder, given, { root, golden })
    const files = filesBelow(folder)
    leaveOutOtherPlans(files)
    const inside = (path: string): string => relative(given.baseDir, path).replaceAll('\\', '/')
    const manifest = {
      name: given.name,
      version: '1.0.0',
      dialect: given.dialect,
      max_cycles: given.maxCycles,
      entry: { concepts: inside(given.concepts), inferences: inside(given.inferences) },
      ...(given.paradigms !== null && { provisions: { paradigms: inside(given.paradigms) } }),
    }
    const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
    for (const [path, content] of files) {
      if (Buffer.from(content).toString().startsWith('# Stands in for'))
        files.set(path, bytes(standIn(dicts(golden, 'python_calls'))))
    }
    files.set('manifest.json', bytes(JSON.stringify(manifest)))
    return packPlan(files)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

// A folder may hold the same plan once more, packed for another program.
function leaveOutOtherPlans(files: Map<string, Uint8Array>): void {
  for (const path of [...files.keys()].filter(name => name.endsWith('/manifest.json'))) {
    if (!Buffer.from(files.get(path) ?? []).includes('"entry"')) continue
    for (const name of [...files.keys()])
      if (name.startsWith(path.slice(0, -'manifest.json'.length))) files.delete(name)
  }
}

/** A script that gives what was recorded for its inputs, or for those that are most like them. */
function standIn(calls: readonly PyDict[]): string {
  const table = calls.map(call => [toPlain(call.get('inputs') ?? null), call.get('result_repr') ?? 'None'])
  return `import ast, difflib, json

TABLE = json.loads(${JSON.stringify(JSON.stringify(table))})

def text(inputs):
    return json.dumps(inputs, sort_keys=True, default=str)

def main(**given):
    asked = text({name: value for name, value in given.items() if name.startswith("input_")})
    exact = [result for inputs, result in TABLE if text(inputs) == asked]
    if exact:
        return ast.literal_eval(exact[0])
    like = lambda row: difflib.SequenceMatcher(None, text(row[0]), asked, autojunk=False).quick_ratio()
    return ast.literal_eval(max(TABLE, key=like)[1])
`
}

// Paths and replies of tools differ from where it was recorded: then the prompt that has most words in common counts.
function recordedAnswers(golden: PyDict): Answerer {
  const normal = (prompt: string): string => normalText(prompt, { baseDir: '<BASE>' })
  const recorded = dicts(golden, 'llm_calls').map(call => {
    const prompt = normal(textOf(call.get('prompt')))
    return { prompt, words: wordsOf(prompt), response: textOf(call.get('response')) }
  })
  return asked => {
    const prompt = normal(asked)
    const exact = recorded.find(call => call.prompt === prompt)
    if (exact) return exact.response
    const words = wordsOf(prompt)
    const likeness = recorded.map(call => words.intersection(call.words).size / words.union(call.words).size)
    return recorded[likeness.indexOf(Math.max(...likeness))]?.response ?? ''
  }
}

function wordsOf(text: string): Set<string> {
  return new Set(text.split(/\W+/))
}

function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : ''
}

function dicts(golden: PyDict, key: string): PyDict[] {
  const found = golden.get(key)
  return isList(found) ? found.filter(call => call instanceof PyDict) : []
}
