import type { Reference } from '@slipway/engine/reference/reference'
import { stripSign } from '@slipway/engine/reference/sign'
import { toPlain } from '@slipway/engine/value/codec'
import { PyDict, type Value } from '@slipway/engine/value/value'
import type { FinalConcept } from '@slipway/protocol/runs'

/** A final concept as clients see it: the cells as they are, and their content with the signs read. */
export function toFinalConcept(name: string, reference: Reference | null): FinalConcept {
  if (reference === null || reference.axes.length === 0) {
    return { name, has_value: false, axes: [], shape: [], data: null, value: null }
  }
  const { axes, shape, data } = reference
  return {
    name,
    has_value: true,
    axes: [...axes],
    shape: [...shape],
    data: toPlain(data),
    value: toPlain(content(reference)),
  }
}

function content({ shape, data }: Reference): Value {
  const single = shape.every(size => size === 1)
  return withoutSigns(
    single ? shape.reduce<Value>(inner => (Array.isArray(inner) ? (inner[0] as Value) : inner), data) : data,
  )
}

/** Signs within signs that are read. Each could hold nothing but the next, and texts come from anywhere. */
const mostLevels = 500

function withoutSigns(value: Value, level = 0): Value {
  if (level > mostLevels) return value
  if (typeof value === 'string') {
    const stripped = stripSign(value)
    return stripped === value ? value : withoutSigns(stripped, level + 1)
  }
  if (Array.isArray(value)) return value.map((item: Value) => withoutSigns(item, level + 1))
  if (value instanceof PyDict)
    return PyDict.of([...value.entries()].map(([key, item]) => [key, withoutSigns(item, level + 1)] as const))
  return value
}
