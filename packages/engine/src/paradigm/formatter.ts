import { encodeSign } from '#reference/sign'
import { behaviours, type Dialect } from '#run/dialect'
import { JsonError, readJson } from '#value/json-read'
import { literalEval } from '#value/literal-eval'
import { repr, str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import { strip } from '#value/text'
import { isTruthy } from '#value/truth'
import { isList, PyDict, PyError, PyFloat, typeName, type Value } from '#value/value'

/** The entry of a dict, or `fallback` when it has none. */
export function getEntry(dictionary: Value, key: Value, fallback: Value = null): Value {
  if (!(dictionary instanceof PyDict)) {
    throw new PyError('AttributeError', `'${typeName(dictionary)}' object has no attribute 'get'`)
  }
  const entry = dictionary.get(key)
  return entry === undefined ? fallback : entry
}

/** The value as a sign of this norm. */
export function wrap(value: Value, norm: string | null, nextId: () => string): string {
  return encodeSign(value, norm, nextId())
}

/** Each item of a list as a sign; anything else as it is. */
export function wrapList(value: Value, norm: string | null, nextId: () => string): Value {
  return isList(value) ? value.map(item => wrap(item, norm, nextId)) : value
}

/** What a model's answer says: JSON, else a Python dict, else the text with an error beside it. */
export function parse(raw: Value): Value {
  if (typeof raw !== 'string' || raw === '') {
    return PyDict.from({ error: 'Invalid input: received empty or non-string response for parsing.' })
  }
  const text = raw.replaceAll("\\'", "'")
  const json = tryJson(text)
  if (json !== undefined) return json
  const literal = literalEval(text)
  if (literal instanceof PyDict) return literal
  return PyDict.from({ raw_response: raw, error: 'Failed to parse response as JSON or Python dict' })
}

/** Python's `json.loads`. Throws what it throws. */
export function jsonLoads(text: Value): Value {
  if (typeof text === 'string') return readJson(text)
  throw new PyError('TypeError', `the JSON object must be str, bytes or bytearray, not ${typeName(text)}`)
}

/** The first fenced block in a language that is looked into, else the whole text; trimmed. Not a text: empty. */
export function cleanCode(raw: Value, dialect: Dialect): string {
  if (typeof raw !== 'string') return ''
  const opening = FENCES[dialect].exec(raw)
  if (opening === null) return strip(raw)
  const start = opening.index + opening[0].length
  const end = raw.indexOf('\n```', start)
  return strip(end === -1 ? raw : raw.slice(start, end))
}

/** The `input_…` entries; texts among them are read as JSON where they are JSON. */
export function collectScriptInputs(inputs: PyDict): PyDict {
  const collected: (readonly [Value, Value])[] = []
  for (const [key, value] of inputs.entries()) {
    if (typeof key !== 'string' || !key.startsWith('input_')) continue
    const parsed = typeof value === 'string' ? tryJson(value) : undefined
    collected.push([key, parsed === undefined ? value : parsed])
  }
  return PyDict.of(collected)
}

/** Whether a model's answer means yes. */
export function parseBoolean(raw: Value, dialect: Dialect): boolean {
  if (typeof raw === 'boolean') return raw
  const text = strip(str(raw).toLowerCase())
  return behaviours[dialect].exactBooleans ? isExactlyTrue(raw, text) : AGREEMENT.some(word => text.includes(word))
}

/** The template that stands under a key of the inputs, filled with the other inputs. */
export function substitute(inputs: PyDict, templateKey: string): string {
  return safeSubstitute(templateAt(inputs, templateKey), without(inputs, templateKey))
}

/**
 * Like `substitute`, but inputs `input_…` that the template does not name are put together under `combineKey`, as
 * blocks `<file_1> … </file_1>` in the order of their names.
 */
export function smartSubstitute(inputs: PyDict, templateKey: string, combineKey: string): string {
  const template = templateAt(inputs, templateKey)
  const named = new Set(Array.from(template.matchAll(NUMBERED_INPUT), match => match[1] ?? match[2]))
  const others: [string, Value][] = []
  for (const [key, value] of inputs.entries()) {
    if (typeof key !== 'string' || !key.startsWith('input_') || key === combineKey || named.has(key)) continue
    others.push([key, value])
  }
  others.sort(([a], [b]) => (a < b ? -1 : 1))
  const combined = others.map(([, value], i) => fileBlock(value, i + 1)).join('\n\n')
  return safeSubstitute(template, without(inputs, templateKey).with(combineKey, combined))
}

const FENCES = {
  '2026-01': fencePattern('2026-01'),
  '2026-01-strict': fencePattern('2026-01-strict'),
  '2026-03': fencePattern('2026-03'),
}

function fencePattern(dialect: Dialect): RegExp {
  return new RegExp(`\`\`\`(?:${behaviours[dialect].fenceLanguages.join('|')})?\\n`)
}

const NUMBERED_INPUT = /\$(?:(input_[0-9]+)|\{(input_[0-9]+)\})/g
const AGREEMENT = ['true', 'yes', '1', 'correct', 'affirmative', 'continue', 'proceed']
const TRUE_WORDS = new Set(AGREEMENT)
const TEXT_KEYS = new Set(['content', 'data', 'text', 'body'])

function isExactlyTrue(raw: Value, text: string): boolean {
  if (TRUE_WORDS.has(text)) return true
  const value = typeof raw === 'string' ? tryJson(strip(raw)) : raw
  if (typeof value === 'boolean' || typeof value === 'number' || value instanceof PyFloat) return isTruthy(value)
  if (!(value instanceof PyDict)) return false
  const flags = value.values().filter(item => typeof item === 'boolean')
  return flags.length === 1 && flags[0] === true
}

function templateAt(inputs: PyDict, templateKey: string): string {
  const template = inputs.get(templateKey)
  if (template === undefined) throw new PyError('KeyError', repr(templateKey))
  return str(template)
}

function without(inputs: PyDict, key: string): PyDict {
  return inputs.has(key) ? PyDict.of([...inputs.entries()].filter(([name]) => name !== key)) : inputs
}

function fileBlock(value: Value, number: number): string {
  const tag = `file_${number}`
  if (!(value instanceof PyDict)) return `<${tag}>\n${textOrNothing(value)}\n</${tag}>`
  let attributes = ''
  let text: string | undefined
  for (const [key, item] of value.entries()) {
    if (TEXT_KEYS.has(str(key))) text = textOrNothing(item)
    else attributes += ` ${str(key)}="${textOrNothing(item)}"`
  }
  return text === undefined ? `<${tag}${attributes} />` : `<${tag}${attributes}>\n${text}\n</${tag}>`
}

function textOrNothing(value: Value): string {
  return value === null ? '' : str(value)
}

function tryJson(text: string): Value | undefined {
  try {
    return readJson(text)
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}
