import type { InferenceEntry } from '#plan/repositories'
import { flatten, slice } from '#reference/access'
import { crossActionCells, elementAction, fromCrossActionCells, type Cells } from '#reference/combine'
import { single } from '#reference/construct'
import { NONE_AXIS, SKIP, type Reference } from '#reference/reference'
import { encodeSign } from '#reference/sign'
import { cleanCode } from '#paradigm/formatter'
import { readJson } from '#value/json-read'
import { str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import { isList, PyDict, PyError, type Value } from '#value/value'
import { eachCell } from './cells.ts'
import { formatPythonInputs, processPythonElement } from './input-values.ts'
import type { PreparedSequence, StepContext, StepResult } from './result.ts'
import { perform, type Step } from './step.ts'
import { perceiveValues, readValueOrder, type ValueOrder } from './values.ts'

interface PythonSettings {
  readonly values: ValueOrder
  /** Ask the model for its thoughts beside the code when a script has to be written. */
  readonly withThinking: boolean
  /** What every answer must be for a judgement to hold; null for imperatives. */
  readonly condition: string | null
}

/** `imperative_python` and `judgement_python`: a script that is there, or is written by a model, run per cell. */
export function preparePython(entry: InferenceEntry): PreparedSequence {
  const interpretation = entry.workingInterpretation
  const settings: PythonSettings = {
    values: readValueOrder(entry, { unordered: 'as_listed' }),
    withThinking: interpretation.get('with_thinking') === true,
    condition: entry.sequence === 'judgement_python' ? str(interpretation.get('condition') ?? 'True') : null,
  }
  return { lanes: ['files'], start: context => run(context, settings) }
}

function* run(context: StepContext, settings: PythonSettings): Step<StepResult> {
  const { item } = context
  if (item.fn >= 0 && context.reference(item.fn) === null) {
    throw new PyError('ValueError', 'The function concept has no reference.')
  }
  const inputs = yield* perceiveValues(context, settings.values, { process: processPythonElement })
  const answers = yield* callPerCell(context, inputs, input => runScript(context, settings, input))
  if (settings.condition === null) return { status: 'completed', output: encodeCells(context, answers) }
  const met = allEqual(answers.data, settings.condition)
  const marker: Reference = { axes: ['condition_met'], shape: [1], data: [met ? '$(T)%' : '$(F)%'] }
  return {
    status: 'completed',
    output: encodeCells(context, marker),
    detail: met ? 'success' : 'condition_not_met',
  }
}

const RESULT_AXIS = 'result'

/** Calls one function for every cell of the inputs; answers that are no lists count as lists of one. */
export function* callPerCell(
  context: StepContext,
  inputs: Reference | null,
  call: (input: PyDict) => Step<Value>,
): Step<Reference> {
  const functions: Cells<true> = { axes: [NONE_AXIS], shape: [1], cells: [true] }
  const calls = crossActionCells(functions, inputs ?? single([]), `\u0000${RESULT_AXIS}`)
  const results = yield* eachCell(
    calls,
    function* ({ value }) {
      const answer = yield* call(formatPythonInputs(isList(value) ? value : [value]))
      return isList(answer) ? answer : [answer]
    },
    { what: 'cells', context },
  )
  const answers = fromCrossActionCells(calls, RESULT_AXIS, results)
  if (answers.shape.at(-1) !== 1) return answers
  return slice(
    answers,
    answers.axes.filter(axis => axis !== RESULT_AXIS),
  )
}

/** Every cell as a sign: of the first item where it is a list, of itself otherwise. */
export function encodeCells(context: StepContext, reference: Reference): Reference {
  return elementAction(
    cell => encodeSign(isList(cell) ? (cell[0] ?? null) : cell, null, context.nextSignId()),
    [reference],
  )
}

function allEqual(data: Value, condition: string): boolean {
  const [only] = isList(data) ? data : []
  const inner = isList(data) && data.length === 1 && only !== undefined ? only : data
  return flatten(inner).every(leaf => leaf !== SKIP && str(leaf) === condition)
}

const LOCATIONS = new Set(['script_location', 'prompt_location'])

function* runScript(context: StepContext, settings: PythonSettings, input: PyDict): Step<Value> {
  const script = input.get('script_location') ?? null
  const globals = PyDict.of([...input.entries()].filter(([key]) => typeof key !== 'string' || !LOCATIONS.has(key)))
  const path = typeof script === 'string' ? script : ''
  const code = (path === '' ? null : yield* existingScript(path)) ?? (yield* writeScript(context, settings, input))
  const outcome = yield { type: 'script.execute', path, code, globals }
  return outcome.ok ? outcome.value : PyDict.from({ status: 'error', message: outcome.error.message })
}

function* existingScript(path: string): Step<string | null> {
  const outcome = yield { type: 'file.read', path }
  return outcome.ok ? str(outcome.value) : null
}

function* writeScript(context: StepContext, settings: PythonSettings, input: PyDict): Step<string> {
  const location = input.get('prompt_location') ?? null
  if (typeof location !== 'string') {
    throw new PyError('FileNotFoundError', 'There is no script, and no prompt from which one could be written.')
  }
  const template = str(yield* perform({ type: 'file.read', path: location }))
  const filled = safeSubstitute(template, input)
  const prompt = settings.withThinking ? `${filled}\n\n${THINKING_REQUEST}` : filled
  const answer = str(yield* perform({ type: 'model.generate', prompt, json: settings.withThinking }))
  const code = settings.withThinking ? codeOf(answer, context) : cleanCode(answer, context.program.dialect)
  const script = input.get('script_location')
  if (typeof script === 'string') yield* perform({ type: 'file.write', path: script, content: code })
  return code
}

const THINKING_REQUEST =
  'Answer with one JSON object of two keys: "thinking" with your considerations and "code" with the whole Python code.'

function codeOf(answer: string, context: StepContext): string {
  const { dialect } = context.program
  const parsed = readJson(cleanCode(answer, dialect))
  const code = parsed instanceof PyDict ? parsed.get('code') : undefined
  if (typeof code !== 'string') throw new PyError('KeyError', "'code'")
  return cleanCode(code, dialect)
}
