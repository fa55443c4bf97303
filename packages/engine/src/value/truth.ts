import { isList, PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

/** Python's truth of a value: empty texts and collections, zeros, `None` and `False` are false. */
export function isTruthy(value: Value): boolean {
  if (value === null || typeof value !== 'object') return Boolean(value)
  if (isList(value)) return value.length > 0
  if (value instanceof PyDict) return value.size > 0
  if (value instanceof PyFloat) return value.value !== 0
  if (value instanceof PyBytes) return value.bytes.length > 0
  return value.items.length > 0
}

/** Python's `==`, deeply: `1 == 1.0 == True`; a list never equals a tuple; the order of dict keys does not matter. */
export function equals(a: Value, b: Value): boolean {
  const left = numeric(a)
  const right = numeric(b)
  if (left !== undefined && right !== undefined) return sameNumber(left, right)
  if (left !== undefined || right !== undefined) return false
  if (a === b) return true
  return a !== null && b !== null && typeof a === 'object' && typeof b === 'object' && sameCollection(a, b)
}

type Collection = Extract<Value, object>

function sameCollection(a: Collection, b: Collection): boolean {
  if (isList(a)) return isList(b) && sameItems(a, b)
  if (a instanceof PyTuple) return b instanceof PyTuple && sameItems(a.items, b.items)
  if (a instanceof PyDict) return b instanceof PyDict && sameDict(a, b)
  if (a instanceof PySet) return b instanceof PySet && sameSet(a, b)
  return a instanceof PyBytes && b instanceof PyBytes && sameBytes(a.bytes, b.bytes)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function numeric(value: Value): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  return value instanceof PyFloat ? value.value : undefined
}

// JavaScript compares a number with a bigint by their exact mathematical values, as Python does.
function sameNumber(a: number | bigint, b: number | bigint): boolean {
  // eslint-disable-next-line eqeqeq
  return a == b
}

// Python looks at identity before equality inside collections, so a list equals itself even when it holds nan.
function sameItems(a: readonly Value[], b: readonly Value[]): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const left = a[i] as Value
    const right = b[i] as Value
    if (left !== right && !equals(left, right)) return false
  }
  return true
}

function sameDict(a: PyDict, b: PyDict): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a.entries()) {
    const other = b.get(key)
    if (other === undefined || (other !== value && !equals(value, other))) return false
  }
  return true
}

function sameSet(a: PySet, b: PySet): boolean {
  if (a.items.length !== b.items.length) return false
  const known = PyDict.of(b.items.map(item => [item, null]))
  return a.items.every(item => known.has(item))
}
