import { toPlain } from '@slipway/engine/value/codec'
import { str } from '@slipway/engine/value/python-repr'
import { isList, PyBytes, PyDict, PySet, PyTuple, type Value } from '@slipway/engine/value/value'

export interface Excerpt {
  /** Plain JSON. */
  readonly data: unknown
  readonly truncated: boolean
  /** About how many characters of JSON it takes. */
  readonly size: number
}

/** A value for a list of many: texts and lists end where `most` characters are used up. */
export function excerptOf(value: Value, most: number): Excerpt {
  const excerpt = new Shortening(most)
  const data = excerpt.shorten(value)
  return { data, truncated: excerpt.isCut, size: most - Math.max(0, excerpt.left) }
}

/** About how many characters of JSON a value takes; stops counting beyond `most`. */
export function sizeOf(value: Value, most = Number.POSITIVE_INFINITY): number {
  if (typeof value === 'string') return value.length + 2
  if (value === null || typeof value === 'boolean') return 5
  if (typeof value === 'number') return String(value).length
  if (typeof value === 'bigint') return value.toString(16).length + 2
  if (value instanceof PyBytes) return 4 * value.bytes.length + 3
  let size = 2
  for (const item of itemsOf(value)) {
    size += sizeOf(item, most - size) + 1
    if (size > most) return size
  }
  return size
}

function itemsOf(value: Exclude<Value, null | string | number | bigint | boolean>): Iterable<Value> {
  if (isList(value)) return value
  if (value instanceof PyDict) return [...value.entries()].flat()
  return value instanceof PyTuple || value instanceof PySet ? value.items : []
}

class Shortening {
  left: number
  isCut = false

  constructor(most: number) {
    this.left = most
  }

  shorten(value: Value): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (isList(value)) return this.#list(value)
    if (value instanceof PyTuple || value instanceof PySet) return this.#list(value.items)
    if (value instanceof PyDict) return this.#dict(value)
    if (sizeOf(value, this.left) > this.left && (value instanceof PyBytes || typeof value === 'bigint')) {
      this.isCut = true
      this.left = 0
      return '…'
    }
    this.left -= sizeOf(value)
    return toPlain(value)
  }

  #text(text: string): string {
    if (text.length + 2 <= this.left) {
      this.left -= text.length + 2
      return text
    }
    const kept = text.slice(0, Math.max(0, this.left - 2))
    this.isCut = true
    this.left = 0
    // Not in the middle of a character.
    return `${/[\uD800-\uDBFF]$/.test(kept) ? kept.slice(0, -1) : kept}…`
  }

  #list(items: Iterable<Value>): unknown[] {
    const kept: unknown[] = []
    for (const item of items) {
      if (this.#isSpent()) break
      kept.push(this.shorten(item))
    }
    return kept
  }

  #dict(dict: PyDict): object {
    const kept: [string, unknown][] = []
    for (const [key, item] of dict.entries()) {
      if (this.#isSpent()) break
      kept.push([this.#text(str(key)), this.shorten(item)])
    }
    return Object.fromEntries(kept)
  }

  // Every item takes a character, so that a list of empty lists ends as well.
  #isSpent(): boolean {
    if (this.left > 1) {
      this.left--
      return false
    }
    this.isCut = true
    return true
  }
}
