/** What an answer should look like, read from an example such as `{"risk": "low|high", "score": <0.0-1.0>}`. */
export type Shape =
  | { readonly type: 'text'; readonly hint: string }
  | { readonly type: 'fixed'; readonly value: string }
  | { readonly type: 'choice'; readonly options: readonly string[]; readonly hint: string }
  | { readonly type: 'boolean'; readonly hint: string }
  | { readonly type: 'number'; readonly hint: string; readonly min: number | null; readonly max: number | null }
  | { readonly type: 'list'; readonly item: Shape; readonly hint: string }
  | { readonly type: 'object'; readonly entries: readonly Entry[] }

export interface Entry {
  readonly key: string
  readonly shape: Shape
}

export interface ReadShape {
  readonly shape: Shape
  readonly end: number
}

const limits = { depth: 8, length: 4000, entries: 60, stringLength: 2000, options: 20 } as const

/**
 * Reads the object or list that starts at `start`. It is lenient, since people write such examples by hand:
 * placeholders, comments, alternatives, dots, bare keys and a missing end are all understood. It reads 4,000 characters
 * at most. `null`: there is none.
 */
export function readShape(text: string, start: number): ReadShape | null {
  const reader = new Reader(text.slice(0, start + limits.length), start)
  const shape = reader.value('', 0)
  return shape?.type === 'object' || shape?.type === 'list' ? { shape, end: reader.at } : null
}

class Reader {
  at: number
  readonly #text: string

  constructor(text: string, at: number) {
    this.#text = text
    this.at = at
  }

  value(key: string, depth: number): Shape | null {
    this.#skip()
    if (depth > limits.depth || this.at >= this.#text.length) return null
    const char = this.#text.charAt(this.at)
    if (char === '{') return this.#object(depth)
    if (char === '[') return this.#list(key, depth)
    return this.#scalar(key)
  }

  #object(depth: number): Shape {
    this.at += 1
    const entries: Entry[] = []
    while (this.#inside('}')) {
      const key = this.#key()
      if (key === null) {
        this.at += 1
        continue
      }
      const shape = this.value(key, depth + 1)
      if (shape === null) break
      const hint = this.#comment()
      if (entries.length < limits.entries && !entries.some(entry => entry.key === key)) {
        entries.push({ key, shape: hint === '' ? shape : refine(shape, hint) })
      }
    }
    this.at += 1
    return { type: 'object', entries }
  }

  #list(key: string, depth: number): Shape {
    this.at += 1
    let item: Shape | null = null
    while (this.#inside(']')) {
      const before = this.at
      const next = this.value(key, depth + 1)
      // A placeholder in brackets describes the list itself: [<list of reasons>].
      item ??= next?.type === 'list' && next.hint !== '' ? next.item : next
      if (next === null || this.at === before) this.at += 1
    }
    this.at += 1
    return { type: 'list', item: item ?? { type: 'text', hint: '' }, hint: '' }
  }

  /** A quoted text, a placeholder or bare words, with the alternatives after it. */
  #scalar(key: string): Shape {
    const parts: string[] = []
    let bare = ''
    while (this.at < this.#text.length) {
      const char = this.#text.charAt(this.at)
      if (char === ',' || char === '}' || char === ']' || char === '\n') break
      if (char === '"' || char === '<') {
        parts.push(this.#until(char === '"' ? '"' : '>'))
        continue
      }
      if (this.#text.startsWith('//', this.at)) break
      bare += char
      this.at += 1
    }
    const rest = bare.trim()
    const options = parts.length > 1 && /\||\bor\b|\//.test(rest) ? parts.join('|') : null
    return shapeOf(options ?? parts[0] ?? rest, { key, quoted: parts.length > 0 })
  }

  /** The text between the mark at the current place and its closing mark on the same line. */
  #until(close: string): string {
    const from = this.at + 1
    for (let at = from; at < this.#text.length && at - from < limits.stringLength; at++) {
      const char = this.#text.charAt(at)
      if (char === '\\') at += 1
      else if (char === close) {
        this.at = at + 1
        return this.#text.slice(from, at)
      } else if (char === '\n') break
    }
    this.at = from
    return ''
  }

  #key(): string | null {
    const match = /["']?([\p{L}_][\p{L}\p{N}_ .-]{0,80}?)["']?\s{0,4}:/uy
    match.lastIndex = this.at
    const found = match.exec(this.#text)
    if (found === null) return null
    this.at = match.lastIndex
    return found[1] ?? null
  }

  /** A remark behind an entry on its line, which usually says more about the value. */
  #comment(): string {
    const match = /[ \t]*,?[ \t]*\/\/([^\n]*)/y
    match.lastIndex = this.at
    const found = match.exec(this.#text)
    if (found !== null) this.at = match.lastIndex
    return found?.[1]?.trim() ?? ''
  }

  #inside(close: string): boolean {
    this.#skip()
    return this.at < this.#text.length && this.#text.charAt(this.at) !== close
  }

  #skip(): void {
    for (;;) {
      const char = this.#text.charAt(this.at)
      if (char === ',' || char === ' ' || char === '\t' || char === '\n' || char === '\r') this.at += 1
      else if (this.#text.startsWith('//', this.at)) {
        const end = this.#text.indexOf('\n', this.at)
        this.at = end === -1 ? this.#text.length : end
      } else return
    }
  }
}

