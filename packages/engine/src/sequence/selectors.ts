import { perceive, type Perceiving, type PerceptionContext } from '#reference/perception'
import { encodeSign, stripSign } from '#reference/sign'
import { isList, PyDict, PyTuple, type Value } from '#value/value'

/** Which part of a value a step takes, and in what form. */
export interface Selector {
  readonly sourceConcept?: string | undefined
  readonly index?: number | undefined
  readonly key?: Value | undefined
  readonly unpack?: boolean | undefined
  readonly unpackBeforeSelection?: boolean | undefined
  /** `true`: a list stays one input; `false`: its items become inputs. */
  readonly packed?: boolean | undefined
  readonly stripWrapper?: boolean | undefined
  /** Names of new entries, each with the norm to perceive the value by, or `NULL` for the bare value. */
  readonly branch?: PyDict | undefined
  /** The norm to write the value under. */
  readonly newWrapper?: string | undefined
}

/** A list whose items count one by one. It lives within a step and never reaches a concept. */
export class UnpackedList extends PyTuple {
  readonly kind = 'unpacked'
}

/** A value that counts as one input even where lists are taken apart. It lives within a step as well. */
export class PackedValue extends PyTuple {
  readonly kind = 'packed'

  get value(): Value {
    return this.items[0] ?? null
  }
}

export interface TransformContext extends PerceptionContext {
  readonly nextId: () => string
}

/** A selector from a plan's own entry; fields of a wrong type count as absent. */
export function readSelector(entry: Value | undefined): Selector {
  if (!(entry instanceof PyDict)) return {}
  const index = entry.get('index')
  const branch = entry.get('branch')
  return {
    sourceConcept: textAt(entry, 'source_concept'),
    index: typeof index === 'number' ? index : undefined,
    key: entry.get('key') ?? undefined,
    unpack: entry.get('unpack') === true,
    unpackBeforeSelection: entry.get('unpack_before_selection') === true,
    packed: flagAt(entry, 'packed'),
    stripWrapper: entry.get('strip_wrapper') === true,
    branch: branch instanceof PyDict && branch.size > 0 ? branch : undefined,
    newWrapper: textAt(entry, 'new_wrapper'),
  }
}

/** The structural part: item of a list, then entry of a dict, then taking a list apart. What does not fit is left out. */
export function selectPart(element: Value, selector: Selector): Value {
  if (selector.unpackBeforeSelection === true && isList(element)) {
    return new UnpackedList(element.map(item => entryOf(item, selector.key)))
  }
  const item = isList(element) && selector.index !== undefined ? element.at(selector.index) : element
  const entry = entryOf(item === undefined ? element : item, selector.key)
  return selector.unpack === true && isList(entry) ? new UnpackedList(entry) : entry
}

/** The perception part: without its sign, as several perceived entries, or under a sign of another norm. */
export function* transform(value: Value, selector: Selector, context: TransformContext): Perceiving {
  if (!hasPerception(selector)) return value
  if (!(value instanceof UnpackedList)) return yield* transformOne(value, selector, context)
  const items: Value[] = []
  for (const item of value.items) items.push(yield* transformOne(item, selector, context))
  return new UnpackedList(items)
}

export function hasPerception(selector: Selector): boolean {
  return selector.stripWrapper === true || selector.branch !== undefined || selector.newWrapper !== undefined
}

function* transformOne(value: Value, selector: Selector, context: TransformContext): Perceiving {
  const bare = stripSign(value)
  if (selector.branch !== undefined) return yield* branchOut(bare, selector.branch, context)
  return selector.newWrapper === undefined ? bare : encodeSign(bare, selector.newWrapper, context.nextId())
}

function* branchOut(bare: Value, branch: PyDict, context: TransformContext): Perceiving {
  const entries: (readonly [Value, Value])[] = []
  for (const [name, norm] of branch.entries()) {
    const isBare = norm === 'NULL' || typeof norm !== 'string'
    entries.push([name, isBare ? bare : yield* perceive(encodeSign(bare, norm, context.nextId()), context)])
  }
  return PyDict.of(entries)
}

function entryOf(item: Value, key: Value | undefined): Value {
  return key !== undefined && item instanceof PyDict ? (item.get(key) ?? null) : item
}

function textAt(entry: PyDict, key: string): string | undefined {
  const text = entry.get(key)
  return typeof text === 'string' && text !== '' ? text : undefined
}

function flagAt(entry: PyDict, key: string): boolean | undefined {
  const flag = entry.get(key)
  return typeof flag === 'boolean' ? flag : undefined
}
