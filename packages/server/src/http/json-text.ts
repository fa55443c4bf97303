interface NewerJson {
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
