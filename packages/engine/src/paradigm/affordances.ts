import type { Step } from '#sequence/step'
import { readJson } from '#value/json-read'
import { repr, str } from '#value/python-repr'
import { isList, PyDict, PyError } from '#value/value'
import { parseCallCode, type CodeArgument, type CodeExpression } from './call-codes.ts'
import { asText, asValue, Callable, type Operand } from './operand.ts'
import { stateValue, type VerticalScope } from './scope.ts'
import { tools } from './tool-table.ts'
import { callMethod, type Reach, type Tool, type ToolContext, type ToolMethod } from './tools.ts'

/** A call code of a paradigm, turned into native work. */
export interface VerticalCode {
  readonly type: 'code'
  readonly reach: Reach
  readonly run: (call: VerticalCall) => Operand | Step<Operand>
}

export interface VerticalCall {
  readonly params: ReadonlyMap<string, Operand>
  /** What a lambda was called with. */
  readonly locals?: ReadonlyMap<string, Operand>
  readonly scope: VerticalScope
  readonly context: ToolContext
}

const COMPOSITION_TOOL = 'composition_tool'

/** The native work for a call code of a tool; null for the composition tool, whose parameters are read as a plan. */
export function compileCode(toolName: string, code: string): VerticalCode | null {
  const expression = parseCallCode(code)
  const tool = tools.get(toolName)
  if (toolName === COMPOSITION_TOOL) {
    if (expression.type === 'call' && expression.method === 'compose') return null
    throw new PyError('ValueError', `The composition tool only composes; this is not known: ${code.trim()}`)
  }
  if (tool === undefined) throw new PyError('ValueError', `There is no tool called ${toolName}.`)
  checkMethods(expression, { tool, toolName, code })
  const used = expression.type === 'lambda' ? expression.body : expression
  const reach = used.type === 'method' || used.type === 'call' ? tool.reach : 'nothing'
  return { type: 'code', reach, run: call => run(expression, { tool, toolName, call }) }
}

function checkMethods(
  expression: CodeExpression,
  options: { readonly tool: Tool; readonly toolName: string; readonly code: string },
): void {
  if (expression.type === 'lambda') checkMethods(expression.body, options)
  if (expression.type !== 'method' && expression.type !== 'call') return
  if (options.tool.methods.has(expression.method)) return
  throw new PyError('ValueError', `The tool ${options.toolName} has no ${expression.method}: ${options.code.trim()}`)
}

interface Running {
  readonly tool: Tool
  readonly toolName: string
  readonly call: VerticalCall
}

function run(expression: CodeExpression, running: Running): Operand | Step<Operand> {
  const { tool, toolName, call } = running
  if (expression.type === 'method') {
    const method = methodOf(tool, expression.method)
    const name = `${toolName}.${expression.method}`
    return new Callable(name, args => callMethod(method, args, { name, context: call.context }))
  }
  if (expression.type === 'call') {
    const method = methodOf(tool, expression.method)
    const name = `${toolName}.${expression.method}`
    return callMethod(method, argumentsOf(expression.args, call), { name, context: call.context })
  }
  return expression.type === 'lambda' ? lambda(expression, running) : evaluate(expression, call)
}

function lambda({ names, body }: Extract<CodeExpression, { readonly type: 'lambda' }>, running: Running): Callable {
  return new Callable('lambda', function* (args) {
    if (args.positional.length + args.named.size !== names.length) {
      throw new PyError('TypeError', `<lambda>() takes ${names.length} arguments.`)
    }
    const locals = new Map(args.named)
    args.positional.forEach((value, place) => locals.set(names[place] ?? '', value))
    const missing = names.find(name => !locals.has(name))
    if (missing !== undefined) throw new PyError('TypeError', `<lambda>() lacks the argument '${missing}'.`)
    const result = run(body, { ...running, call: { ...running.call, locals } })
    return isStep(result) ? yield* result : result
  })
}

export function isStep(result: Operand | Step<Operand>): result is Step<Operand> {
  return typeof result === 'object' && result !== null && Symbol.iterator in result && 'throw' in result
}

function methodOf(tool: Tool, name: string): ToolMethod {
  const method = tool.methods.get(name)
  if (method === undefined) throw new PyError('AttributeError', `The tool has no ${name}.`)
  return method
}

function argumentsOf(
  args: readonly CodeArgument[],
  call: VerticalCall,
): { positional: Operand[]; named: Map<string, Operand> } {
  const positional: Operand[] = []
  const named = new Map<string, Operand>()
  for (const { name, value } of args) {
    if (name === '**') for (const [key, param] of call.params) named.set(key, param)
    else if (name === null) positional.push(evaluate(value, call))
    else named.set(name, evaluate(value, call))
  }
  return { positional, named }
}

function evaluate(expression: CodeExpression, call: VerticalCall): Operand {
  switch (expression.type) {
    case 'literal':
      return expression.value
    case 'params':
      return PyDict.of([...call.params].map(([key, value]) => [key, asValue(value, key)] as const))
    case 'state':
      return stateValue(expression.path, call.scope)
    case 'index':
      return item(expression, call)
    case 'get':
      return item(expression, call, expression.fallback)
    case 'json_loads':
      return jsonLoads
    case 'identity':
      return identity
    case 'json_call':
      return readJson(asText(evaluate(expression.of, call), 'The JSON text'))
    case 'argument':
      return call.locals?.get(expression.name) ?? null
    case 'lambda':
    case 'method':
    case 'call':
      throw new PyError('ValueError', 'A tool cannot be used inside of an expression.')
  }
}

// Absent parameters give null with `get`, an error with `[…]`, as in Python.
function item(
  expression: Extract<CodeExpression, { readonly type: 'index' | 'get' }>,
  call: VerticalCall,
  fallback?: CodeExpression | null,
): Operand {
  const key = asValue(evaluate(expression.key, call), 'A key')
  const otherwise = (): Operand => {
    if (expression.type === 'index') throw new PyError('KeyError', repr(key))
    return fallback ? evaluate(fallback, call) : null
  }
  if (expression.of.type === 'params') {
    const param = call.params.get(str(key))
    return param === undefined ? otherwise() : param
  }
  const of = asValue(evaluate(expression.of, call), 'A parameter')
  if (of instanceof PyDict) return of.has(key) ? (of.get(key) ?? null) : otherwise()
  if (expression.type === 'index' && isList(of) && typeof key === 'number') return of.at(key) ?? otherwise()
  throw new PyError('TypeError', 'Only a dictionary can be looked into.')
}

const jsonLoads = new Callable('json.loads', function* (args) {
  return readJson(asText(args.positional[0] ?? args.named.get('s'), 'The JSON text'))
})

const identity = new Callable('identity', function* (args) {
  return args.positional[0] ?? [...args.named.values()][0] ?? null
})
