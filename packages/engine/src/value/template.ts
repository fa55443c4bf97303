import { requireText } from './limits.ts'
import { str } from './python-repr.ts'
import type { PyDict } from './value.ts'

const PLACEHOLDER = /\$(?:\$|([_a-zA-Z][_a-zA-Z0-9]*)|\{([_a-zA-Z][_a-zA-Z0-9]*)\})/g

/**
 * `string.Template.safe_substitute`: `$name` and `${name}` with ASCII names become `str()` of the value, `$$` becomes
 * `$`, unknown names and other dollars stay as they are. Throws `MemoryError` for a text that gets too long.
 */
export function safeSubstitute(template: string, values: PyDict): string {
  if (!template.includes('$')) return template
  const texts = new Map<string, string>()
  let filled = ''
  let end = 0
  let length = template.length
  for (const match of template.matchAll(PLACEHOLDER)) {
    filled += template.slice(end, match.index)
    end = match.index + match[0].length
    const name = match[1] ?? match[2]
    const value = name === undefined ? '$' : values.get(name)
    const text = value === undefined ? match[0] : (texts.get(name ?? '') ?? str(value))
    if (value !== undefined) texts.set(name ?? '', text)
    length += text.length + PLACE_WEIGHT
    requireText(length)
    filled += text
  }
  return filled + template.slice(end)
}

/** A place costs time even where nothing is filled in. */
const PLACE_WEIGHT = 8
