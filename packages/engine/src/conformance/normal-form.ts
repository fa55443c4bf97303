import { dumpJson } from '#value/json-write'
import { str } from '#value/python-repr'
import { isList, PyBytes, PyDict, PySet, PyTuple, type Value } from '#value/value'

/** What differs between two runs of the same plan without meaning anything. */
export interface NormalForm {
  /** The folder that a run's files are in; it is shown as `<BASE>`. */
  readonly baseDir: string
}

const SIGN_ID = /%(\{[a-zA-Z0-9_]+\})?[0-9a-f]{3}\(/g

export function normalText(text: string, form: NormalForm): string {
  return text.replaceAll(form.baseDir, '<BASE>').replace(SIGN_ID, '%$1xxx(')
}

/** The value with sign ids and the run's folder replaced, tuples as lists and keys as texts. */
export function normalValue(value: Value, form: NormalForm): Value {
  if (typeof value === 'string') return normalText(value, form)
  if (isList(value)) return value.map(item => normalValue(item, form))
  if (value instanceof PyTuple || value instanceof PySet) return value.items.map(item => normalValue(item, form))
  if (value instanceof PyBytes) return str(value)
  if (value instanceof PyDict) {
    return PyDict.of([...value.entries()].map(([key, item]) => [str(key), normalValue(item, form)] as const))
  }
  return value
}

/** One text for values that are the same apart from the order of keys. Ints and floats stay apart. */
export function canonicalText(value: Value): string {
  return dumpJson(value, { sortKeys: true })
}
