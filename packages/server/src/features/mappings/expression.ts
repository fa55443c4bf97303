import { AppError } from '@slipway/protocol/errors'
import jsonata from 'jsonata'
import { linearRegExp } from './linear-pattern.ts'
import type { MappingLimits } from './mapping-task.ts'

/** An expression that was checked, and may be evaluated any number of times. */
export interface Expression {
  /**
   * Gives JSON text. Throws `mapping.failed`, `mapping.limit` and `mapping.timeout`. Only what the engine of expressions
   * looks at ends it by itself: somebody else has to see to the time.
   */
  evaluate(input: unknown, names: Readonly<Record<string, unknown>>): Promise<string>
}

const longestText = 4_000

/** Codes of the engine for its bounds. */
const limitCodes: Readonly<Record<string, 'mapping.limit' | 'mapping.timeout'>> = {
  D1011: 'mapping.limit',
  D1012: 'mapping.timeout',
  D2015: 'mapping.limit',
}

/** Throws `mapping.invalid` for what is no expression, or one that could not be bounded. */
export function readExpression(text: string, limits: MappingLimits): Expression {
  if (text.length > longestText)
    throw new AppError('mapping.invalid', `An expression has at most ${longestText} characters.`)
  const { timeMs: timeout, depth: stack, items: sequence } = limits
  let expression: jsonata.Expression
  try {
    expression = jsonata(text, { RegexEngine: linearRegExp, timeout, stack, sequence })
    checkPatterns(expression.ast())
  } catch (error) {
    const { position } = error as { readonly position?: number }
    const place = position === undefined ? '' : ` (at character ${position})`
    throw new AppError('mapping.invalid', `${JSON.stringify(text)} is no JSONata: ${whyOf(error)}${place}`)
  }
  checkTree(expression.ast())
  for (const [name, value] of Object.entries(withoutPitfalls(limits))) expression.assign(name, value)
  return {
    async evaluate(input, names) {
      let value: unknown
      try {
        value = await expression.evaluate(input, names)
      } catch (error) {
        throw failure(error, 'The mapping failed')
      }
      return jsonOf(value, limits)
    },
  }
}

/** Lists by their bounds are made at once, before any limit is asked. */
function checkTree(tree: unknown): void {
  if (typeof tree !== 'object' || tree === null) return
  if ('type' in tree && 'value' in tree && tree.type === 'binary' && tree.value === '..')
    throw new AppError('mapping.invalid', 'A mapping has no ranges [a..b]. Use the items of a list that is there.')
  for (const inside of Object.values(tree)) checkTree(inside)
}

function checkPatterns(tree: unknown): void {
  if (tree instanceof RegExp) return void new linearRegExp(tree)
  if (typeof tree === 'object' && tree !== null) for (const inside of Object.values(tree)) checkPatterns(inside)
}

/** Functions of the language whose cost no limit sees, as bounded ones. */
function withoutPitfalls({ items, bytes }: MappingLimits): Record<string, unknown> {
  const refused = (name: string) => (): never => {
    throw new Error(`$${name} is not available.`)
  }
  return {
    eval: refused('eval'),
    random: refused('random'),
    distinct: (list: unknown): unknown => {
      if (!Array.isArray(list)) return list
      const seen = new Map<string, unknown>(list.slice(0, items).map(item => [JSON.stringify(item), item]))
      return [...seen.values()]
    },
    pad: (text: unknown, width: unknown, character: unknown = ' '): unknown => {
      if (typeof text !== 'string' || typeof width !== 'number') return undefined
      if (Math.abs(width) > bytes) throw new AppError('mapping.limit', '$pad makes too long a text.')
      const filling = typeof character === 'string' && character !== '' ? character : ' '
      return width < 0 ? text.padStart(-width, filling) : text.padEnd(width, filling)
    },
  }
}

function jsonOf(value: unknown, { bytes }: MappingLimits): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value, withoutFunctions)
  } catch (error) {
    throw failure(error, 'The mapping gives no JSON')
  }
  if (text === undefined) throw new AppError('mapping.failed', 'The mapping gives nothing for this input.')
  if (Buffer.byteLength(text) > bytes)
    throw new AppError('mapping.limit', `The mapping gives more than ${bytes} bytes.`)
  return text
}

// Functions of the language are objects with a mark.
function withoutFunctions(_key: string, inside: unknown): unknown {
  const isFunction =
    typeof inside === 'object' && inside !== null && ('_jsonata_function' in inside || '_jsonata_lambda' in inside)
  if (isFunction || typeof inside === 'function') throw new Error('a function is no value')
  return inside
}

function failure(error: unknown, what: string): AppError {
  if (error instanceof AppError) return error
  const { code = '' } = (typeof error === 'object' && error !== null ? error : {}) as { readonly code?: string }
  // The language's own depth is bounded too: that of the stack, and the length of a text.
  const known = limitCodes[code] ?? (error instanceof RangeError ? 'mapping.limit' : 'mapping.failed')
  return new AppError(known, `${what}: ${whyOf(error)}`, { cause: error })
}

function whyOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { message } = error as { readonly message?: string }
  return (message ?? 'it could not be evaluated').slice(0, 500)
}
