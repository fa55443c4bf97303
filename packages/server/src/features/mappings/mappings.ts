import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import jsonata from 'jsonata'
import { linearRegExp } from './linear-pattern.ts'

/** An expression that was checked, and may be evaluated any number of times. */
export interface Mapping {
  readonly text: string
  /** Gives JSON. Throws `mapping.failed`: the same input fails again. */
  evaluate(input: unknown, names?: Readonly<Record<string, unknown>>): Promise<unknown>
}

/** What one evaluation may use. */
export interface MappingLimits {
  readonly timeMs: number
  /** Calls inside calls. */
  readonly depth: number
  /** Items of a list that the expression makes. */
  readonly items: number
  /** Of the result as JSON. */
  readonly bytes: number
}

export const usualLimits: MappingLimits = { timeMs: 250, depth: 100, items: 50_000, bytes: 1_048_576 }

const longestText = 4_000

/** Throws `mapping.invalid` for what is no expression, or one that could not be bounded. */
export function compileMapping(text: string, limits: MappingLimits = usualLimits): Mapping {
  if (text.length > longestText)
    throw new AppError('mapping.invalid', `An expression has at most ${longestText} characters.`)
  const read = (): jsonata.Expression =>
    jsonata(text, {
      RegexEngine: linearRegExp,
      timeout: limits.timeMs,
      stack: limits.depth,
      sequence: limits.items,
    })
  checkText(text, read)
  return {
    text,
    async evaluate(input, names = {}) {
      // Names that one evaluation binds must not be there in the next.
      const expression = read()
      for (const [name, value] of Object.entries(withoutPitfalls(limits))) expression.assign(name, value)
      let value: unknown
      try {
        value = await expression.evaluate(plain(input), plain(names) as Record<string, unknown>)
      } catch (error) {
        throw new AppError('mapping.failed', `The mapping failed: ${whyOf(error)}`, { cause: error })
      }
      return checkedResult(value, limits)
    },
  }
}

function checkText(text: string, read: () => jsonata.Expression): void {
  let tree: unknown
  try {
    tree = read().ast()
    checkPatterns(tree)
  } catch (error) {
    const { position } = error as { readonly position?: number }
    const place = position === undefined ? '' : ` (at character ${position})`
    throw new AppError('mapping.invalid', `${JSON.stringify(text)} is no JSONata: ${whyOf(error)}${place}`)
  }
  checkTree(tree)
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
      if (Math.abs(width) > bytes) throw new Error('$pad makes too long a text.')
      const filling = typeof character === 'string' && character !== '' ? character : ' '
      return width < 0 ? text.padStart(-width, filling) : text.padEnd(width, filling)
    },
  }
}

/** JSON and nothing else: no prototypes, no functions of ours. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : parseJson(JSON.stringify(value))
}

function checkedResult(value: unknown, { bytes }: MappingLimits): unknown {
  let text: string | undefined
  try {
    text = JSON.stringify(value, withoutFunctions)
  } catch (error) {
    throw new AppError('mapping.failed', `The mapping gives no JSON: ${whyOf(error)}`, { cause: error })
  }
  if (text === undefined) throw new AppError('mapping.failed', 'The mapping gives nothing for this input.')
  if (Buffer.byteLength(text) > bytes)
    throw new AppError('mapping.failed', `The mapping gives more than ${bytes} bytes.`)
  return parseJson(text)
}

// Functions of the language are objects with a mark.
function withoutFunctions(_key: string, inside: unknown): unknown {
  const isFunction =
    typeof inside === 'object' && inside !== null && ('_jsonata_function' in inside || '_jsonata_lambda' in inside)
  if (isFunction || typeof inside === 'function') throw new Error('a function is no value')
  return inside
}

function whyOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return String(error)
  const { message } = error as { readonly message?: string }
  return (message ?? 'it could not be evaluated').slice(0, 500)
}
