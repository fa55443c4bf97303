import { reprFloat } from './python-repr.ts'
import { isList, PyDict, PyError, PyFloat, PyTuple, typeName, type Value } from './value.ts'

export interface DumpOptions {
  /** Spaces per level; absent: everything on one line. */
  readonly indent?: number | undefined
  /** Escape everything outside ASCII, as Python does unless told otherwise. Default true. */
  readonly ascii?: boolean | undefined
  /** Keys of every dict in their order instead of the dict's own. Keys become texts then. Default false. */
  readonly sortKeys?: boolean | undefined
}

/**
 * Python's `json.dumps`: `", "` and `": "` between items on one line, `","` and a newline with `indent`; tuples as
 * lists, floats in Python's notation. Throws `PyError` for sets, bytes and keys that JSON cannot carry.
 */
export function dumpJson(value: Value, options: DumpOptions = {}): string {
  const text = options.ascii === false ? quote : quoteAscii
  const written = options.sortKeys === true ? withSortedKeys(value) : value
  return options.indent === undefined ? flat(written, text) : indented(written, { text, indent: options.indent }, '\n')
}

function withSortedKeys(value: Value): Value {
  if (isList(value)) return value.map(withSortedKeys)
  if (value instanceof PyTuple) return value.items.map(withSortedKeys)
  if (!(value instanceof PyDict)) return value
  const entries = [...value.entries()].map(([key, item]) => [keyText(key), withSortedKeys(item)] as const)
  return PyDict.of(entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
}

type Quote = (text: string) => string

interface Layout {
  readonly text: Quote
  readonly indent: number
}

function flat(value: Value, text: Quote): string {
  const scalar = scalarText(value, text)
  if (scalar !== undefined) return scalar
  const items = itemsOf(value)
  if (items !== undefined) return `[${items.map(item => flat(item, text)).join(', ')}]`
  const parts: string[] = []
  for (const [key, item] of dictOf(value).entries()) parts.push(`${text(keyText(key))}: ${flat(item, text)}`)
  return `{${parts.join(', ')}}`
}

function indented(value: Value, layout: Layout, margin: string): string {
  const scalar = scalarText(value, layout.text)
  if (scalar !== undefined) return scalar
  const inner = margin + ' '.repeat(layout.indent)
  const items = itemsOf(value)
  if (items !== undefined) {
    if (items.length === 0) return '[]'
    return `[${inner}${items.map(item => indented(item, layout, inner)).join(`,${inner}`)}${margin}]`
  }
  const dict = dictOf(value)
  if (dict.size === 0) return '{}'
  const parts: string[] = []
  for (const [key, item] of dict.entries()) {
    parts.push(`${layout.text(keyText(key))}: ${indented(item, layout, inner)}`)
  }
  return `{${inner}${parts.join(`,${inner}`)}${margin}}`
}

function scalarText(value: Value, text: Quote): string | undefined {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return text(value)
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    default:
      return value instanceof PyFloat ? floatText(value.value) : undefined
  }
}

function itemsOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value
  return value instanceof PyTuple ? value.items : undefined
}

function dictOf(value: Value): PyDict {
  if (value instanceof PyDict) return value
  throw new PyError('TypeError', `Object of type ${typeName(value)} is not JSON serializable`)
}

function keyText(key: Value): string {
  const text = scalarText(key, name => name)
  if (text !== undefined) return text
  throw new PyError('TypeError', `keys must be str, int, float, bool or None, not ${typeName(key)}`)
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity'
  return reprFloat(value)
}

// Python writes half of a surrogate pair as it is, where JSON.stringify escapes it.
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/
const CONTROL = /["\\\u0000-\u001f]/g
const BEYOND_ASCII = /[\u007f-\uffff]/g

function quote(text: string): string {
  if (!LONE_SURROGATE.test(text)) return JSON.stringify(text)
  return `"${text.replace(CONTROL, character => JSON.stringify(character).slice(1, -1))}"`
}

function quoteAscii(text: string): string {
  return quote(text).replace(BEYOND_ASCII, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
