import { isLiteralDelimiter, notALiteral, readLiteralString, readNumberToken } from './literal-tokens.ts'
import { PyBytes, PyDict, PyError, PyFloat, PySet, PyTuple, type Value } from './value.ts'

/**
 * Python's `ast.literal_eval` of a text, or `undefined` where Python raises. Numbers (also signed), texts, bytes,
 * tuples, lists, dicts, sets and the three constants; complex numbers, `...` and `\N{...}` are not read. Brackets may
 * nest 200 deep, which is the limit of Python's own tokenizer. A text of more than a million characters is none.
 */
export function literalEval(text: string): Value | undefined {
  if (text.length > longestLiteral || !mayBeLiteral(text)) return undefined
  try {
    return new LiteralReader(text).readDocument()
  } catch (error) {
    if (error === notALiteral || error instanceof PyError) return undefined
    throw error
  }
}

// Reading one takes about half a microsecond a character, and whole documents come here only to be found no literals.
const longestLiteral = 1024 * 1024
const MAX_NESTING = 200
const WORD = /[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*/y
const CONSTANTS = new Map<string, Value>([
  ['None', null],
  ['True', true],
  ['False', false],
])

// Most texts are prose, and the first characters tell that without the cost of an exception.
const FIRST = /^[ \t]*(?:[0-9.'"([{+\-#\n\r\f\\]|None|True|False|set\b|[bBrRuU]{1,2}['"])/

// Python takes blanks on a last line of their own for an indentation that is not expected.
const INDENTED_END = /\n[ \t]+$/

function mayBeLiteral(text: string): boolean {
  return FIRST.test(text) && !text.includes('\0') && !INDENTED_END.test(text)
}

class LiteralReader {
  readonly #text: string
  #at = 0
  #nesting = 0

  constructor(text: string) {
    const lines = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
    this.#text = lines.startsWith(' ') || lines.startsWith('\t') ? lines.replace(/^[ \t]+/, '') : lines
  }

  readDocument(): Value {
    // Blank and comment lines before the expression count as nothing, but the expression itself may not be indented.
    let lineStart = 0
    for (;;) {
      this.#skipBlanks()
      if (this.#text[this.#at] !== '\n') break
      this.#at++
      lineStart = this.#at
    }
    if (this.#at > lineStart) throw notALiteral
    const value = this.#readTuple()
    this.#nesting = 1
    this.#skipBlanks()
    if (this.#at < this.#text.length) throw notALiteral
    return value
  }

  // Inside brackets a line end is a blank like any other.
  #skipBlanks(): void {
    const text = this.#text
    for (;;) {
      const character = text[this.#at]
      if (character === ' ' || character === '\t' || character === '\f') this.#at++
      else if (character === '\n' && this.#nesting > 0) this.#at++
      else if (character === '\\' && text[this.#at + 1] === '\n' && this.#at + 2 < text.length) this.#at += 2
      else if (character === '#') this.#at = endOfLine(text, this.#at)
      else return
    }
  }

  #next(): string | undefined {
    this.#skipBlanks()
    return this.#text[this.#at]
  }

  #take(character: string): boolean {
    if (this.#next() !== character) return false
    this.#at++
    return true
  }

  // `1, 2` at the top and `(1, 2)` alike; one value without a comma stands for itself.
  #readTuple(): Value {
    const first = this.#readValue()
    if (this.#next() !== ',') return first
    const items = [first]
    while (this.#take(',')) {
      if (this.#atEnd()) break
      items.push(this.#readValue())
    }
    return new PyTuple(items)
  }

  #atEnd(): boolean {
    const next = this.#next()
    return next === undefined || next === '\n' || isLiteralDelimiter(next)
  }

  #readValue(): Value {
    const next = this.#next()
    switch (next) {
      case undefined:
        throw notALiteral
      case '[':
        return this.#bracketed(']', () => this.#readItems(']'))
      case '(':
        return this.#bracketed(')', () => (this.#next() === ')' ? new PyTuple([]) : this.#readTuple()))
      case '{':
        return this.#bracketed('}', () => this.#readBraces())
      case '-':
      case '+':
        this.#at++
        return this.#readSigned(next)
      default:
        return this.#readAtom(next)
    }
  }

  #bracketed(closing: string, read: () => Value): Value {
    this.#at++
    if (++this.#nesting > MAX_NESTING) throw notALiteral
    const value = read()
    if (!this.#take(closing)) throw notALiteral
    this.#nesting--
    return value
  }

  #readItems(closing: string): Value[] {
    const items: Value[] = []
    while (this.#next() !== closing) {
      items.push(this.#readValue())
      if (!this.#take(',')) break
    }
    return items
  }

  #readBraces(): Value {
    if (this.#next() === '}') return PyDict.of([])
    const first = this.#readValue()
    if (!this.#take(':')) {
      const rest = this.#take(',') ? this.#readItems('}') : []
      return PySet.of([first, ...rest])
    }
    const entries: [Value, Value][] = [[first, this.#readValue()]]
    while (this.#take(',') && this.#next() !== '}') {
      const key = this.#readValue()
      if (!this.#take(':')) throw notALiteral
      entries.push([key, this.#readValue()])
    }
    return PyDict.of(entries)
  }

  // One sign and then a number, which may stand in brackets; nothing else can be negated in a literal.
  #readSigned(sign: '-' | '+'): Value {
    const next = this.#next()
    if (next === '-' || next === '+') throw notALiteral
    const operand = this.#readValue()
    const negate = sign === '-'
    if (operand instanceof PyFloat) return negate ? new PyFloat(-operand.value) : operand
    if (typeof operand === 'number') return negate ? 0 - operand : operand
    if (typeof operand === 'bigint') return negate ? -operand : operand
    throw notALiteral
  }

  #readAtom(next: string): Value {
    if ((next >= '0' && next <= '9') || next === '.') {
      const token = readNumberToken(this.#text, this.#at)
      this.#at = token.end
      return token.value
    }
    if (next === '"' || next === "'") return this.#readStrings()
    WORD.lastIndex = this.#at
    const word = WORD.exec(this.#text)?.[0]
    if (word === undefined) throw notALiteral
    const after = this.#text[this.#at + word.length]
    if (after === '"' || after === "'") return this.#readStrings()
    this.#at += word.length
    const constant = CONSTANTS.get(word)
    if (constant !== undefined) return constant
    if (word === 'set' && this.#next() === '(') return this.#readEmptySet()
    throw notALiteral
  }

  #readEmptySet(): Value {
    this.#bracketed(')', () => null)
    return new PySet([])
  }

  // Strings that stand side by side are one string.
  #readStrings(): Value {
    const parts: (string | Uint8Array)[] = []
    for (;;) {
      const token = readLiteralString(this.#text, this.#at)
      if (token === undefined) break
      parts.push(token.value)
      this.#at = token.end
      this.#skipBlanks()
    }
    if (parts.every(part => typeof part === 'string')) return parts.join('')
    if (parts.some(part => typeof part === 'string')) throw notALiteral
    return new PyBytes(Uint8Array.from(parts.flatMap(part => [...(part as Uint8Array)])))
  }
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end
}

/** The value a text stands for where it is a literal, the text itself where it is not. */
export function literalOrText(text: string): Value {
  const value = literalEval(text)
  return value === undefined ? text : value
}
