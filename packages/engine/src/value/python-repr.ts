import { isList, type PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

/** Python's `str()`: strings as they are, everything else as `repr`. */
export function str(value: Value): string {
  return typeof value === 'string' ? value : repr(value)
}

/** Python's `repr()`, character for character. Sets show their elements in the order they were given. */
export function repr(value: Value): string {
  if (value === null) return 'None'
  switch (typeof value) {
    case 'string':
      return reprString(value)
    case 'number':
    case 'bigint':
      return String(value)
    case 'boolean':
      return value ? 'True' : 'False'
    default:
      return reprObject(value)
  }
}

/** The shortest decimal that reads back as the same float, in Python's notation: `1.0`, `1e+20`, `inf`. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (Object.is(value, -0)) return '-0.0'
  const size = Math.abs(value)
  if (size === 0 || (size >= 1e-4 && size < 1e16)) return Number.isInteger(value) ? `${value}.0` : String(value)
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const power = exponent.slice(1)
  return `${digits}e${exponent.slice(0, 1)}${power.length < 2 ? `0${power}` : power}`
}

function reprObject(value: Exclude<Value, null | string | number | bigint | boolean>): string {
  if (isList(value)) return `[${reprAll(value)}]`
  if (value instanceof PyDict) return reprDict(value)
  if (value instanceof PyFloat) return reprFloat(value.value)
  if (value instanceof PyTuple)
    return value.items.length === 1 ? `(${reprAll(value.items)},)` : `(${reprAll(value.items)})`
  if (value instanceof PySet) return value.items.length === 0 ? 'set()' : `{${reprAll(value.items)}}`
  return reprBytes(value)
}

function reprAll(items: readonly Value[]): string {
  let text = ''
  for (let i = 0; i < items.length; i++) text += i === 0 ? repr(items[i] as Value) : `, ${repr(items[i] as Value)}`
  return text
}

function reprDict(dict: PyDict): string {
  let text = ''
  for (const [key, value] of dict.entries()) text += `${text === '' ? '' : ', '}${repr(key)}: ${repr(value)}`
  return `{${text}}`
}

const NEEDS_CARE = /[^ !#-&(-[\]-~]/
const ESCAPED = /[\\\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu

function reprString(text: string): string {
  if (!NEEDS_CARE.test(text)) return `'${text}'`
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escaped = text.replace(ESCAPED, escapeCharacter)
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote
}

function escapeCharacter(character: string): string {
  const named = NAMED_ESCAPES.get(character)
  if (named !== undefined) return named
  const code = character.codePointAt(0) ?? 0
  if (code < 0x100) return `\\x${hex(code, 2)}`
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
}

const NAMED_ESCAPES = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])

function reprBytes(value: PyBytes): string {
  const quote = value.bytes.includes(39) && !value.bytes.includes(34) ? '"' : "'"
  let text = ''
  for (const byte of value.bytes) text += byteText(byte, quote)
  return `b${quote}${text}${quote}`
}

function byteText(byte: number, quote: string): string {
  const character = String.fromCharCode(byte)
  if (character === quote) return `\\${quote}`
  const named = NAMED_ESCAPES.get(character)
  if (named !== undefined) return named
  return byte < 0x20 || byte > 0x7e ? `\\x${hex(byte, 2)}` : character
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0')
}
