import { isList, PyDict, type Value } from '#value/value'
import type { Operand } from './operand.ts'

/** What the steps of the vertical phase see: the function concept's text and the results so far. */
export interface VerticalScope {
  readonly vertical: string
  readonly results: Map<string, Operand>
}

/** A parameter as written: plain data, or data with places that are filled from the scope. */
export type OperandTemplate =
  | { readonly type: 'constant'; readonly value: Value }
  | { readonly type: 'meta'; readonly key: string }
  | { readonly type: 'list'; readonly items: readonly OperandTemplate[] }
  | { readonly type: 'dict'; readonly entries: readonly (readonly [Value, OperandTemplate])[] }

export function compileTemplate(value: Value): OperandTemplate {
  if (value instanceof PyDict) {
    const key = value.get('key')
    if (value.get('__type__') === 'MetaValue' && typeof key === 'string') return { type: 'meta', key }
    const entries = [...value.entries()].map(([name, item]) => [name, compileTemplate(item)] as const)
    if (entries.every(([, item]) => item.type === 'constant')) return { type: 'constant', value }
    return { type: 'dict', entries }
  }
  if (isList(value)) {
    const items = value.map(compileTemplate)
    if (items.every(item => item.type === 'constant')) return { type: 'constant', value }
    return { type: 'list', items }
  }
  return { type: 'constant', value }
}

export function fillTemplate(template: OperandTemplate, scope: VerticalScope): Operand {
  switch (template.type) {
    case 'constant':
      return template.value
    case 'meta':
      return metaValue(template.key, scope)
    // A function inside of a list or an object cannot be used by any tool, so only data is kept there.
    case 'list':
      return template.items.map(item => fillTemplate(item, scope) as Value)
    case 'dict':
      return PyDict.of(template.entries.map(([key, item]) => [key, fillTemplate(item, scope) as Value] as const))
  }
}

function metaValue(key: string, scope: VerticalScope): Operand {
  if (key.startsWith('states.')) return stateValue(key.slice('states.'.length), scope)
  return scope.results.get(key) ?? null
}

/** The few paths of the running step that paradigms look at. The plan's own folder is `.` to the engine. */
export function stateValue(path: string, scope: VerticalScope): Value {
  switch (path) {
    case 'vertical':
    case 'function.concept.name':
      return scope.vertical
    case 'body.base_dir':
      return '.'
    default:
      return null
  }
}
