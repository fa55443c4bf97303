export function builtInParadigmNames(): ReadonlySet<string> {
  return new Set()
}
