/**
 * The Python value model that plans are written in.
 *
 * A `number` is always a Python int that fits 53 bits, a `bigint` one that does not; floats are `PyFloat`, so that
 * `1` and `1.0` stay different through prompts, files and the journal. All values are immutable by convention:
 * nobody changes an array or a `PyDict` that was handed on.
 */
export type Value =
  null | boolean | number | bigint | string | PyFloat | PyTuple | PyDict | PySet | PyBytes | readonly Value[]

/**
 * How deeply values may nest. Readers refuse what is deeper, so that no walk over a value can exhaust the stack.
 */
export const MAX_DEPTH = 400

export function isList(value: unknown): value is readonly Value[] {
  return Array.isArray(value)
}

/** The class name of a Python exception together with the text that `str()` of it gives. */
export class PyError extends Error {
  override readonly name: string

  constructor(name: string, message: string) {
    super(message)
    this.name = name
  }
}

export class PyFloat {
  readonly value: number

  constructor(value: number) {
    this.value = value
  }
}

export class PyTuple {
  readonly items: readonly Value[]

  constructor(items: readonly Value[]) {
    this.items = items
  }
}

export class PySet {
  readonly items: readonly Value[]

  /** Drops repeated elements; throws `PyError` for elements that cannot be hashed. */
  static of(items: Iterable<Value>): PySet {
    return new PySet(PyDict.of([...items].map(item => [item, null])).keys())
  }

  constructor(items: readonly Value[]) {
    this.items = items
  }
}

export class PyBytes {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** A Python dict: insertion order kept, any hashable key, `1`, `1.0` and `True` are the same key. */
export class PyDict {
  readonly #entries = new Map<string, readonly [Value, Value]>()

  static of(entries: Iterable<readonly [Value, Value]>): PyDict {
    const dict = new PyDict()
    for (const entry of entries) dict.#set(entry)
    return dict
  }

  /** A dict with string keys, in the order of the object's own keys. For literals in code, not for data from outside. */
  static from(object: Readonly<Record<string, Value>>): PyDict {
    return PyDict.of(Object.entries(object))
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: Value): boolean {
    return this.#entries.has(slotOf(key))
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(slotOf(key))?.[1]
  }

  keys(): Value[] {
    return [...this.#entries.values()].map(([key]) => key)
  }

  values(): Value[] {
    return [...this.#entries.values()].map(([, value]) => value)
  }

  entries(): IterableIterator<readonly [Value, Value]> {
    return this.#entries.values()
  }

  /** A copy with this entry added or replaced; a replaced key keeps its place, as in Python. */
  with(key: Value, value: Value): PyDict {
    return PyDict.of([...this.#entries.values(), [key, value]])
  }

  #set(entry: readonly [Value, Value]): void {
    const slot = slotOf(entry[0])
    const known = this.#entries.get(slot)
    this.#entries.set(slot, known ? [known[0], entry[1]] : entry)
  }
}

// Strings are their own slot, which keeps the common case cheap; other keys get a prefix no text of a plan starts with.
function slotOf(key: Value): string {
  if (typeof key === 'string') return key.startsWith('\u0000') ? `\u0000s${key}` : key
  return `\u0000${hashText(key)}`
}

function hashText(key: Value): string {
  if (key === null) return 'none'
  if (typeof key === 'boolean') return key ? 'n1' : 'n0'
  if (typeof key === 'number' || typeof key === 'bigint') return `n${key}`
  if (typeof key === 'string') return `s${key.length}:${key}`
  if (key instanceof PyFloat) {
    return Number.isInteger(key.value) ? `n${BigInt(key.value)}` : `f${key.value}`
  }
  if (key instanceof PyTuple) return `t(${key.items.map(hashText).join(',')})`
  if (key instanceof PyBytes) return `b${[...key.bytes].join('.')}`
  throw new PyError('TypeError', `unhashable type: '${typeName(key)}'`)
}

/** The name of a value's Python type, as error messages show it. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number' || typeof value === 'bigint') return 'int'
  if (typeof value === 'string') return 'str'
  if (isList(value)) return 'list'
  if (value instanceof PyDict) return 'dict'
  if (value instanceof PyFloat) return 'float'
  if (value instanceof PyTuple) return 'tuple'
  if (value instanceof PySet) return 'set'
  return 'bytes'
}

/** An int in its one form: `number` where it fits 53 bits, `bigint` beyond. */
export function toInt(digits: bigint): number | bigint {
  return digits >= -MAX_SAFE && digits <= MAX_SAFE ? Number(digits) : digits
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
