import type { PerceptionContext } from '#reference/perception'
import type { Dialect } from '#run/dialect'
import type { Effect } from '#run/effects'
import type { Step } from '#sequence/step'
import { PyError } from '#value/value'
import type { Arguments, Operand } from './operand.ts'

/** What a tool may use of the step it works for. */
export interface ToolContext {
  readonly dialect: Dialect
  readonly perception: PerceptionContext
  readonly nextSignId: () => string
  /** Where a text was read from, so that a script can be named by its file. */
  readonly origins: Map<string, string>
}

/** A method of a tool. Parameter names end in `?` when they may be left out; `a|b` accepts either name. */
export interface ToolMethod {
  readonly parameters: readonly string[]
  /** Accept any further keyword arguments. */
  readonly rest?: boolean
  /** Pure methods return at once; others are steps. */
  readonly pure?: (call: ToolCall) => Operand
  readonly step?: (call: ToolCall) => Step<Operand>
}

export interface ToolCall {
  readonly context: ToolContext
  /** The arguments in the order of the parameters. */
  readonly values: readonly (Operand | undefined)[]
  readonly args: Arguments
}

/** How a tool reaches outside, which decides what may run at the same time. */
export type Reach = 'nothing' | 'models' | 'files' | 'scripts' | 'people'

export interface Tool {
  readonly reach: Reach
  readonly methods: ReadonlyMap<string, ToolMethod>
}

export function tool(reach: Reach, methods: Readonly<Record<string, ToolMethod>>): Tool {
  return { reach, methods: new Map(Object.entries(methods)) }
}

/** Calls a method with Python's rules for arguments. */
export function* callMethod(method: ToolMethod, args: Arguments, options: MethodOptions): Step<Operand> {
  const call = { context: options.context, values: bind(method, args, options.name), args }
  if (method.pure) return method.pure(call)
  if (method.step) return yield* method.step(call)
  throw new PyError('TypeError', `${options.name} cannot be called.`)
}

export interface MethodOptions {
  readonly name: string
  readonly context: ToolContext
}

function bind(method: ToolMethod, args: Arguments, name: string): (Operand | undefined)[] {
  const { parameters } = method
  if (args.positional.length > parameters.length) {
    throw new PyError(
      'TypeError',
      `${name}() takes ${parameters.length} arguments but ${args.positional.length} were given.`,
    )
  }
  const values: (Operand | undefined)[] = [...args.positional]
  while (values.length < parameters.length) values.push(undefined)
  for (const [keyword, value] of args.named) {
    const place = parameters.findIndex(parameter => namesOf(parameter).includes(keyword))
    if (place >= 0 && values[place] === undefined) values[place] = value
    else if (method.rest !== true) {
      const what = place < 0 ? 'got an unexpected keyword argument' : 'got multiple values for argument'
      throw new PyError('TypeError', `${name}() ${what} '${keyword}'.`)
    }
  }
  parameters.forEach((parameter, place) => {
    if (values[place] !== undefined || parameter.endsWith('?')) return
    throw new PyError('TypeError', `${name}() missing 1 required argument: '${namesOf(parameter)[0] ?? parameter}'.`)
  })
  return values
}

const namesByParameter = new Map<string, readonly string[]>()

// Parameters are those of our own tables, so there are not many of them.
function namesOf(parameter: string): readonly string[] {
  const known = namesByParameter.get(parameter)
  if (known !== undefined) return known
  const names = (parameter.endsWith('?') ? parameter.slice(0, -1) : parameter).split('|')
  namesByParameter.set(parameter, names)
  return names
}

/** An effect whose failure the plan sees as a value instead of an exception. */
export function* attempt(effect: Effect): Step<{ readonly value: Operand } | { readonly message: string }> {
  const outcome = yield effect
  return outcome.ok ? { value: outcome.value } : { message: outcome.error.message }
}
