import { readJson } from '../value/json-read.ts'
import { isList, PyDict, PyFloat, type Value } from '../value/value.ts'
import { problemError, type Problem } from './problems.ts'

/** Characters of a JSON file of a plan. Data belong into files that steps read; reading this takes half a second. */
const longestJson = 8 * 1024 * 1024

/** Reads JSON text; what does not parse is a problem of that file. */
export function readJsonText(text: string, { path, problems }: Reporting): Value | undefined {
  if (text.length > longestJson) {
    problems.push(
      problemError({
        code: 'json.too_large',
        path,
        message: `The file has ${text.length} characters; a JSON file of a plan may have ${longestJson}.`,
        hint: 'Move data into files of their own, and name these in signs.',
      }),
    )
    return undefined
  }
  try {
    return readJson(text)
  } catch (error) {
    problems.push(
      problemError({
        code: 'json.invalid',
        path,
        message: `This is not JSON: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Correct the file; a JSON checker shows the place.',
      }),
    )
    return undefined
  }
}

export interface Reporting {
  /** The file, or the place in it, that problems are reported at. */
  readonly path: string
  readonly problems: Problem[]
}

/** Reads the fields of one object and reports each that has the wrong type, once, at its own JSON pointer. */
export class Fields {
  readonly #dict: PyDict
  readonly #at: Reporting

  constructor(dict: PyDict, at: Reporting) {
    this.#dict = dict
    this.#at = at
  }

  has(key: string): boolean {
    return this.#dict.has(key)
  }

  value(key: string): Value {
    return this.#dict.get(key) ?? null
  }

  text(key: string): string | null {
    const value = this.value(key)
    if (value === null || typeof value === 'string') return value
    return this.#wrong(key, 'a string')
  }

  /** Null counts as absent. */
  flag(key: string, fallback: boolean): boolean {
    const value = this.value(key)
    if (value === null) return fallback
    if (typeof value === 'boolean') return value
    this.#wrong(key, 'true, false or null')
    return fallback
  }

  integer(key: string): number | null {
    const value = this.value(key)
    if (value === null || typeof value === 'number') return value
    if (value instanceof PyFloat && Number.isSafeInteger(value.value)) return value.value
    return this.#wrong(key, 'a whole number')
  }

  /** A finite number, whole or not. */
  number(key: string): number | null {
    const value = this.value(key)
    if (value === null) return value
    const number = value instanceof PyFloat ? value.value : typeof value === 'bigint' ? Number(value) : value
    return typeof number === 'number' && Number.isFinite(number) ? number : this.#wrong(key, 'a number')
  }

  /** A list of objects; empty when absent. */
  dicts(key: string): readonly PyDict[] {
    const value = this.value(key)
    if (value === null) return []
    if (isList(value) && value.every(item => item instanceof PyDict)) return value
    this.#wrong(key, 'a list of objects')
    return []
  }

  /** A list of strings; null when absent. */
  texts(key: string): readonly string[] | null {
    const value = this.value(key)
    if (value === null) return null
    if (isList(value) && value.every(item => typeof item === 'string')) return value
    return this.#wrong(key, 'a list of strings')
  }

  dict(key: string): PyDict | null {
    const value = this.value(key)
    if (value === null || value instanceof PyDict) return value
    return this.#wrong(key, 'an object')
  }

  #wrong(key: string, expected: string): null {
    this.#at.problems.push(
      problemError({
        code: 'field.type',
        path: pointer(this.#at.path, key),
        message: `"${key}" must be ${expected}.`,
        hint: `Write ${expected}, or leave the field out.`,
      }),
    )
    return null
  }
}

/** `file#/a/b` plus one more reference token. */
export function pointer(path: string, token: string | number): string {
  const escaped = String(token).replaceAll('~', '~0').replaceAll('/', '~1')
  return path.includes('#') ? `${path}/${escaped}` : `${path}#/${escaped}`
}
