import { keyed, perceive, type Perceiving, type PerceptionContext, readKeyed } from '#reference/perception'
import { isSign } from '#reference/sign'
import { behaviours, type Dialect } from '#run/dialect'
import { str } from '#value/python-repr'
import { isList, PyDict, type Value } from '#value/value'
import { PackedValue, UnpackedList } from './selectors.ts'

/**
 * Perceives one element of a step's input. Dicts without signs, and lists of such dicts, stay as they are. Everything
 * else is taken apart into items, each perceived: several become a list, one its text (or its value, by dialect).
 */
export function* processElement(element: Value, context: PerceptionContext): Perceiving {
  if (element instanceof UnpackedList) {
    const value = yield* processElement(element.items, context)
    return isList(value) ? new UnpackedList(value) : value
  }
  if (isPlainDict(element) || (isList(element) && element.every(isPlainDict))) return element
  const perceived: Value[] = []
  for (const item of itemsOf(element)) perceived.push(isPlainDict(item) ? item : yield* perceive(item, context))
  return merge(perceived, context.literalUntypedSigns ?? behaviours[context.dialect].keepSingleValues)
}

/** Marks a value that stays one input of the step, even if it is a list. */
export function pack(value: Value): PackedValue {
  return new PackedValue([value instanceof UnpackedList ? value.items : value])
}

const INPUT_KEYS = new Set(['prompt_template', 'prompt_location', 'script_location', 'save_path', 'save_dir'])

/**
 * The named inputs of a step's function: texts that carry their own key appear under it, all others as `input_1`,
 * `input_2` … in order. Whether the items of a list count one by one is a matter of the dialect.
 */
export function formatInputs(elements: readonly Value[], dialect: Dialect): PyDict {
  return named(elements.flatMap(element => inputsOf(element, behaviours[dialect].packListsByDefault)))
}

/** Like `processElement` for steps that run Python: no file is read, and several items become one phrase. */
export function* processPythonElement(element: Value, context: PerceptionContext): Perceiving {
  if (element instanceof UnpackedList) return yield* processPythonElement(element.items, context)
  const texts: string[] = []
  let carried: Value | null = null
  for (const item of itemsOf(element)) {
    const value = yield* perceiveForPython(item, context)
    if (readKeyed(value) === null) texts.push(str(value))
    else carried ??= value
  }
  return texts.length === 0 && carried !== null ? carried : phrase(texts)
}

/** The inputs of a step that runs Python: every element one text. */
export function formatPythonInputs(elements: readonly Value[]): PyDict {
  return named(elements.map(element => (element instanceof PackedValue ? element.value : element)))
}

/** A text that is a sign by the looser rule of these steps: the id may hold anything. */
function readLooseSign(value: Value): { readonly norm: string | null; readonly signifier: string } | null {
  if (typeof value !== 'string' || !value.startsWith('%') || !value.endsWith(')')) return null
  const opening = value.indexOf('(')
  if (opening === -1) return null
  const head = value.slice(1, opening)
  const end = head.startsWith('{') ? head.indexOf('}') : -1
  return { norm: end === -1 ? null : head.slice(1, end), signifier: value.slice(opening + 1, -1) }
}

function inputsOf(element: Value, packLists: boolean): readonly Value[] {
  if (element instanceof PackedValue) return [element.value]
  if (element instanceof UnpackedList) return element.items
  return isList(element) && !packLists ? element : [element]
}

function named(inputs: readonly Value[]): PyDict {
  let count = 0
  return PyDict.of(
    inputs.map(input => {
      const carried = keyOf(input)
      return carried === null ? [`input_${++count}`, input] : [carried.key, carried.content]
    }),
  )
}

function keyOf(input: Value): { readonly key: string; readonly content: string } | null {
  const carried = readKeyed(input)
  return carried !== null && INPUT_KEYS.has(carried.key) ? carried : null
}

function isPlainDict(value: Value): boolean {
  if (!(value instanceof PyDict)) return false
  for (const [, item] of value.entries()) if (isSign(item)) return false
  return true
}

/** Lists and dicts that hold signs, taken apart depth first. */
function itemsOf(element: Value): Value[] {
  if (isList(element)) return element.flatMap(itemsOf)
  if (element instanceof PyDict && !isPlainDict(element)) return element.values().flatMap(itemsOf)
  return [element]
}

function merge(perceived: readonly Value[], keepSingleValues: boolean): Value {
  if (perceived.some(value => typeof value === 'string' && value.startsWith('{%{'))) return perceived
  const [only] = perceived
  if (only === undefined) return ''
  if (perceived.length > 1) return perceived
  return only instanceof PyDict || keepSingleValues ? only : str(only)
}

function* perceiveForPython(item: Value, context: PerceptionContext): Perceiving {
  const sign = readLooseSign(item)
  if (sign === null) return item
  switch (sign.norm) {
    case 'script_location':
    case 'generated_script_path':
      return keyed('script_location', sign.signifier)
    case 'prompt_location':
    case 'prompt_template':
      return keyed('prompt_location', sign.signifier)
    case 'memorized_parameter':
      return yield* perceive(`%{memorized_parameter}(${sign.signifier})`, context)
    default:
      return sign.signifier
  }
}

function phrase(texts: readonly string[]): string {
  const [first = '', second] = texts
  if (second === undefined) return first
  if (texts.length === 2) return `${first}, and ${second}`
  return `${texts.slice(0, -1).join(', ')}, and ${texts.at(-1) ?? ''}`
}
