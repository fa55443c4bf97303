import { PyFloat, toInt, type Value } from './value.ts'

export interface Token<T> {
  readonly value: T
  /** Offset of the first character after the token. */
  readonly end: number
}

/** Thrown for a text that Python would not read as a literal. One object for all, since a stack trace each is slow. */
export const notALiteral = new Error('not a literal')

export function isLiteralDelimiter(character: string): boolean {
  return character === ')' || character === ']' || character === '}' || character === ':'
}

const RADIX = /0(?:[xX](?:_?[0-9a-fA-F])+|[oO](?:_?[0-7])+|[bB](?:_?[01])+)/y
const DIGITS = '[0-9](?:_?[0-9])*'
const FLOAT = new RegExp(
  `(?:${DIGITS}\\.(?:${DIGITS})?|\\.${DIGITS})(?:[eE][-+]?${DIGITS})?|${DIGITS}[eE][-+]?${DIGITS}`,
  'y',
)
const INT = new RegExp(DIGITS, 'y')
const ZEROS = /^[0_]*$/
const CONTINUES_WORD = /[\w\u0080-\uffff]/
const MAX_INT_DIGITS = 4300

/** The number at an offset. Throws `notALiteral` for `007`, `1__0`, `3j`, `1abc` and ints of more than 4300 digits. */
export function readNumberToken(text: string, at: number): Token<Value> {
  const radix = matchAt(RADIX, text, at)
  if (radix !== undefined) return ended(text, at + radix.length, toInt(BigInt(radix.replaceAll('_', ''))))
  const float = matchAt(FLOAT, text, at)
  if (float !== undefined) return ended(text, at + float.length, new PyFloat(Number(float.replaceAll('_', ''))))
  const digits = matchAt(INT, text, at)
  if (digits === undefined || (digits.startsWith('0') && !ZEROS.test(digits))) throw notALiteral
  const plain = digits.replaceAll('_', '')
  if (plain.length > MAX_INT_DIGITS) throw notALiteral
  return ended(text, at + digits.length, plain.length <= 15 ? Number(plain) : toInt(BigInt(plain)))
}

function ended(text: string, end: number, value: Value): Token<Value> {
  const next = text[end]
  if (next !== undefined && CONTINUES_WORD.test(next)) throw notALiteral
  return { value, end }
}

const OPENING = /([rR]?[bB]|[bB][rR]|[rRuU])?("""|'''|"|')/y

/** The string or bytes literal at an offset, `undefined` when none begins there. Throws `notALiteral` when it is broken. */
export function readLiteralString(text: string, at: number): Token<string | Uint8Array> | undefined {
  OPENING.lastIndex = at
  const match = OPENING.exec(text)
  if (match === null) return undefined
  const prefix = (match[1] ?? '').toLowerCase()
  const quote = match[2] ?? ''
  const start = at + match[0].length
  const end = closingOf(text, start, quote)
  const body = text.slice(start, end)
  const bytes = prefix.includes('b')
  const plain = prefix.includes('r') || !body.includes('\\') ? body : unescape(body, bytes)
  return { value: bytes ? toBytes(plain, body) : plain, end: end + quote.length }
}

function closingOf(text: string, start: number, quote: string): number {
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (character === '\\') at++
    else if (character === '\n' && quote.length === 1) break
    else if (text.startsWith(quote, at)) return at
  }
  throw notALiteral
}

const ESCAPE = /\\(\n|[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[^])/gu
const SIMPLE = new Map([
  ['\n', ''],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
])

function unescape(body: string, bytes: boolean): string {
  return body.replace(ESCAPE, (whole, escape: string) => {
    const simple = SIMPLE.get(escape)
    if (simple !== undefined) return simple
    const kind = escape.charAt(0)
    if (kind >= '0' && kind <= '7') return String.fromCharCode(Number.parseInt(escape, 8) & (bytes ? 0xff : 0x1ff))
    if (kind === 'x') return hexCharacter(escape, 3)
    // Unknown escapes stay as they are, and the three of Unicode are unknown to bytes.
    if (bytes || (kind !== 'u' && kind !== 'U' && kind !== 'N')) return whole
    return hexCharacter(escape, kind === 'u' ? 5 : 9)
  })
}

function hexCharacter(escape: string, length: number): string {
  const code = Number.parseInt(escape.slice(1), 16)
  if (escape.length !== length || !(code <= 0x10ffff)) throw notALiteral
  return String.fromCodePoint(code)
}

function toBytes(plain: string, body: string): Uint8Array {
  for (let i = 0; i < body.length; i++) if (body.charCodeAt(i) > 0x7f) throw notALiteral
  return Uint8Array.from(plain, character => character.charCodeAt(0))
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}
