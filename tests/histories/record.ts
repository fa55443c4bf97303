// Records histories of runs: `node tests/histories/record.ts` writes those that are missing, and with names of files
// (without `.json`) those again. A history that no longer replays is not recorded again without a reason: it stands for
// runs that somebody has.
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  outcomeOf,
  replayHistory,
  writeCommand,
  writeOutcome,
  type History,
  type HistoryInput,
  type HistoryPlan,
} from '@slipway/engine/histories/history'
import { format } from 'prettier'
import { loadPlan } from '@slipway/engine/plan/manifest'
import { encodeReference, encodeSnapshot } from '@slipway/engine/run/codec'
import type { Command } from '@slipway/engine/run/commands'
import type { EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { programFrom, sourceOf, type PlanSource } from '@slipway/engine/run/plan.fixture'
import { Told } from '@slipway/engine/run/playing.fixture'
import { steer } from '@slipway/engine/run/random-commands.test-data'
import { Choices, randomPlan } from '@slipway/engine/run/random-plan.test-data'
import { Run, type RunInput } from '@slipway/engine/run/run'
import { echo } from '@slipway/engine/run/sketches.fixture'
import { encodeValue } from '@slipway/engine/value/codec'
import { examplePackage } from '../../examples/testbed.ts'
import { fileEffect } from '../conformance/play-case.ts'
import { openScripts } from '../conformance/scripts.ts'
import { randomNumbers, randomSeeds, recipes, type Recipe } from './recipes.ts'

const folder = join(import.meta.dirname, '../../packages/engine/src/histories')
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 12)

type Unfinished = Omit<History, 'led'>

interface Recorded extends Unfinished {
  /** Each with the number of inputs that are in it. */
  readonly snapshots: readonly { readonly text: string; readonly inputs: number }[]
}

async function ofRecipe(recipe: Recipe): Promise<Unfinished> {
  const source = sourceOf(recipe.sketch)
  const { mode, maxCycles = 50 } = recipe
  const run = new Run(programFrom(source), { mode, maxCycles, seed: recipe.name, inputs: new Map() })
  const journal: HistoryInput[] = []
  const told = new Told()
  const give = (command: Command): void => {
    const refusal = run.command(command)
    if (refusal !== null) throw new Error(refusal.message)
    journal.push(['command', run.starts, writeCommand(command)])
    told.drop(run)
  }
  for (const command of recipe.before ?? []) give(command)
  const commands = [...(recipe.commands ?? [])]
  for (;;) {
    run.requestSnapshot()
    const { end, held } = told.take(run)
    const command = end === null && held === null ? undefined : commands.shift()
    if (command !== undefined) give(command({ run, snapshots: told.snapshots }))
    else if (end !== null) break
    else await answerNext(run, { told, journal }, recipe.answers ?? echo)
  }
  return {
    about: recipe.about,
    plan: planOf(source),
    run: { mode, maxCycles, seed: recipe.name, inputs: {}, from: null },
    journal,
  }
}

async function answerNext(
  run: Run,
  { told, journal }: { readonly told: Told; readonly journal: HistoryInput[] },
  answers: (request: EffectRequest) => EffectOutcome | Promise<EffectOutcome>,
): Promise<void> {
  const request = told.waiting.shift()
  if (request === undefined) throw new Error('The run waits for nothing.')
  const outcome = await answers(request)
  journal.push(writeOutcome(request.key, outcome))
  run.resolve(request.key, outcome)
}

async function ofRandomPlan(seed: number, place: number): Promise<Unfinished> {
  const mode = place % 2 === 0 ? 'sequential' : 'parallel'
  const [, ...numbers] = randomNumbers(seed, 60)
  const source = sourceOf(randomPlan([Math.floor(place / 2) % 3, ...numbers]))
  const run = new Run(programFrom(source), { mode, maxCycles: 40, seed: String(seed), inputs: new Map() })
  const steered = steer(run, new Choices(randomNumbers(seed + 1, 300)), { most: place < 6 ? 0 : 6 })
  const journal = steered.journal.map((input): HistoryInput =>
    input.type === 'command'
      ? ['command', input.starts, writeCommand(input.command)]
      : writeOutcome(input.key, input.outcome),
  )
  const about = `A random plan${place < 6 ? '' : ' that somebody steers'}.`
  const options = { mode, maxCycles: 40, seed: String(seed), inputs: {}, from: null } as const
  return Promise.resolve({ about, plan: planOf(source), run: options, journal })
}

function planOf({ concepts, inferences, dialect, paradigms }: PlanSource): HistoryPlan {
  return { concepts, inferences, dialect, paradigms: Object.fromEntries(paradigms) }
}

