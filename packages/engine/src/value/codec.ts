import { readJson } from './json-read.ts'
import { repr, reprFloat } from './python-repr.ts'
import { isList, MAX_DEPTH, PyBytes, PyDict, PyError, PyFloat, PySet, PyTuple, type Value } from './value.ts'

/**
 * A value as one line of JSON that `decodeValue` turns back into an equal value of the same Python types. Values that
 * JSON can carry look as they always do (floats keep their point: `1.0`). The rest becomes an object with one key:
 * `{"$tuple": [..]}`, `{"$set": [..]}`, `{"$bytes": "hex"}`, `{"$float": "nan"}`, and `{"$dict": [[key, value], ..]}`
 * for dicts whose keys are not all texts or that would themselves look like one of these.
 */
export function encodeValue(value: Value): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return encodeObject(value)
  }
}

/** Reads what `encodeValue` wrote; also reads any plain JSON. Throws `JsonError`, or `PyError` for a broken tag. */
export function decodeValue(text: string): Value {
  // One level of a value takes up to three levels of JSON when it is tagged.
  const value = readJson(text, { maxDepth: 3 * MAX_DEPTH })
  return text.includes('"$') ? untag(value) : value
}

/**
 * From data that `JSON.parse` or a program made: whole numbers become ints, other numbers floats, objects dicts,
 * `undefined` becomes `None`. Use `readJson` where the text is at hand, since it keeps `1.0` and large ints.
 */
export function fromPlain(plain: unknown): Value {
  return fromUnknown(plain, 0)
}

function fromUnknown(plain: unknown, depth: number): Value {
  if (depth > MAX_DEPTH) throw new PyError('RecursionError', `The value is nested deeper than ${MAX_DEPTH} levels.`)
  switch (typeof plain) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return typeof plain === 'bigint' && Number.isSafeInteger(Number(plain)) ? Number(plain) : plain
    case 'number':
      return fromNumber(plain)
    case 'object':
      return plain === null ? null : fromObject(plain, depth)
    default:
      return null
  }
}

/**
 * For replies of an API: floats become numbers, tuples and sets lists, dicts objects with text keys, ints beyond 53
 * bits, bytes, and floats that JSON lacks become text.
 */
export function toPlain(value: Value): unknown {
  if (value === null || typeof value !== 'object') return typeof value === 'bigint' ? String(value) : value
  if (isList(value)) return value.map(toPlain)
  if (value instanceof PyFloat) return Number.isFinite(value.value) ? value.value : reprFloat(value.value)
  if (value instanceof PyBytes) return repr(value)
  if (value instanceof PyDict) {
    return Object.fromEntries([...value.entries()].map(([key, item]) => [plainKey(key), toPlain(item)]))
  }
  return value.items.map(toPlain)
}

function encodeObject(value: Exclude<Value, null | string | number | bigint | boolean>): string {
  if (isList(value)) return encodeList(value)
  if (value instanceof PyDict) return encodeDict(value)
  if (value instanceof PyFloat) {
    return Number.isFinite(value.value) ? reprFloat(value.value) : `{"$float":"${reprFloat(value.value)}"}`
  }
  if (value instanceof PyTuple) return `{"$tuple":${encodeList(value.items)}}`
  if (value instanceof PySet) return `{"$set":${encodeList(value.items)}}`
  return `{"$bytes":"${[...value.bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')}"}`
}

function encodeList(items: readonly Value[]): string {
  let text = '['
  for (let i = 0; i < items.length; i++) text += (i === 0 ? '' : ',') + encodeValue(items[i] as Value)
  return `${text}]`
}

function encodeDict(dict: PyDict): string {
  let text = ''
  for (const [key, value] of dict.entries()) {
    if (typeof key !== 'string' || (dict.size === 1 && key.startsWith('$'))) return encodePairs(dict)
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${encodeValue(value)}`
  }
  return `{${text}}`
}

function encodePairs(dict: PyDict): string {
  const pairs = [...dict.entries()].map(([key, value]) => `[${encodeValue(key)},${encodeValue(value)}]`)
  return `{"$dict":[${pairs.join(',')}]}`
}

function untag(value: Value): Value {
  if (isList(value)) return value.map(untag)
  if (!(value instanceof PyDict)) return value
  if (value.size === 1) {
    for (const [key, content] of value.entries()) {
      if (typeof key === 'string' && key.startsWith('$')) return fromTag(key, content)
    }
  }
  return PyDict.of([...value.entries()].map(([key, item]) => [key, untag(item)]))
}

function fromTag(tag: string, content: Value): Value {
  switch (tag) {
    case '$tuple':
      return new PyTuple(listOf(tag, content).map(untag))
    case '$set':
      return PySet.of(listOf(tag, content).map(untag))
    case '$dict':
      return PyDict.of(listOf(tag, content).map(pair => pairOf(tag, pair)))
    case '$bytes':
      return new PyBytes(Uint8Array.from(textOf(tag, content).match(/../g) ?? [], byte => Number.parseInt(byte, 16)))
    case '$float':
      return new PyFloat(FLOATS.get(textOf(tag, content)) ?? Number.NaN)
    default:
      // Plain JSON from elsewhere may have such a key of its own.
      return PyDict.of([[tag, untag(content)]])
  }
}

const FLOATS = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
])

function listOf(tag: string, content: Value): readonly Value[] {
  if (isList(content)) return content
  throw new PyError('ValueError', `A value tagged ${tag} must hold a list.`)
}

function textOf(tag: string, content: Value): string {
  if (typeof content === 'string') return content
  throw new PyError('ValueError', `A value tagged ${tag} must hold a text.`)
}

function pairOf(tag: string, pair: Value): readonly [Value, Value] {
  const [key, value] = listOf(tag, pair)
  if (key === undefined || value === undefined)
    throw new PyError('ValueError', `A value tagged ${tag} must hold pairs.`)
  return [untag(key), untag(value)]
}

function fromNumber(plain: number): Value {
  if (Number.isSafeInteger(plain)) return plain + 0
  return Number.isInteger(plain) && Math.abs(plain) < 1e21 ? BigInt(plain) : new PyFloat(plain)
}

function fromObject(plain: object, depth: number): Value {
  if (Array.isArray(plain)) return plain.map(item => fromUnknown(item, depth + 1))
  if (isValueObject(plain)) return plain
  return PyDict.of(Object.entries(plain).map(([key, item]) => [key, fromUnknown(item, depth + 1)]))
}

function isValueObject(plain: object): plain is PyFloat | PyTuple | PyDict | PySet | PyBytes {
  return (
    plain instanceof PyDict ||
    plain instanceof PyFloat ||
    plain instanceof PyTuple ||
    plain instanceof PySet ||
    plain instanceof PyBytes
  )
}

function plainKey(key: Value): string {
  return typeof key === 'string' ? key : repr(key)
}
