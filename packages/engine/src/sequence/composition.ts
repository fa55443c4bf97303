import { callPositional, asValue, type Callable } from '#paradigm/operand'
import type { Paradigm } from '#paradigm/paradigm'
import type { LoadedParadigms } from '#paradigm/load'
import type { ToolContext } from '#paradigm/tools'
import type { InferenceEntry } from '#plan/repositories'
import { get, leaves } from '#reference/access'
import { crossActionCells, fromCrossActionCells, type Cells } from '#reference/combine'
import { single } from '#reference/construct'
import { NONE_AXIS, SKIP, type Reference } from '#reference/reference'
import type { Dialect } from '#run/dialect'
import { isList, PyDict, PyError, type Value } from '#value/value'
import { eachCell, firstFunctions } from './cells.ts'
import { formatInputs } from './input-values.ts'
import { report, type Lane, type PreparedSequence, type StepContext, type StepResult } from './result.ts'
import { all, type Step } from './step.ts'
import { judge, readAssertion, type Assertion } from './truth.ts'
import { perceiveValues, readValueOrder, type ValueOrder } from './values.ts'

interface CompositionSettings {
  readonly paradigm: Paradigm
  readonly values: ValueOrder
  /** Whether the items of a list that the function returns get an axis. */
  readonly listsMakeAxis: boolean
  readonly outputAxis: string
  readonly judges: boolean
  readonly assertion: Assertion | null
}

/** `imperative_in_composition` and `judgement_in_composition`: a function that a paradigm makes, called per cell. */
export function prepareComposition(
  entry: InferenceEntry,
  options: { readonly paradigms: LoadedParadigms; readonly dialect: Dialect },
): PreparedSequence {
  const interpretation = entry.workingInterpretation
  const paradigm = options.paradigms.get(interpretation.get('paradigm') ?? null)
  if (paradigm instanceof Error) return { lanes: [], start: () => fail(paradigm) }
  const settings: CompositionSettings = {
    paradigm,
    values: readValueOrder(entry),
    listsMakeAxis: interpretation.get('create_axis_on_list_output') !== false,
    outputAxis: outputAxisOf(interpretation, options.dialect),
    judges: entry.sequence.startsWith('judgement'),
    assertion: readAssertion(interpretation.get('assertion_condition')),
  }
  return { lanes: lanesOf(paradigm), start: context => run(context, settings) }
}

function fail(error: Error): never {
  throw error
}

function lanesOf({ reaches }: Paradigm): Lane[] {
  const lanes: Lane[] = []
  if (reaches.has('files') || reaches.has('scripts')) lanes.push('files')
  if (reaches.has('people')) lanes.push('people')
  return lanes
}

const RESULT_AXIS = 'result'

function outputAxisOf(interpretation: PyDict, dialect: Dialect): string {
  if (dialect !== '2026-03') return RESULT_AXIS
  const name = interpretation.get('output_axis') ?? interpretation.get('output_axis_name')
  return typeof name === 'string' && name !== '' ? name : RESULT_AXIS
}

function* run(context: StepContext, settings: CompositionSettings): Step<StepResult> {
  const { item } = context
  const functionReference = item.fn < 0 ? null : context.reference(item.fn)
  if (functionReference === null) throw new PyError('ValueError', 'The function concept has no reference.')
  // The values are read now, so that every step sees the state in which it started.
  const values = perceiveValues(context, settings.values)
  const functions = yield* perceiveFunctions(context, settings, functionReference)
  const inputs = yield* values
  const callable = firstFunctions(functions)
  if (callable.cells.every(cell => cell === null)) return withoutFunction(context, settings)
  const reference =
    inputs === null
      ? yield* actWithoutValues(context, callable)
      : yield* act(context, settings, { functions: callable, inputs })
  if (!settings.judges) return { status: 'completed', output: reference }
  return judged(reference, settings.assertion)
}

