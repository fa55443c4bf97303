// Plans hold Python's integers, which have no largest one. A JSON number that a double cannot hold is read as a bigint
// and written back digit by digit. The parts of the language used here are newer than the compiler's own declarations.
interface NewerJson {
  parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown
  rawJSON(text: string): unknown
}
const json = JSON as unknown as NewerJson

/** Reads JSON; integers beyond 2^53 become bigints. Throws `SyntaxError`. */
export function readJson(text: string): unknown {
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? BigInt(source)
      : value,
  )
}

/** Writes JSON; bigints become integers of any length. */
export function writeJson(value: unknown, indent?: number): string {
  return JSON.stringify(
    value,
    (_key, inside: unknown) => (typeof inside === 'bigint' ? json.rawJSON(inside.toString()) : inside),
    indent,
  )
}

/** Reads JSON whose numbers are only passed on: those that would be written otherwise than they were read (`1.0`) keep their text. */
export function readJsonToPassOn(text: string): unknown {
  return json.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? json.rawJSON(source) : value,
  )
}
