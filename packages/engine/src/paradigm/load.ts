import { PyError, type Value } from '#value/value'
import { builtInParadigms } from './built-in/paradigms.ts'
import { parseParadigm, type Paradigm } from './paradigm.ts'

/** The paradigms of a plan: its own, then the built-in ones. Files are read when a step first names them. */
export class LoadedParadigms {
  readonly #texts: ReadonlyMap<string, string>
  readonly #known = new Map<string, Paradigm | Error>()

  constructor(texts: ReadonlyMap<string, string>) {
    this.#texts = texts
  }

  /** The paradigm of this name, or the error that ends a step which uses it. */
  get(name: Value): Paradigm | Error {
    if (typeof name !== 'string' || name === '') {
      return new PyError('ValueError', 'The working interpretation names no paradigm.')
    }
    const known = this.#known.get(name) ?? this.#load(name)
    this.#known.set(name, known)
    return known
  }

  /** The text of the plan's own paradigm of this name; null for built-in and unknown ones. */
  ownText(name: Value): string | null {
    return typeof name === 'string' ? (this.#texts.get(name) ?? null) : null
  }

  #load(name: string): Paradigm | Error {
    const text = this.#texts.get(name)
    if (text === undefined) {
      const missing = `There is no paradigm ${name}: neither the plan nor the engine has a file of that name.`
      return builtInParadigms.get(name) ?? new PyError('FileNotFoundError', missing)
    }
    try {
      return parseParadigm(name, text)
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }
}

export function loadParadigms(texts: ReadonlyMap<string, string>): LoadedParadigms {
  return new LoadedParadigms(texts)
}
