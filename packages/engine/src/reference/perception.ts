import { behaviours, type Dialect } from '#run/dialect'
import type { Effect, EffectOutcome } from '#run/effects'
import { literalOrText } from '../value/literal-eval.ts'
import { readJson } from '../value/json-read.ts'
import { str } from '../value/python-repr.ts'
import { PyDict, type Value } from '../value/value.ts'
import { decodeSign, type Sign } from './sign.ts'

export interface PerceptionContext {
  readonly dialect: Dialect
  /** Whether the signifier of a sign without a norm is read as a Python literal; the dialect decides otherwise. */
  readonly literalUntypedSigns?: boolean
}

export type Perceiving = Generator<Effect, Value, EffectOutcome>

/** The value of a sign, for which files may be read; anything else is its own value. Failures become text, never throw. */
export function* perceive(value: Value, context: PerceptionContext): Perceiving {
  const sign = typeof value === 'string' ? decodeSign(value) : null
  if (sign === null) return value
  switch (sign.norm) {
    case 'file_location':
      return textOf(yield { type: 'file.read', path: sign.signifier })
    case 'prompt_location':
      return yield* readPrompt(sign.signifier)
    case 'prompt':
      return yield* readPromptOrText(sign.signifier)
    case 'memorized_parameter':
      return yield* recall(sign.signifier)
    default:
      return perceivePlain(sign, context)
  }
}

/** A value under a key, in the text form in which it travels to the inputs of a step. */
export function keyed(key: string, content: string): string {
  return `{%{${key}}: ${content}}`
}

const KEYED = /^\{%\{([A-Za-z0-9_]+)\}: ?/

/** The key and content of such a text, `null` for any other. */
export function readKeyed(value: Value): { readonly key: string; readonly content: string } | null {
  if (typeof value !== 'string' || !value.startsWith('{%{') || !value.endsWith('}')) return null
  const match = KEYED.exec(value)
  if (match === null) return null
  return { key: match[1] ?? '', content: value.slice(match[0].length, -1) }
}

function perceivePlain(sign: Sign, context: PerceptionContext): Value {
  switch (sign.norm) {
    case 'script_location':
    case 'generated_script_path':
      return keyed('script_location', sign.signifier)
    case 'save_path':
    case 'save_dir':
      return keyed(sign.norm, sign.signifier)
    case null:
    case 'literal':
      return (context.literalUntypedSigns ?? behaviours[context.dialect].literalUntypedSigns)
        ? literalOrText(sign.signifier)
        : sign.signifier
    default:
      return sign.signifier
  }
}

function* readPrompt(path: string): Perceiving {
  const outcome = yield { type: 'file.read', path }
  return outcome.ok ? keyed('prompt_template', str(outcome.value)) : `ERROR: ${outcome.error.message}`
}

function* readPromptOrText(signifier: string): Perceiving {
  const known = yield { type: 'file.exists', path: signifier }
  if (!known.ok || known.value !== true) return keyed('prompt_template', signifier)
  const outcome = yield { type: 'file.read', path: signifier }
  return keyed('prompt_template', outcome.ok ? str(outcome.value) : signifier)
}

function* recall(signifier: string): Perceiving {
  const { key, location } = memoryAddress(signifier)
  const outcome = yield { type: 'file.read', path: location }
  if (!outcome.ok) return outcome.error.message
  try {
    const memory = readJson(str(outcome.value))
    const value = memory instanceof PyDict ? memory.get(key) : undefined
    return value === undefined ? `Key '${key}' not found in ${location}` : value
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function memoryAddress(signifier: string): { key: string; location: string } {
  try {
    const address = readJson(signifier)
    const key = address instanceof PyDict ? address.get('key') : undefined
    const location = address instanceof PyDict ? address.get('location') : undefined
    if (typeof key === 'string') return { key, location: typeof location === 'string' ? location : 'memorized.json' }
  } catch {
    // The signifier is the key itself.
  }
  return { key: signifier, location: 'memorized.json' }
}

function textOf(outcome: EffectOutcome): Value {
  return outcome.ok ? outcome.value : outcome.error.message
}
