import { parseJson } from '@slipway/kit/json'
import { MAX_DEPTH, PyDict, PyFloat, toInt, type Value } from './value.ts'

/** JSON that could not be read. The message is the reference engine's; `position` counts code points from 0. */
export class JsonError extends Error {
  override readonly name = 'JSONDecodeError'
  readonly position: number

  constructor(problem: string, text: string, offset: number) {
    const before = text.slice(0, offset)
    const position = codePoints(before)
    const lineStart = before.lastIndexOf('\n') + 1
    const line = before.split('\n').length
    super(`${problem}: line ${line} column ${codePoints(before.slice(lineStart)) + 1} (char ${position})`)
    this.position = position
  }
}

/**
 * Python's `json.loads`: ints and floats stay apart, ints are exact at any size, `NaN` and `Infinity` are accepted,
 * keys keep their order, the last of repeated keys wins. Throws `JsonError`.
 */
export function readJson(text: string, options: { readonly maxDepth?: number | undefined } = {}): Value {
  if (text.startsWith('\ufeff')) throw new JsonError('Unexpected UTF-8 BOM (decode using utf-8-sig)', text, 0)
  return new JsonReader(text, options.maxDepth ?? MAX_DEPTH).readDocument()
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y
// Where none of these is, a text stands as it is.
const SPECIAL = /[\\\u0000-\u001f]/
const HEX4 = /^[0-9a-fA-F]{4}$/
const WORDS: readonly (readonly [string, Value])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', new PyFloat(Number.NaN)],
  ['Infinity', new PyFloat(Number.POSITIVE_INFINITY)],
  ['-Infinity', new PyFloat(Number.NEGATIVE_INFINITY)],
]
const MAX_INT_DIGITS = 4300
const SIMPLE_ESCAPES = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

class JsonReader {
  readonly #text: string
  readonly #maxDepth: number
  #at = 0
  #depth = 0

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  readDocument(): Value {
    this.#skipBlanks()
    const value = this.#readValue()
    this.#skipBlanks()
    if (this.#at < this.#text.length) throw this.#error('Extra data', this.#at)
    return value
  }

  #error(problem: string, offset: number): JsonError {
    return new JsonError(problem, this.#text, offset)
  }

  #skipBlanks(): void {
    const text = this.#text
    for (;;) {
      const code = text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
    }
  }

  #readValue(): Value {
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x22:
        return this.#readString()
      case 0x7b:
        return this.#readObject()
      case 0x5b:
        return this.#readArray()
      default:
        return this.#readScalar()
    }
  }

  #enter(): void {
    if (++this.#depth > this.#maxDepth) {
      throw this.#error('maximum recursion depth exceeded while decoding', this.#at)
    }
    this.#at++
    this.#skipBlanks()
  }

  #leave<T>(value: T): T {
    this.#depth--
    return value
  }

  #readScalar(): Value {
    const code = this.#text.charCodeAt(this.#at)
    if (code >= 0x30 && code <= 0x39) return this.#readNumber()
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue
      this.#at += word.length
      return value
    }
    return this.#readNumber()
  }

  #readNumber(): Value {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#error('Expecting value', this.#at)
    const [digits, fraction, exponent] = match
    const start = this.#at
    this.#at += digits.length
    if (fraction !== undefined || exponent !== undefined) return new PyFloat(Number(digits))
    if (digits.length <= 15) return Number(digits) + 0
    if (digits.length > MAX_INT_DIGITS) throw this.#error('Exceeds the limit (4300 digits) for an integer', start)
    return toInt(BigInt(digits))
  }

  #readArray(): Value {
    this.#enter()
    const items: Value[] = []
    if (this.#text[this.#at] === ']') {
      this.#at++
      return this.#leave(items)
    }
    for (;;) {
      items.push(this.#readValue())
      this.#skipBlanks()
      if (this.#endOf(']')) return this.#leave(items)
      this.#skipBlanks()
    }
  }

  #readObject(): Value {
    this.#enter()
    const entries: (readonly [Value, Value])[] = []
    if (this.#text[this.#at] === '}') {
      this.#at++
      return this.#leave(PyDict.of(entries))
    }
    for (;;) {
      entries.push(this.#readEntry())
      this.#skipBlanks()
      if (this.#endOf('}')) return this.#leave(PyDict.of(entries))
      this.#skipBlanks()
    }
  }

  #readEntry(): readonly [Value, Value] {
    if (this.#text[this.#at] !== '"') {
      throw this.#error('Expecting property name enclosed in double quotes', this.#at)
    }
    const key = this.#readString()
    this.#skipBlanks()
    if (this.#text[this.#at] !== ':') throw this.#error("Expecting ':' delimiter", this.#at)
    this.#at++
    this.#skipBlanks()
    return [key, this.#readValue()]
  }

  #endOf(closing: string): boolean {
    const character = this.#text[this.#at]
    if (character !== closing && character !== ',') throw this.#error("Expecting ',' delimiter", this.#at)
    this.#at++
    return character === closing
  }

  #readString(): string {
    const end = this.#closingQuote()
    if (end === -1) return this.#readStringSlowly()
    const inside = this.#text.slice(this.#at + 1, end)
    const plain = SPECIAL.test(inside) ? unescaped(inside) : inside
    if (plain === undefined) return this.#readStringSlowly()
    this.#at = end + 1
    return plain
  }

  #closingQuote(): number {
    const text = this.#text
    let end = text.indexOf('"', this.#at + 1)
    for (; end !== -1; end = text.indexOf('"', end + 1)) {
      let backslashes = 0
      while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++
      if (backslashes % 2 === 0) return end
    }
    return end
  }

  /** Finds out what is wrong with a text, and where. */
  #readStringSlowly(): string {
    const text = this.#text
    const opening = this.#at
    let chunk = opening + 1
    let result = ''
    for (let at = chunk; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x22) {
        this.#at = at + 1
        return result === '' ? text.slice(chunk, at) : result + text.slice(chunk, at)
      }
      if (code < 0x20) throw this.#error('Invalid control character at', at)
      if (code !== 0x5c) continue
      result += text.slice(chunk, at) + this.#readEscape(opening, at)
      at += text[at + 1] === 'u' ? 5 : 1
      chunk = at + 1
    }
    throw this.#error('Unterminated string starting at', opening)
  }

  #readEscape(opening: number, backslash: number): string {
    const letter = this.#text[backslash + 1]
    if (letter === undefined) throw this.#error('Unterminated string starting at', opening)
    if (letter !== 'u') {
      const character = SIMPLE_ESCAPES.get(letter)
      if (character === undefined) throw this.#error('Invalid \\escape', backslash)
      return character
    }
    const digits = this.#text.slice(backslash + 2, backslash + 6)
    // Python reports a text that ends with the last digit as a broken escape too.
    if (!HEX4.test(digits) || backslash + 6 >= this.#text.length)
      throw this.#error('Invalid \\uXXXX escape', backslash + 1)
    return String.fromCharCode(Number.parseInt(digits, 16))
  }
}

/** A text with its escapes read, which both kinds of JSON read alike; undefined when it is not valid. */
function unescaped(inside: string): string | undefined {
  try {
    const text = parseJson(`"${inside}"`)
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}

function codePoints(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    count++
    if ((text.codePointAt(i) ?? 0) > 0xffff) i++
  }
  return count
}
