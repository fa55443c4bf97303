import { str } from './python-repr.ts'
import type { PyDict } from './value.ts'

const PLACEHOLDER = /\$(?:\$|([_a-zA-Z][_a-zA-Z0-9]*)|\{([_a-zA-Z][_a-zA-Z0-9]*)\})/g

/**
 * `string.Template.safe_substitute`: `$name` and `${name}` with ASCII names become `str()` of the value, `$$` becomes
 * `$`, unknown names and other dollars stay as they are.
 */
export function safeSubstitute(template: string, values: PyDict): string {
  if (!template.includes('$')) return template
  return template.replace(PLACEHOLDER, (whole, named: string | undefined, braced: string | undefined) => {
    const name = named ?? braced
    if (name === undefined) return '$'
    const value = values.get(name)
    return value === undefined ? whole : str(value)
  })
}
