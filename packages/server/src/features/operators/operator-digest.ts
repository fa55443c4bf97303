import { createHash } from 'node:crypto'
import type { CheckedRegistration } from '@slipway/protocol/bus/operators'

/** Names a configuration: what an operator says of itself, and of a proxy also what it does. */
export function configDigest({ operatorId: _, ...registration }: CheckedRegistration, further: unknown = null): string {
  const sorted = {
    ...registration,
    topics: registration.topics.toSorted(),
    supportedSchemas: registration.supportedSchemas.toSorted(),
  }
  return createHash('sha256')
    .update(JSON.stringify([sortedNames(sorted), sortedNames(further)]))
    .digest('hex')
}

function sortedNames(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedNames)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inside]) => [name, sortedNames(inside)]),
  )
}
