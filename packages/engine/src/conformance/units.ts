import { judge, readAssertion } from '#sequence/truth'
import { abstraction, continuation, specification } from '#sequence/assigning'
import { groupAcross, groupIn } from '#sequence/grouping'
import { formatInputs, processElement } from '#sequence/input-values'
import { readSelector, selectPart, transform, UnpackedList } from '#sequence/selectors'
import {
  cleanCode,
  collectScriptInputs,
  parse,
  parseBoolean,
  smartSubstitute,
  wrap,
  wrapList,
} from '#paradigm/formatter'
import { get, slice, transpose, withoutSkips } from '#reference/access'
import { append } from '#reference/append'
import { crossAction, crossProduct, elementAction } from '#reference/combine'
import { fromData } from '#reference/construct'
import { join } from '#reference/join'
import { perceive } from '#reference/perception'
import { type Reference, SKIP } from '#reference/reference'
import { decodeSign, stripSign } from '#reference/sign'
import type { Dialect } from '#run/dialect'
import type { Effect, EffectOutcome } from '#run/effects'
import { fromPlain } from '#value/codec'
import { readJson } from '#value/json-read'
import { dumpJson } from '#value/json-write'
import { literalEval } from '#value/literal-eval'
import { repr, str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import { isList, PyBytes, PyDict, PyError, PySet, PyTuple, type Value } from '#value/value'

/** One unit vector that was run. `expected` and `actual` are JSON text, or `Name: message` for an error. */
export interface UnitResult {
  readonly name: string
  readonly ok: boolean
  readonly expected: string
  readonly actual: string
}

/**
 * Runs unit vectors `{op, name, input, ok | error, message}` of the reference engine. Give the JSON text where it is at
 * hand: data that went through `JSON.parse` no longer tell `1.0` from `1`. An unknown `op` counts as failed.
 */
export function runUnits(vectors: string | Value | readonly unknown[], dialect: Dialect): UnitResult[] {
  const list = typeof vectors === 'string' ? readJson(vectors) : fromPlain(vectors)
  return listOf(list).map(entry => runUnit(dictOf(entry), dialect))
}

interface Unit {
  readonly input: PyDict
  readonly dialect: Dialect
}

type Op = (unit: Unit) => Value

function runUnit(vector: PyDict, dialect: Dialect): UnitResult {
  const op = str(at(vector, 'op'))
  const name = `${op}: ${str(at(vector, 'name'))}`
  const expected = vector.has('error')
    ? `${str(at(vector, 'error'))}: ${str(at(vector, 'message'))}`
    : comparable(at(vector, 'ok'))
  const actual = runOp(op, { input: dictOf(at(vector, 'input')), dialect })
  return { name, ok: expected === actual, expected, actual }
}

function runOp(op: string, unit: Unit): string {
  const run = ops.get(op)
  if (run === undefined) return `the operation ${op} is not known`
  try {
    return comparable(run(unit))
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  }
}

const ops: ReadonlyMap<string, Op> = new Map<string, Op>([
  ['from_data', ({ input }) => fromReference(fromData(at(input, 'data'), namesOf(at(input, 'axes'))))],
  ['get', ({ input }) => get(refAt(input, 'ref'), indexOf(dictOf(at(input, 'index'))))],
  ['slice', ({ input }) => fromReference(slice(refAt(input, 'ref'), namesOf(at(input, 'axes')) ?? []))],
  ['transpose', ({ input }) => fromReference(transpose(refAt(input, 'ref'), namesOf(at(input, 'order')) ?? []))],
  ['get_tensor_ignore_skip', ({ input }) => withoutSkips(refAt(input, 'ref').data)],
  ['cross_product', ({ input }) => fromReference(crossProduct(refsAt(input, 'refs')))],
  ['element_action', ({ input }) => fromReference(elementAction(elementFunction(input), refsAt(input, 'refs')))],
  ['cross_action', ({ input }) => fromReference(runCrossAction(input))],
  ['append', ({ input }) => fromReference(append(refAt(input, 'target'), refAt(input, 'source'), axisAt(input)))],
  ['join', ({ input }) => fromReference(join(refsAt(input, 'refs'), str(at(input, 'new_axis'))))],
  ['group_in', unit => fromReference(groupIn(refsAt(unit.input, 'refs'), grouping(unit)))],
  ['group_across', unit => fromReference(groupAcross(refsAt(unit.input, 'refs'), grouping(unit)))],
  ['abstraction', ({ input }) => fromReference(abstraction(at(input, 'face_value'), namesOf(at(input, 'axis_names'))))],
  ['specification', ({ input }) => fromReference(specification(maybeRefs(input, 'sources'), maybeRef(input, 'dest')))],
  ['continuation', ({ input }) => fromReference(runContinuation(input))],
  ['derelation', ({ input }) => selectPart(at(input, 'element'), readSelector(at(input, 'selector')))],
  ['transform', unit => answered(transform(at(unit.input, 'element'), selectorOf(unit), contextOf(unit)), unit)],
  ['decode_sign', ({ input }) => runDecode(at(input, 'token'))],
  ['strip_sign', ({ input }) => stripSign(at(input, 'token'))],
  ['perceive', unit => answered(perceive(at(unit.input, 'token'), unit), unit)],
  ['mvp_process_element', unit => answered(processElement(at(unit.input, 'element'), unit), unit)],
  ['mvp_format_inputs', ({ input, dialect }) => formatInputs(listOf(at(input, 'values')), dialect)],
  ['clean_code', ({ input, dialect }) => cleanCode(at(input, 'raw'), dialect)],
  ['parse', ({ input }) => parse(at(input, 'raw'))],
  ['parse_boolean', ({ input, dialect }) => parseBoolean(at(input, 'raw'), dialect)],
  ['collect_script_inputs', ({ input }) => collectScriptInputs(dictOf(at(input, 'vars')))],
  ['safe_substitute', ({ input }) => safeSubstitute(str(at(input, 'template')), dictOf(at(input, 'vars')))],
  ['smart_substitute', ({ input }) => runSmartSubstitute(input)],
  ['wrap_str', ({ input }) => wrap(at(input, 'value'), normOf(input), signId)],
  ['wrap_list', ({ input }) => wrapList(at(input, 'value'), normOf(input), signId)],
  ['literal_eval', ({ input }) => literalEval(str(at(input, 'text'))) ?? null],
  ['repr', ({ input }) => repr(at(input, 'value'))],
  ['tia', ({ input }) => runJudge(input)],
])

function runCrossAction(input: PyDict): Reference {
  const functions = listOf(at(input, 'functions')).map(name => crossFunctions.get(str(name)) ?? null)
  const axes = namesOf(at(input, 'func_axes')) ?? []
  const values = fromData(at(input, 'values'), namesOf(at(input, 'value_axes')))
  const tensor = { axes, shape: [functions.length], cells: functions }
  return crossAction(tensor, values, str(at(input, 'new_axis')))
}

const crossFunctions = new Map<string, (value: Value) => Value>([
  ['dup', value => (typeof value === 'number' ? [value, value * 2] : [value, value])],
  ['range', value => Array.from({ length: Number(str(value)) }, (_, i) => i)],
  ['raise', raise],
  ['identity', value => value],
  ['not_list', value => value],
  ['skip_in_list', value => [value, SKIP]],
])

function raise(): never {
  throw new PyError('ValueError', 'raised on purpose')
}

function elementFunction(input: PyDict): (...elements: Value[]) => Value {
  switch (str(at(input, 'f'))) {
    case 'concat_plus':
      return (...elements) => elements.map(str).join('+')
    case 'concat_plus_raise_if_2':
      return (...elements) => (elements.includes(2) ? raise() : elements.map(str).join('+'))
    case 'dup_list':
      return element => [element, element]
    case 'none':
    case 'return_none':
      return () => null
    default:
      throw new PyError('ValueError', `the function ${str(at(input, 'f'))} is not known`)
  }
}

function runContinuation(input: PyDict): Reference | null {
  const byAxes = at(input, 'by_axes')
  return continuation(
    maybeRef(input, 'source'),
    maybeRef(input, 'dest'),
    typeof byAxes === 'string' ? byAxes : namesOf(byAxes),
  )
}

function runDecode(token: Value): Value {
  const sign = typeof token === 'string' ? decodeSign(token) : null
  return sign === null ? null : PyDict.from({ norm: sign.norm, id: sign.id, signifier: sign.signifier })
}

function runSmartSubstitute(input: PyDict): Value {
  const templateKey = input.get('template_key') ?? 'prompt_template'
  const combineKey = input.get('combine_to_key') ?? 'input_other'
  return smartSubstitute(dictOf(at(input, 'vars')), str(templateKey), str(combineKey))
}

function runJudge(input: PyDict): Value {
  const reference = fromData(at(input, 'data'), namesOf(at(input, 'axes')))
  const judgement = judge(reference, readAssertion(at(input, 'assertion_condition')))
  return PyDict.from({
    condition_met: judgement.conditionMet,
    primary_filter_axis: judgement.filterAxis,
    ref: fromReference(judgement.reference),
  })
}

function grouping({ input, dialect }: Unit): Parameters<typeof groupIn>[1] {
  const byAxes = at(input, 'by_axes')
  const createAxis = at(input, 'create_axis')
  return {
    labels: namesOf(at(input, 'names')) ?? [],
    byAxes: isList(byAxes) && isList(byAxes[0]) ? byAxes.map(axes => namesOf(axes) ?? []) : namesOf(byAxes),
    createAxis: typeof createAxis === 'string' ? createAxis : null,
    dialect,
  }
}

/** Answers file effects from the files of the vector. */
function answered(work: Generator<Effect, Value, EffectOutcome>, { input }: Unit): Value {
  const files = input.get('files')
  let step = work.next()
  while (step.done !== true) step = work.next(answer(step.value, files instanceof PyDict ? files : PyDict.of([])))
  return step.value
}

function answer(effect: Effect, files: PyDict): EffectOutcome {
  if (effect.type === 'file.exists') return { ok: true, value: files.has(effect.path) }
  const content = effect.type === 'file.read' ? files.get(effect.path) : undefined
  if (content !== undefined) return { ok: true, value: content }
  const path = effect.type === 'file.read' ? effect.path : ''
  return { ok: false, error: { name: 'FileNotFoundError', message: `File not found at <BASE>/${path}` } }
}

function contextOf({ dialect }: Unit): Parameters<typeof transform>[2] {
  return { dialect, nextId: signId }
}

function selectorOf({ input }: Unit): ReturnType<typeof readSelector> {
  return readSelector(at(input, 'selector'))
}

function signId(): string {
  return 'xxx'
}

function normOf(input: PyDict): string | null {
  const norm = input.get('type') ?? input.get('norm') ?? null
  return norm === null ? null : str(norm)
}

const SIGN_ID = /%(\{[a-zA-Z0-9_]+\})?[0-9a-f]{3}\(/g

/** Values in the form of the vectors: tuples are lists, keys are text, what JSON lacks is Python's text. */
function comparable(value: Value): string {
  return dumpJson(simplified(value), { ascii: false }).replace(SIGN_ID, '%$1xxx(')
}

function simplified(value: Value): Value {
  if (value instanceof UnpackedList) return PyDict.from({ __unpacked__: value.items.map(simplified) })
  if (value instanceof PyTuple) return value.items.map(simplified)
  if (isList(value)) return value.map(simplified)
  if (value instanceof PyDict) return PyDict.of([...value.entries()].map(([key, item]) => [str(key), simplified(item)]))
  if (value instanceof PySet || value instanceof PyBytes) return repr(value)
  return value
}

function at(dict: PyDict, key: string): Value {
  return dict.get(key) ?? null
}

function dictOf(value: Value): PyDict {
  return value instanceof PyDict ? value : PyDict.of([])
}

function listOf(value: Value): readonly Value[] {
  return isList(value) ? value : []
}

function namesOf(value: Value): string[] | null {
  return isList(value) ? value.map(str) : null
}

function axisAt(input: PyDict): string | null {
  const axis = at(input, 'by_axis')
  return typeof axis === 'string' ? axis : null
}

function indexOf(dict: PyDict): Record<string, number> {
  return Object.fromEntries([...dict.entries()].map(([axis, position]) => [str(axis), Number(str(position))]))
}

function refAt(input: PyDict, key: string): Reference {
  return toReference(dictOf(at(input, key)))
}

function refsAt(input: PyDict, key: string): Reference[] {
  return listOf(at(input, key)).map(entry => toReference(dictOf(entry)))
}

function maybeRef(input: PyDict, key: string): Reference | null {
  const entry = at(input, key)
  return entry instanceof PyDict ? toReference(entry) : null
}

function maybeRefs(input: PyDict, key: string): (Reference | null)[] {
  return listOf(at(input, key)).map(entry => (entry instanceof PyDict ? toReference(entry) : null))
}

function toReference(entry: PyDict): Reference {
  return {
    axes: namesOf(at(entry, 'axes')) ?? [],
    shape: listOf(at(entry, 'shape')).map(size => Number(str(size))),
    data: at(entry, 'data'),
  }
}

function fromReference(reference: Reference | null): Value {
  if (reference === null) return null
  return PyDict.from({ axes: reference.axes, shape: reference.shape, data: reference.data })
}