/** Tells the type of a value from the words that stand for it. */
export function shapeOf(words: string, { key, quoted }: { readonly key: string; readonly quoted: boolean }): Shape {
  const text = words.trim()
  const options = optionsIn(text)
  if (isTruth(text, options)) return { type: 'boolean', hint: text }
  if (options.length > 1) return { type: 'choice', options, hint: text }
  if (/^-?\d/.test(text)) return numeric(text, quoted)
  if (/\b(?:list|array) of\b|列表|数组/i.test(text)) {
    return { type: 'list', item: { type: 'text', hint: text }, hint: text }
  }
  if (/\b(?:float|integer|int|number|decimal|percentage)\b|整数|小数|数字/i.test(text)) {
    return { type: 'number', hint: text, ...(rangeIn(text) ?? { min: null, max: null }) }
  }
  // A word in capitals in place of a value is the value: "action": "HOLD".
  if (quoted && /^[A-Z][A-Z0-9_]+$/.test(text)) return { type: 'fixed', value: text }
  return { type: 'text', hint: text === '...' || text === '…' ? key : text }
}

function isTruth(text: string, options: readonly string[]): boolean {
  const lower = options.map(option => option.toLowerCase())
  if (lower.includes('true') && lower.includes('false')) return true
  return /^(?:true|false)$|\b(?:boolean|bool|true or false|true if)\b|布尔|是否/i.test(text)
}

/** A figure as an example, or a range such as 0.0-1.0. Between quotes only a range is a number. */
function numeric(text: string, quoted: boolean): Shape {
  const range = rangeIn(text)
  if (range !== null) return { type: 'number', hint: text, ...range }
  if (!quoted && /^-?\d+(?:\.\d+)?$/.test(text)) return { type: 'number', hint: '', min: null, max: null }
  return { type: 'text', hint: text }
}

/** A shape with a further remark about it; a plain text becomes what the remark says it is. */
export function refine(shape: Shape, remark: string): Shape {
  switch (shape.type) {
    case 'text': {
      const better = shapeOf(remark, { key: '', quoted: false })
      if (better.type === 'text' || better.type === 'fixed') return { type: 'text', hint: `${shape.hint} ${remark}` }
      return better
    }
    case 'list':
    case 'choice':
    case 'boolean':
    case 'number':
      return { ...shape, hint: `${shape.hint} ${remark}` }
    case 'fixed':
    case 'object':
      return shape
  }
}

/** The alternatives that a text offers: `a|b|c`, `a/b/c`, `one of: a, b or c`, `"a" or "b"`. Empty: none. */
export function optionsIn(text: string): string[] {
  const line = text.slice(0, 1000)
  if (line.includes('|')) return clean(line.split('|'))
  const listed =
    /(?:\b(?:one of|either|any of|choose from|exactly one of)\b(?: the following)?|之一)\s*[:：]?\s*([^.。\n]+)/i.exec(
      line,
    )
  if (listed?.[1] !== undefined) return clean(listed[1].split(/,|，|、|\/|;|\bor\b|或/))
  const quoted = [...line.matchAll(/["'`]([\p{L}\p{N}_ -]{1,40})["'`]/gu)].map(match => match[1] ?? '')
  if (quoted.length > 1 && /\bor\b|或/.test(line)) return clean(quoted)
  if (/^[\p{L}_-]+(?:\s?\/\s?[\p{L}_-]+)+$/u.test(line)) return clean(line.split('/'))
  return []
}

function clean(options: readonly string[]): string[] {
  const words = options.map(option => option.replaceAll(/["'`()<>[\]]/g, '').trim()).filter(option => option !== '')
  const distinct = [...new Set(words)]
  return distinct.length > 1 &&
    distinct.length <= limits.options &&
    distinct.every(option => option.length <= 40 && option.split(/\s+/).length <= 4)
    ? distinct
    : []
}

function rangeIn(text: string): { readonly min: number; readonly max: number } | null {
  const number = String.raw`(-?\d{1,9}(?:\.\d{1,9})?)`
  const between = String.raw`(?:\s?\([^()]{0,40}\))?\s?(?:-|–|\.\.|to|and|到|至|与|和)\s?`
  const found = new RegExp(`${number}${between}${number}`).exec(text)
  if (found === null) return null
  const [min, max] = [Number(found[1]), Number(found[2])]
  return min < max ? { min, max } : null
}
