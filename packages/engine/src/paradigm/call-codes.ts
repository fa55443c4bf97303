import { PyError, type Value } from '#value/value'

/**
 * A call code of a paradigm file is a line of Python. It is never run as Python: this reads the few forms that exist
 * (a method of the tool, a call of one with parameters of the step, a look into the parameters, the JSON parser, the
 * identity) and refuses everything else when the paradigm is loaded.
 */
export type CodeExpression =
  | { readonly type: 'literal'; readonly value: Value }
  | { readonly type: 'params' }
  | { readonly type: 'state'; readonly path: string }
  | { readonly type: 'method'; readonly method: string }
  | { readonly type: 'call'; readonly method: string; readonly args: readonly CodeArgument[] }
  | { readonly type: 'index'; readonly of: CodeExpression; readonly key: CodeExpression }
  | {
      readonly type: 'get'
      readonly of: CodeExpression
      readonly key: CodeExpression
      readonly fallback: CodeExpression | null
    }
  | { readonly type: 'json_loads' }
  | { readonly type: 'identity' }

export interface CodeArgument {
  /** The keyword, null for a positional argument, `**` for all parameters of the step. */
  readonly name: string | null
  readonly value: CodeExpression
}

/** Reads a call code; throws with what is wrong with it. */
export function parseCallCode(code: string): CodeExpression {
  const lines = code
    .split(/[\n;]/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('#') && !/^import\s+json$/.test(line))
  const [line] = lines
  const body = line === undefined ? null : /^result\s*=(?!=)\s*(.+)$/s.exec(line)
  if (lines.length !== 1 || body?.[1] === undefined) throw unknownCode(code)
  return new CodeReader(code, body[1]).read()
}

type Token = { readonly type: 'name' | 'string' | 'number' | 'mark'; readonly text: string }

const TOKEN = /\s*(?:([A-Za-z_]\w*)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(\d+)|(\*\*|[().,=[\]:]))/y

class CodeReader {
  readonly #code: string
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(code: string, text: string) {
    this.#code = code
    this.#tokens = tokens(code, text)
  }

  read(): CodeExpression {
    const expression = this.#expression()
    if (this.#at < this.#tokens.length) throw unknownCode(this.#code)
    return expression
  }

  #expression(): CodeExpression {
    let expression = this.#primary()
    for (;;) {
      if (this.#takes('[')) {
        const key = this.#expression()
        this.#expect(']')
        expression = { type: 'index', of: expression, key }
      } else if (this.#takes('.')) {
        expression = this.#lookup(expression)
      } else {
        return expression
      }
    }
  }

  #primary(): CodeExpression {
    const token = this.#next()
    if (token.type === 'string') return { type: 'literal', value: unquoted(token.text) }
    if (token.type === 'number') return { type: 'literal', value: Number(token.text) }
    if (token.type !== 'name') throw unknownCode(this.#code)
    if (token.text === 'params') return { type: 'params' }
    if (token.text === 'states') return { type: 'state', path: this.#dottedPath() }
    if (token.text === 'tool') return this.#method()
    if (token.text === 'json') return this.#jsonLoads()
    if (token.text === 'lambda') return this.#identity()
    const constant = constants.get(token.text)
    if (constant === undefined) throw unknownCode(this.#code)
    return { type: 'literal', value: constant }
  }

  #method(): CodeExpression {
    this.#expect('.')
    const method = this.#name()
    if (!this.#takes('(')) return { type: 'method', method }
    return { type: 'call', method, args: this.#arguments() }
  }

  #arguments(): CodeArgument[] {
    const args: CodeArgument[] = []
    while (!this.#takes(')')) {
      if (args.length > 0) this.#expect(',')
      if (this.#takes(')')) break
      args.push(this.#argument())
    }
    return args
  }

  #argument(): CodeArgument {
    if (this.#takes('**')) return { name: '**', value: this.#expression() }
    const after = this.#tokens[this.#at + 1]
    if (this.#tokens[this.#at]?.type === 'name' && after?.text === '=') {
      const name = this.#name()
      this.#expect('=')
      return { name, value: this.#expression() }
    }
    return { name: null, value: this.#expression() }
  }

  // Of all methods that values have in Python, only `get` of a dictionary occurs.
  #lookup(of: CodeExpression): CodeExpression {
    if (this.#name() !== 'get') throw unknownCode(this.#code)
    this.#expect('(')
    const key = this.#expression()
    const fallback = this.#takes(',') ? this.#expression() : null
    this.#expect(')')
    return { type: 'get', of, key, fallback }
  }

  #jsonLoads(): CodeExpression {
    this.#expect('.')
    if (this.#name() !== 'loads') throw unknownCode(this.#code)
    return { type: 'json_loads' }
  }

  #identity(): CodeExpression {
    const name = this.#name()
    this.#expect(':')
    if (this.#name() !== name) throw unknownCode(this.#code)
    return { type: 'identity' }
  }

  #dottedPath(): string {
    const parts: string[] = []
    while (this.#takes('.')) parts.push(this.#name())
    return parts.join('.')
  }

  #name(): string {
    const token = this.#next()
    if (token.type !== 'name') throw unknownCode(this.#code)
    return token.text
  }

  #next(): Token {
    const token = this.#tokens[this.#at++]
    if (token === undefined) throw unknownCode(this.#code)
    return token
  }

  #takes(mark: string): boolean {
    const token = this.#tokens[this.#at]
    if (token?.type !== 'mark' || token.text !== mark) return false
    this.#at++
    return true
  }

  #expect(mark: string): void {
    if (!this.#takes(mark)) throw unknownCode(this.#code)
  }
}

const constants: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['None', null],
  ['True', true],
  ['False', false],
])

function tokens(code: string, text: string): Token[] {
  const found: Token[] = []
  let at = 0
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (match === null) throw unknownCode(code)
    at = TOKEN.lastIndex
    const [, name, string, number, mark] = match
    if (name !== undefined) found.push({ type: 'name', text: name })
    else if (string !== undefined) found.push({ type: 'string', text: string })
    else if (number !== undefined) found.push({ type: 'number', text: number })
    else found.push({ type: 'mark', text: mark ?? '' })
  }
  return found
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}

function unknownCode(code: string): PyError {
  return new PyError('ValueError', `The call code is not one of the known forms: ${code.trim()}`)
}
