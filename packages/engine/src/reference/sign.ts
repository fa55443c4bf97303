import { literalOrText } from '../value/literal-eval.ts'
import { str } from '../value/python-repr.ts'
import type { Value } from '../value/value.ts'

/** A value in the form `%{norm}id(signifier)`: how plans write text that stands for something else. */
export interface Sign {
  /** How to perceive the signifier: `file_location`, `truth_value` …; `null` when it is not said. */
  readonly norm: string | null
  readonly id: string
  readonly signifier: string
}

const HEAD = /^%(?:\{([A-Za-z0-9_]+)\})?([A-Za-z0-9]*)\(/

/** The parts of a sign, `null` for a text that is none. The signifier reaches to the last character's `)`. */
export function decodeSign(text: string): Sign | null {
  if (!isSign(text)) return null
  const head = HEAD.exec(text)
  if (head === null) return null
  return { norm: head[1] ?? null, id: head[2] ?? '', signifier: text.slice(head[0].length, -1) }
}

export function isSign(value: Value): value is string {
  return typeof value === 'string' && value.startsWith('%') && value.endsWith(')') && HEAD.test(value)
}

/** The sign of a value's Python text. Norm `literal`, like none, is not written. */
export function encodeSign(value: Value, norm: string | null, id: string): string {
  return norm === null || norm === '' || norm === 'literal' ? `%${id}(${str(value)})` : `%{${norm}}${id}(${str(value)})`
}

/** What a sign carries: its signifier as a Python literal where it is one, else the text. Anything else is unchanged. */
export function stripSign(value: Value): Value {
  if (typeof value !== 'string') return value
  const sign = decodeSign(value)
  return sign === null ? value : literalOrText(sign.signifier)
}
