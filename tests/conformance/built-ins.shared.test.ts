import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { builtInParadigmNames, builtInParadigms } from '@slipway/engine/paradigm/built-in/paradigms'
import { asValue, callPositional, type Operand } from '@slipway/engine/paradigm/operand'
import { parseParadigm, type Paradigm } from '@slipway/engine/paradigm/paradigm'
import type { Effect, EffectOutcome } from '@slipway/engine/run/effects'
import { StepExecution } from '@slipway/engine/run/execution'
import type { Step } from '@slipway/engine/sequence/step'
import { encodeValue, fromPlain } from '@slipway/engine/value/codec'
import type { Value } from '@slipway/engine/value/value'
import { describe, expect, test } from 'vitest'

const data = join(import.meta.dirname, '../../../shared/data/normcode')
const folders = [
  'reference_paradigms',
  'assistant/provisions/paradigms',
  'formalization/provisions/paradigms',
  'gold/provision/paradigm',
].map(folder => join(data, folder))

/** The paradigm files of the reference engine and of plans, by name. */
const files = new Map(
  folders
    .filter(existsSync)
    .flatMap(folder => readdirSync(folder).map(file => [file.slice(0, -'.json'.length), join(folder, file)] as const)),
)
const names = [...files.keys()]

const input = fromPlain({
  prompt_template: 'Ask $input_1 about $input_other',
  input_1: '%a(one)',
  input_2: '{"two": 2}',
  input_10: { path: 'p', content: 'ten' },
  save_path: 'out/file.txt',
  save_dir: 'out/',
  script_location: 'scripts/x.py',
})

const model = '```json\n{"thinking": "…", "answer": {"a.txt": "A", "b.json": [1, 2.5]}}\n```'
const code = '{"answer": "def main(**inputs): return 1"}'

interface World {
  readonly exists: boolean
  readonly file?: string
  readonly model: string
  readonly answer: Value
  readonly result: Value
}

const worlds: readonly World[] = [
  { exists: true, model, answer: 'text', result: ['x', 'y'] },
  { exists: false, model, answer: ['docs/a.md', 'docs/b.md'], result: 5 },
  { exists: false, model: code, answer: true, result: fromPlain({ k: null }) },
  { exists: false, file: '{"a": [1.0, null]}', model: 'no json at all, yes', answer: null, result: null },
]

function outcomeOf(effect: Effect, world: World): EffectOutcome {
  switch (effect.type) {
    case 'model.generate':
      return { ok: true, value: world.model }
    case 'file.exists':
      return { ok: true, value: world.exists }
    case 'file.read':
      return { ok: true, value: world.file ?? 'def main(**inputs): return 2' }
    case 'file.write':
      return { ok: true, value: `/base/${effect.path}` }
    case 'script.call':
      return { ok: true, value: world.result }
    case 'input.ask':
      return { ok: true, value: world.answer }
    case 'chat.read':
      return { ok: true, value: fromPlain({ role: 'user', content: 'hello' }) }
    case 'chat.write':
      return { ok: true, value: fromPlain({ sent: true, timestamp: 'T1' }) }
    case 'canvas.execute':
      return { ok: true, value: fromPlain({ success: true, data: null }) }
    case 'chat.close':
      return { ok: true, value: fromPlain({ closed: true }) }
    default:
      return { ok: false, error: { name: 'RuntimeError', message: effect.type } }
  }
}

/** Everything that a paradigm asks for, and how it ends. */
function runOf(paradigm: Paradigm, world: World): unknown {
  const execution = new StepExecution<Operand>({ flowIndex: '1', execution: 1, seed: 's', ordered: true })
  const context = {
    dialect: '2026-01' as const,
    perception: { dialect: '2026-01' as const },
    nextSignId: execution.nextSignId,
    origins: new Map<string, string>(),
  }
  execution.start(work(paradigm, context))
  const effects: unknown[] = []
  for (;;) {
    const [request] = execution.takeRequests()
    if (request === undefined) break
    effects.push(shown(request.effect))
    execution.resolve(request.key, outcomeOf(request.effect, world))
  }
  const { end } = execution
  return {
    effects,
    end: end?.ok === false ? (end.cause as Error).name : encodeValue(asValue(end?.value, 'The result')),
  }
}

// What dicts hold is private to them, so comparing them as objects would not look into them.
function shown(effect: Effect): unknown {
  if (effect.type === 'script.call') return { ...effect, args: encodeValue(effect.args) }
  if (effect.type !== 'input.ask') return effect
  return { ...effect.interaction, options: encodeValue(effect.interaction.options) }
}

function* work(paradigm: Paradigm, context: Parameters<Paradigm['prepare']>[1]): Step<Operand> {
  const callable = yield* paradigm.prepare('Write $input_1', context)
  if (callable === null) throw new Error('The paradigm makes no function.')
  return yield* callPositional(callable, input)
}

describe.skipIf(names.length === 0)('built-in paradigms', () => {
  test('[PARADIGM-6] there is one for every file', () => {
    expect(names.filter(name => !builtInParadigmNames.includes(name))).toEqual([])
  })

  test.each(names.flatMap(name => worlds.map((world, place) => [name, place, world] as const)))(
    '[PARADIGM-6] %s does what its file says (%i)',
    (name, _place, world) => {
      const file = parseParadigm(name, readFileSync(files.get(name) ?? '', 'utf8'))
      const own = builtInParadigms.get(name)
      if (own === undefined) throw new Error('There is no such paradigm.')
      expect(runOf(own, world)).toEqual(runOf(file, world))
      expect([...own.reaches].sort()).toEqual([...file.reaches].filter(reach => reach !== 'nothing').sort())
    },
  )
})
