interface NewerJson {
  parse(
    this: void,
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown
  rawJSON(this: void, text: string): unknown
}

/** JSON text; integers of any length are written digit by digit. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null'
  } catch (error) {
    if (!(error instanceof TypeError) || !/BigInt/.test(error.message)) throw error
    // Only where there is one: asking at each value would make every reply slower.
    const { rawJSON } = JSON as unknown as NewerJson
    return JSON.stringify(value, (_key, inside: unknown) =>
      typeof inside === 'bigint' ? rawJSON(inside.toString()) : inside,
    )
  }
}

/**
 * Reads JSON whose values are only passed on with `jsonText`: numbers that would be written otherwise than they were read
 * (`1.0`, integers of any length) keep their text. Throws `SyntaxError`, and `RangeError` for what is nested too deeply.
 */
export function readToPassOn(text: string): unknown {
  const { parse, rawJSON } = JSON as unknown as NewerJson
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && String(value) !== source ? rawJSON(source) : value,
  )
}