async function ofExample(
  name: string,
  mode: 'sequential' | 'parallel',
  inputs: ReadonlyMap<string, RunInput>,
): Promise<Recorded> {
  const files = await examplePackage(name)
  const loaded = loadPlan(files)
  if (!loaded.ok) throw new Error(`The example ${name} cannot be loaded.`)
  const text = (path: string): string => new TextDecoder().decode(files.get(path))
  const source: PlanSource = {
    concepts: text('concept_repo.json'),
    inferences: text('inference_repo.json'),
    dialect: loaded.plan.dialect,
    paradigms: loaded.plan.paradigms,
  }
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-history-')))
  const scripts = openScripts()
  try {
    cpSync(join(import.meta.dirname, '../../examples/plans', name), scratch, { recursive: true })
    const runScript = scripts.runnerFor('auto')
    const run = new Run(programFrom(source), { mode, maxCycles: 500, seed: name, inputs })
    const journal: HistoryInput[] = []
    const told = new Told()
    const snapshots: { readonly text: string; readonly inputs: number }[] = []
    for (;;) {
      run.requestSnapshot()
      const { end, snapshot } = told.take(run)
      if (snapshot !== null) {
        const kept = encodeSnapshot(snapshot, encodeReference).replaceAll(scratch, '/plan')
        snapshots.push({ text: kept, inputs: journal.length })
      }
      if (end !== null) break
      await answerNext(run, { told, journal }, async ({ effect }) => {
        if (effect.type === 'model.generate') return { ok: true, value: answerOf(effect.prompt) }
        if (effect.type === 'input.ask') return { ok: true, value: 'Call them back within the hour.' }
        if (effect.type === 'file.read' || effect.type === 'file.exists' || effect.type === 'file.write')
          return fileEffect(effect, scratch)
        if ((effect.type === 'script.call' || effect.type === 'script.execute') && runScript)
          return runScript(effect, scratch)
        throw new Error(`Nobody answers ${effect.type}.`)
      })
    }
    const written = [...inputs].map(([input, { data, axes }]) => [input, [encodeValue(data), axes]] as const)
    return {
      about: `The example ${name}.`,
      plan: planOf(source),
      run: { mode, maxCycles: 500, seed: name, inputs: Object.fromEntries(written), from: null },
      journal: journal.map(input => withoutFolder(input, scratch)),
      snapshots,
    }
  } finally {
    await scripts.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

function withoutFolder(input: HistoryInput, path: string): HistoryInput {
  if (input[0] !== 'outcome') return input
  return [input[0], input[1], input[2].replaceAll(path, '/plan')]
}

// What a model might say; it only has to be the same each time.
function answerOf(prompt: string): string {
  const result = prompt.includes('true|false') ? prompt.length % 2 === 0 : `An answer to ${prompt.length} characters.`
  return JSON.stringify({ thinking: 'It is as it is.', result })
}

/** The second half of a history, which begins with a snapshot that the first half left. */
function fromTheMiddle(whole: Recorded): Unfinished {
  const half = Math.floor(whole.journal.length / 2)
  const found = whole.snapshots.find(({ inputs }) => inputs >= half)
  if (found === undefined) throw new Error('There is no snapshot in the second half.')
  const { about, plan, run, journal } = whole
  return {
    about: `${about} It begins in the middle.`,
    plan,
    run: { ...run, from: found.text },
    journal: journal.slice(found.inputs),
  }
}

const documentInputs = new Map<string, RunInput>([
  ['{raw document}', { data: textOfDemo('document-analysis', 'raw document'), axes: null }],
])
const triageInputs = new Map<string, RunInput>([
  ['{message}', { data: 'Nobody can log in since noon, and our shop is closed because of that!', axes: null }],
])
const additionInputs = new Map<string, RunInput>([
  ['{first number}', { data: '90807', axes: null }],
  ['{second number}', { data: '4568', axes: null }],
])

function textOfDemo(example: string, input: string): string {
  const path = join(import.meta.dirname, '../../examples/plans', example, 'demo-inputs.json')
  const texts = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>
  return texts[input] ?? ''
}

const made = new Map<string, () => Promise<Unfinished>>()
for (const recipe of recipes) made.set(recipe.name, () => ofRecipe(recipe))
for (const [place, seed] of randomSeeds.entries()) made.set(`random-${seed}`, () => ofRandomPlan(seed, place))
made.set('document-analysis', () => ofExample('document-analysis', 'parallel', documentInputs))
made.set('triage', () => ofExample('triage', 'sequential', triageInputs))
made.set('long-addition', () => ofExample('long-addition', 'sequential', additionInputs))
made.set('long-addition-from-the-middle', async () =>
  fromTheMiddle(await ofExample('long-addition', 'parallel', additionInputs)),
)

const wanted = process.argv.slice(2)
for (const [name, make] of made) {
  const path = join(folder, `${name}.json`)
  if (wanted.length > 0 ? !wanted.includes(name) : existsSync(path)) continue
  const { about, plan, run, journal } = await make()
  const unfinished = {
    about,
    plan,
    run,
    journal,
    led: { records: [], events: '', effects: '', end: '', cycle: 0, finals: '' },
  }
  const history: History = { ...unfinished, led: outcomeOf(replayHistory(unfinished), digest) }
  writeFileSync(path, await format(JSON.stringify(history), { parser: 'json', printWidth: 120 }))
  console.log(`${name}: ${history.journal.length} inputs, ${history.led.records.length} records, ${history.led.end}`)
}
// A sandbox may leave a process behind that waits for work.
process.exit()
