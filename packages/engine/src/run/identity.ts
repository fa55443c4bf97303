import { isList, PyBytes, type PyDict, PyFloat, PySet, PyTuple, type Value } from '#value/value'

/** A text that is equal for two values exactly when Python's `==` holds between them. */
export function identityOf(value: Value): string {
  if (value === null) return 'N'
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
      return value ? '1' : '0'
    case 'number':
    case 'bigint':
      return value.toString()
    default:
      return isList(value) ? `[${value.map(identityOf).join()}]` : identityOfObject(value)
  }
}

function identityOfObject(value: PyFloat | PyTuple | PyDict | PySet | PyBytes): string {
  if (value instanceof PyFloat)
    return Number.isInteger(value.value) ? BigInt(value.value).toString() : `f${value.value}`
  if (value instanceof PyTuple) return `(${value.items.map(identityOf).join()})`
  if (value instanceof PyBytes) return `b${[...value.bytes].join('.')}`
  if (value instanceof PySet) return `s{${value.items.map(identityOf).sort().join()}}`
  const entries = [...value.entries()].map(([key, item]) => `${identityOf(key)}:${identityOf(item)}`)
  return `{${entries.sort().join()}}`
}
