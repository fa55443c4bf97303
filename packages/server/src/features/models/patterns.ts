import { RE2JS } from 're2js'

/** A pattern of a plan, ready to match; or why it never will. */
export type Pattern =
  { readonly ok: true; readonly matches: (text: string) => boolean } | { readonly ok: false; readonly because: string }

/** Patterns come from strangers: they run in time linear in text and program, and both have limits besides. */
const limits = { programSize: 1000, subjectLength: 500, refusals: 5 } as const

/**
 * Compiles the patterns of one plan. `matches` looks at the start of a text of at most 500 characters, like Python's
 * `re.match`.
 */
export function compilePatterns(patterns: readonly string[]): Pattern[] {
  let refused = 0
  return patterns.map(pattern => {
    // Compiling a pattern only to refuse it costs up to a tenth of a second: a few are enough to make the point.
    if (refused >= limits.refusals) return { ok: false, because: 'too many patterns before it could not be used' }
    const compiled = compile(pattern)
    if (!compiled.ok) refused += 1
    return compiled
  })
}

function compile(pattern: string): Pattern {
  try {
    const compiled = RE2JS.compile(pattern)
    if (compiled.programSize() > limits.programSize) return { ok: false, because: 'it repeats too much' }
    return { ok: true, matches: text => text.length <= limits.subjectLength && compiled.matcher(text).lookingAt() }
  } catch {
    return {
      ok: false,
      because: 'it is no regular expression that runs in linear time; look-around and back-references are not allowed',
    }
  }
}
