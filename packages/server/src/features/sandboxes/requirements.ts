import type { PythonSandboxes } from './sandboxes.ts'

/**
 * The packages of a `python_requirements.txt` (its lines, or single PEP 508 requirements) that the scripts of a plan
 * could not import in these sandboxes, by name and in the order given. Nothing is ever downloaded, so these are missing
 * for good. Versions are not compared.
 */
export async function checkRequirements(names: readonly string[], sandboxes: PythonSandboxes): Promise<string[]> {
  const wanted = names.flatMap(line => requirementName(line) ?? [])
  if (wanted.length === 0) return []
  const packages = await sandboxes.packages()
  return [...new Set(wanted)].filter(name => !packages.has(normalName(name)))
}

/** Names of packages are compared in this form: lower case, runs of `-`, `_` and `.` as one `-`. */
export function normalName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

/** The name at the start of a requirement line; undefined for comments, empty lines and options such as `-r`. */
function requirementName(line: string): string | undefined {
  const text = line.replace(/(^|\s)#.*$/, '').trim()
  if (text === '' || text.startsWith('-')) return undefined
  const name = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?/.exec(text)?.[0]
  return name ?? text
}
