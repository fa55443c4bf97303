import type { RunEvent } from '@slipway/protocol/events'

export interface EventFields {
  readonly text: (name: string) => string | undefined
  readonly number: (name: string) => number | undefined
  /** The texts of a list; empty when there is none. */
  readonly texts: (name: string) => readonly string[]
  readonly record: (name: string) => Readonly<Record<string, unknown>> | undefined
}

/** Reads an event's own fields by name; what is absent or of another type is undefined. */
export function fields(event: RunEvent): EventFields {
  const of = (name: string): unknown => event[name]
  return {
    text(name) {
      const value = of(name)
      return typeof value === 'string' ? value : undefined
    },
    number(name) {
      const value = of(name)
      return typeof value === 'number' ? value : undefined
    },
    texts(name) {
      const value = of(name)
      return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
    },
    record(name) {
      const value = of(name)
      return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? (value as Readonly<Record<string, unknown>>)
        : undefined
    },
  }
}

/** What went wrong, of an event that tells of an error: the text, or the message of `{name, message}`. */
export function errorText(event: RunEvent): string | undefined {
  const { text, record } = fields(event)
  const message = record('error')?.['message']
  return text('error') ?? (typeof message === 'string' ? message : undefined)
}
