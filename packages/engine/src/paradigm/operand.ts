import { PyDict, PyError, typeName, type Value } from '#value/value'
import type { Step } from '#sequence/step'

/** What stands in a paradigm while it is put together and run: values, functions, and templates that were read. */
export type Operand = Value | Callable | PromptTemplate

export interface Arguments {
  readonly positional: readonly Operand[]
  readonly named: ReadonlyMap<string, Operand>
}

export class Callable {
  readonly name: string
  readonly call: (args: Arguments) => Step<Operand>

  constructor(name: string, call: (args: Arguments) => Step<Operand>) {
    this.name = name
    this.call = call
  }
}

/** The text of a prompt file as the prompt tool hands it on. */
export class PromptTemplate {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export function callPositional(callable: Callable, ...positional: readonly Operand[]): Step<Operand> {
  return callable.call({ positional, named: noNames })
}

const noNames: ReadonlyMap<string, Operand> = new Map()

/** The operand as plain data; a function or a template there is a mistake of the paradigm. */
export function asValue(operand: Operand | undefined, what: string): Value {
  if (operand === undefined) return null
  if (operand instanceof Callable || operand instanceof PromptTemplate) {
    throw new PyError('TypeError', `${what} is a ${operand instanceof Callable ? 'function' : 'template'}, not data.`)
  }
  return operand
}

export function asDict(operand: Operand | undefined, what: string): PyDict {
  const value = asValue(operand, what)
  if (value instanceof PyDict) return value
  throw new PyError('TypeError', `${what} must be a dictionary, not ${typeName(value)}.`)
}

export function asText(operand: Operand | undefined, what: string): string {
  const value = asValue(operand, what)
  if (typeof value === 'string') return value
  throw new PyError('TypeError', `${what} must be a string, not ${typeName(value)}.`)
}
