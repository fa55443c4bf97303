import { PyDict, PyError, type Value } from '#value/value'

/**
 * A call code of a paradigm file is a line of Python. It is never run as Python: this reads the few forms that exist
 * (a method of the tool, a call of one with parameters of the step, a look into the parameters, the JSON parser, the
 * identity, a lambda of these) and refuses everything else when the paradigm is loaded.
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
  | { readonly type: 'json_call'; readonly of: CodeExpression }
  | { readonly type: 'identity' }
  | { readonly type: 'lambda'; readonly names: readonly string[]; readonly body: CodeExpression }
  /** An argument of the lambda around it. */
  | { readonly type: 'argument'; readonly name: string }

export interface CodeArgument {
  /** The keyword, null for a positional argument, `**` for all parameters of the step. */
  readonly name: string | null
  readonly value: CodeExpression
}

/** Reads a call code; throws with what is wrong with it. */
export function parseCallCode(code: string): CodeExpression {
  const lines = statements(code).filter(line => !/^import\s+json$/.test(line))
  const [line] = lines
  const body = line === undefined ? null : /^result\s*=(?!=)\s*(.+)$/s.exec(line)
  if (lines.length !== 1 || body?.[1] === undefined) throw unknownCode(code)
  return new CodeReader(code, body[1]).read()
}

const LEXEME = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|#[^\n]*|[()[\]{}]|[\n;]/g

/** The statements of the code without comments; a line break inside of brackets does not end one. */
function statements(code: string): string[] {
  const found: string[] = []
  let [open, text, at] = [0, '', 0]
  const end = (): void => {
    if (text.trim() !== '') found.push(text.trim())
    text = ''
  }
  for (const { 0: lexeme, index } of code.matchAll(LEXEME)) {
    text += code.slice(at, index)
    at = index + lexeme.length
    if (lexeme.startsWith('#')) continue
    if ('([{'.includes(lexeme)) open++
    if (')]}'.includes(lexeme)) open--
    if (lexeme === ';' || (lexeme === '\n' && open <= 0)) end()
    else text += lexeme === '\n' ? ' ' : lexeme
  }
  text += code.slice(at)
  end()
  return found
}

type Token = { readonly type: 'name' | 'string' | 'number' | 'mark'; readonly text: string }

const TOKEN = /\s*(?:([A-Za-z_]\w*)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(-?\d+)|(\*\*|[().,=[\]{}:]))/y

class CodeReader {
  readonly #code: string
  readonly #tokens: readonly Token[]
  /** The arguments of the lambda that is being read. */
  #names: readonly string[] = []
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
        const key = this.#data()
        this.#expect(']')
        expression = { type: 'index', of: this.#asData(expression), key }
      } else if (this.#takes('.')) {
        expression = this.#lookup(this.#asData(expression))
      } else {
        return expression
      }
    }
  }

  #data(): CodeExpression {
    return this.#asData(this.#expression())
  }

  // Functions can be handed on as they are; nothing is looked up in them and no tool takes one here.
  #asData(expression: CodeExpression): CodeExpression {
    if (functions.has(expression.type)) throw unknownCode(this.#code)
    return expression
  }

  #primary(): CodeExpression {
    const token = this.#next()
    if (token.type === 'mark') return this.#bracketed(token.text)
    if (token.type === 'string') return { type: 'literal', value: unquoted(token.text) }
    if (token.type === 'number') return { type: 'literal', value: Number(token.text) }
    if (this.#names.includes(token.text)) return { type: 'argument', name: token.text }
    if (token.text === 'params') return { type: 'params' }
    if (token.text === 'states') return { type: 'state', path: this.#dottedPath() }
    if (token.text === 'tool') return this.#method()
    if (token.text === 'json') return this.#jsonLoads()
    if (token.text === 'lambda') return this.#lambda()
    const constant = constants.get(token.text)
    if (constant === undefined) throw unknownCode(this.#code)
    return { type: 'literal', value: constant }
  }

  #bracketed(mark: string): CodeExpression {
    if (mark === '(') {
      const inner = this.#expression()
      this.#expect(')')
      return inner
    }
    if (mark !== '[' && mark !== '{') throw unknownCode(this.#code)
    this.#expect(mark === '[' ? ']' : '}')
    return { type: 'literal', value: mark === '[' ? [] : new PyDict() }
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
    if (this.#takes('**')) return { name: '**', value: this.#data() }
    const after = this.#tokens[this.#at + 1]
    if (this.#tokens[this.#at]?.type === 'name' && after?.text === '=') {
      const name = this.#name()
      this.#expect('=')
      return { name, value: this.#data() }
    }
    return { name: null, value: this.#data() }
  }

  // Of all methods that values have in Python, only `get` of a dictionary occurs.
  #lookup(of: CodeExpression): CodeExpression {
    if (this.#name() !== 'get') throw unknownCode(this.#code)
    this.#expect('(')
    const key = this.#data()
    const fallback = this.#takes(',') ? this.#data() : null
    this.#expect(')')
    return { type: 'get', of, key, fallback }
  }

  #jsonLoads(): CodeExpression {
    this.#expect('.')
    if (this.#name() !== 'loads') throw unknownCode(this.#code)
    if (!this.#takes('(')) return { type: 'json_loads' }
    const of = this.#data()
    this.#expect(')')
    return { type: 'json_call', of }
  }

  #lambda(): CodeExpression {
    if (this.#names.length > 0) throw unknownCode(this.#code)
    const names = [this.#name()]
    while (this.#takes(',')) names.push(this.#name())
    this.#expect(':')
    this.#names = names
    const body = this.#expression()
    if (body.type !== 'call') this.#asData(body)
    this.#names = []
    if (body.type === 'argument' && names.length === 1) return { type: 'identity' }
    return { type: 'lambda', names, body }
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

const functions: ReadonlySet<CodeExpression['type']> = new Set(['method', 'call', 'json_loads', 'identity', 'lambda'])

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
