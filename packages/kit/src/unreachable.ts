/** Marks the default of an exhaustive switch: a new variant then fails to compile here. */
export function unreachable(value: never): never {
  throw new Error(`Unexpected variant: ${JSON.stringify(value)}`)
}
