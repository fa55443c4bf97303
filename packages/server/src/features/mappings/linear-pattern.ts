import { RE2JS } from 're2js'

const longestProgram = 2_000

/**
 * A pattern as expressions of JSONata use it, `exec` with groups and `lastIndex`, in time linear in the text. Look-around
 * and references to groups have no such pattern and are refused.
 */
class LinearRegExp {
  readonly source: string
  readonly flags: string
  readonly global = true
  lastIndex = 0
  readonly #pattern: RE2JS

  constructor(given: RegExp | string, flags?: string) {
    this.source = typeof given === 'string' ? given : given.source
    this.flags = flags ?? (typeof given === 'string' ? '' : given.flags)
    let bits = 0
    if (this.flags.includes('i')) bits |= RE2JS.CASE_INSENSITIVE
    if (this.flags.includes('m')) bits |= RE2JS.MULTILINE
    this.#pattern = RE2JS.compile(this.source, bits)
    if (this.#pattern.programSize() > longestProgram) throw new Error('A pattern repeats too much.')
  }

  exec(text: string): RegExpExecArray | null {
    const matcher = this.#pattern.matcher(text)
    if (this.lastIndex > text.length || !matcher.find(this.lastIndex)) {
      this.lastIndex = 0
      return null
    }
    const groups: (string | undefined)[] = []
    for (let group = 0; group <= matcher.groupCount(); group++) groups.push(matcher.group(group) ?? undefined)
    const end = matcher.end()
    this.lastIndex = end === matcher.start() ? end + 1 : end
    return Object.assign(groups, { index: matcher.start(), input: text }) as RegExpExecArray
  }

  test(text: string): boolean {
    return this.exec(text) !== null
  }

  toString(): string {
    return `/${this.source}/${this.flags}`
  }
}

/** In the place of the language's own. */
export const linearRegExp = LinearRegExp as unknown as RegExpConstructor
