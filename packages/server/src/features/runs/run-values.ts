import { hash } from 'node:crypto'
import { parseJson } from '@slipway/kit/json'
import type { Reference } from '@slipway/engine/reference/reference'
import { decodeReference, encodeReference } from '@slipway/engine/run/codec'
import type { Reader } from '#db/database'
import { selectValues, type ValueRow } from './journal-store.ts'

/** A value stands for itself where it is shorter than a reference to it would be worth. */
const longestInline = 120
// A run that writes more than this many different values may write some of them twice, to no effect.
const mostKnown = 50_000

interface HashToken {
  readonly '#': string
}

/** Puts the values of one run on disk by their content, each once. */
export class ValueWriter {
  readonly #family: string
  readonly #known = new Set<string>()
  readonly #tokens = new WeakMap<Reference, unknown>()
  #fresh: ValueRow[] = []

  constructor(family: string) {
    this.#family = family
  }

  /** What stands for a reference in a record: itself, or the hash under which it is kept. */
  readonly put = (reference: Reference): unknown => {
    const known = this.#tokens.get(reference)
    if (known !== undefined) return known
    const encoded = encodeReference(reference)
    const text = JSON.stringify(encoded)
    const token = text.length <= longestInline ? encoded : ({ '#': this.#keep(text) } satisfies HashToken)
    this.#tokens.set(reference, token)
    return token
  }

  /** A text, or `#` and the hash under which it is kept. Texts given here are JSON, which never begins with `#`. */
  text(text: string): string {
    return text.length <= longestInline ? text : `#${this.#keep(text)}`
  }

  /** What has to be written before, or together with, whatever refers to it. */
  take(): readonly ValueRow[] {
    const fresh = this.#fresh
    if (fresh.length > 0) this.#fresh = []
    return fresh
  }

  #keep(text: string): string {
    const key = hash('sha256', text, 'base64url')
    if (this.#known.has(key)) return key
    if (this.#known.size >= mostKnown) this.#known.clear()
    this.#known.add(key)
    this.#fresh.push({ family: this.#family, hash: key, data: text })
    return key
  }
}

// With backslashes where the JSON stands in a text of other JSON.
const tokenInJson = /\{\\*"#\\*":\\*"([A-Za-z0-9_-]{43})\\*"\}/g

/** The hashes of all values that these texts refer to. */
export function hashesIn(texts: readonly string[]): Set<string> {
  const hashes = new Set<string>()
  for (const text of texts) {
    if (text.startsWith('#')) hashes.add(text.slice(1))
    else for (const [, key = ''] of text.matchAll(tokenInJson)) hashes.add(key)
  }
  return hashes
}

/** Gives those of these values that there are, by hash. */
export type ValueSource = (hashes: readonly string[]) => Promise<ReadonlyMap<string, string>>

/** Reads back what a `ValueWriter` of the same family wrote. */
export class ValueReader {
  readonly #source: ValueSource
  readonly #family: string
  readonly #loaded = new Map<string, string>()
  readonly #references = new Map<string, Reference>()

  constructor(source: Reader | ValueSource, family: string) {
    this.#source = typeof source === 'function' ? source : hashes => selectValues(source, family, hashes)
    this.#family = family
  }

  /** Fetches all that these texts refer to. */
  async load(texts: readonly string[]): Promise<void> {
    const wanted = hashesIn(texts)
    for (const key of this.#loaded.keys()) wanted.delete(key)
    const found = await this.#source([...wanted])
    for (const [key, data] of found) this.#loaded.set(key, data)
  }

  /** The reference that a token of a loaded text stands for. */
  readonly get = (token: unknown): Reference => {
    if (!isHashToken(token)) return decodeReference(token)
    const key = token['#']
    const known = this.#references.get(key)
    if (known) return known
    const reference = decodeReference(parseJson(this.#data(key)))
    this.#references.set(key, reference)
    return reference
  }

  /** The text that `ValueWriter.text` was given. */
  text(kept: string): string {
    return kept.startsWith('#') ? this.#data(kept.slice(1)) : kept
  }

  #data(key: string): string {
    const data = this.#loaded.get(key)
    if (data === undefined) throw new Error(`The value ${key} of the run family ${this.#family} is missing.`)
    return data
  }
}

function isHashToken(token: unknown): token is HashToken {
  return typeof token === 'object' && token !== null && '#' in token
}