function judged(reference: Reference, assertion: Assertion | null): StepResult {
  const judgement = judge(reference, assertion)
  const detail = judgement.conditionMet ? 'success' : 'condition_not_met'
  if (judgement.filterAxis === null) return { status: 'completed', output: judgement.reference, detail }
  const truthMask = { tensor: judgement.reference, filterAxis: judgement.filterAxis }
  return { status: 'completed', output: judgement.reference, detail, truthMask }
}

/**
 * Nothing can be called: the prompt or script of the function concept could not be read, for example. The reference
 * engine completes such a step without a value, and what depends on it never runs; only the strict dialect does so.
 */
function withoutFunction(context: StepContext, settings: CompositionSettings): StepResult {
  const [first] = context.errors
  if (context.program.strict)
    return settings.judges ? { status: 'completed', detail: 'success' } : { status: 'completed' }
  if (first) throw new PyError(first.name, first.message)
  throw new PyError('ValueError', 'The function concept holds no text that the paradigm could make a function of.')
}

function* perceiveFunctions(
  context: StepContext,
  settings: CompositionSettings,
  reference: Reference,
): Step<Cells<Callable>> {
  const tools: ToolContext = {
    dialect: context.program.dialect,
    perception: context.program.perception,
    nextSignId: context.nextSignId,
    origins: context.origins,
  }
  const cells = yield* all(
    leaves(reference).map((cell, place) => perceiveFunction(context, { settings, tools, cell, place })),
  )
  return { axes: reference.axes, shape: reference.shape, cells }
}

interface FunctionCell {
  readonly settings: CompositionSettings
  readonly tools: ToolContext
  readonly cell: Value
  readonly place: number
}

function* perceiveFunction(context: StepContext, options: FunctionCell): Step<Callable | null> {
  const { settings, tools, cell, place } = options
  if (typeof cell !== 'string' || cell === SKIP) return null
  try {
    return yield* settings.paradigm.prepare(cell, tools)
  } catch (cause) {
    report(context, `functions[${place}]`, cause)
    return null
  }
}

// A function without inputs, such as one that waits for a message, is called once.
function* actWithoutValues(context: StepContext, functions: Cells<Callable>): Step<Reference> {
  const fn = functions.cells.find(cell => cell !== null) ?? null
  if (fn === null) return single(SKIP)
  try {
    return single(asValue(yield* callPositional(fn, new PyDict()), 'The result'))
  } catch (cause) {
    report(context, 'cells[0]', cause)
    return single(SKIP)
  }
}

/** Stands in for the new axis until all calls are made; a name that is taken is an error only then. */
const CALLS_AXIS = '\u0000result'

function* act(
  context: StepContext,
  settings: CompositionSettings,
  { functions, inputs }: { readonly functions: Cells<Callable>; readonly inputs: Reference },
): Step<Reference> {
  const calls = crossActionCells(functions, inputs, CALLS_AXIS)
  const results = yield* eachCell(
    calls,
    function* ({ fn, value }) {
      const input = formatInputs(isList(value) ? value : [value], context.program.dialect)
      const result = asValue(yield* callPositional(fn, input), 'The result')
      return settings.listsMakeAxis && isList(result) ? result : [result]
    },
    { what: 'cells', context },
  )
  const axis = context.program.behaviour.namedOutputAxis
    ? freeAxis(settings.outputAxis, calls.axes)
    : settings.outputAxis
  return withoutSingleAxis(fromCrossActionCells(calls, axis, results), axis)
}

function freeAxis(name: string, taken: readonly string[]): string {
  if (!taken.includes(name)) return name
  let suffix = 1
  while (taken.includes(`${name}_${suffix}`)) suffix++
  return `${name}_${suffix}`
}

function withoutSingleAxis(reference: Reference, axis: string): Reference {
  const place = reference.axes.indexOf(axis)
  if (reference.shape[place] !== 1) return reference
  const axes = reference.axes.filter(name => name !== axis)
  const data = get(reference, { [axis]: 0 })
  if (axes.length > 0) return { axes, shape: reference.shape.filter((_, at) => at !== place), data }
  let value = data
  while (isList(value) && value.length === 1) value = value[0] ?? null
  return { axes: [NONE_AXIS], shape: [1], data: [value] }
}
