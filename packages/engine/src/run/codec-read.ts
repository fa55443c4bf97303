/** A stored text that is not what the engine wrote. */
export class UnreadableError extends Error {
  override readonly name = 'UnreadableError'

  constructor(what: string) {
    super(`A stored part of a run cannot be read: ${what}. It was changed, or another release wrote it.`)
  }
}

export type Plain = Readonly<Record<string, unknown>>

export function asObject(value: unknown, what: string): Plain {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UnreadableError(`${what} is no object`)
  return value as Plain
}

/** The items of a list; nothing of what may be left out. */
export function asList(value: unknown, what: string): readonly unknown[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new UnreadableError(`${what} is no list`)
  return value
}

export function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new UnreadableError(`${what} is no text`)
  return value
}

export function asTextOrNull(value: unknown, what: string): string | null {
  return value === undefined || value === null ? null : asText(value, what)
}

export function asTexts(value: unknown, what: string): string[] {
  return asList(value, what).map(item => asText(item, what))
}

/** A whole number from 0; 0 where it may be left out. */
export function asCount(value: unknown, what: string): number {
  if (value === undefined) return 0
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new UnreadableError(`${what} is no count`)
  return value
}

export function asChoice<T extends string>(value: unknown, choices: readonly T[], what: string): T {
  const found = choices.find(choice => choice === value)
  if (found === undefined) throw new UnreadableError(`${what} is unknown`)
  return found
}
