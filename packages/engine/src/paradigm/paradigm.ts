import { readJson } from '#value/json-read'
import { isList, PyDict, PyError, type Value } from '#value/value'
import type { Step } from '#sequence/step'
import { compileCode, isStep, type VerticalCode } from './affordances.ts'
import { compilePlan, type CompositionPlan } from './composition.ts'
import type { Callable, Operand } from './operand.ts'
import { compileTemplate, fillTemplate, type OperandTemplate, type VerticalScope } from './scope.ts'
import type { Reach, ToolContext } from './tools.ts'

/** How a step is done: given the function concept's text, it makes the function that is called with the inputs. */
export interface Paradigm {
  readonly name: string
  /** What it reaches outside of the engine. */
  readonly reaches: ReadonlySet<Reach>
  /** The function for the text of one cell of the function concept; null when the paradigm makes none. */
  readonly prepare: (vertical: string, context: ToolContext) => Step<Callable | null>
}

/** Where a paradigm leaves the function that it made. */
const FUNCTION_KEY = 'instruction_fn'

interface VerticalStep {
  readonly code: VerticalCode | CompositionPlan
  readonly params: ReadonlyMap<string, OperandTemplate>
  readonly resultKey: string
}

/** Reads a paradigm file. Throws a `PyError` that names the paradigm and what is unknown in it. */
export function parseParadigm(name: string, text: string): Paradigm {
  try {
    const file = dictOf(readJson(text), 'The file')
    const affordances = readAffordances(file)
    const steps = readSteps(file, affordances)
    const reaches = new Set(steps.flatMap(({ code }) => (code.type === 'plan' ? [] : [code.reach])))
    return { name, reaches, prepare: (vertical, context) => runVertical(steps, { vertical, context }) }
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new PyError('ValueError', `The paradigm ${name} cannot be used: ${message}`)
  }
}

function readAffordances(file: PyDict): Map<string, VerticalCode | null> {
  const affordances = new Map<string, VerticalCode | null>()
  for (const tool of listOf(dictOf(file.get('env_spec'), 'env_spec').get('tools'), 'env_spec.tools')) {
    const entry = dictOf(tool, 'A tool')
    const toolName = textOf(entry.get('tool_name'), 'tool_name')
    for (const affordance of listOf(entry.get('affordances'), `The affordances of ${toolName}`)) {
      const spec = dictOf(affordance, `An affordance of ${toolName}`)
      const name = textOf(spec.get('affordance_name'), 'affordance_name')
      const code = textOf(spec.get('call_code'), `The call code of ${toolName}.${name}`)
      affordances.set(`${toolName}.${name}`, compileCode(toolName, code))
    }
  }
  return affordances
}

function readSteps(file: PyDict, affordances: ReadonlyMap<string, VerticalCode | null>): VerticalStep[] {
  const steps = listOf(dictOf(file.get('sequence_spec'), 'sequence_spec').get('steps'), 'sequence_spec.steps')
  return steps
    .map((step, place) => {
      const spec = dictOf(step, 'A step')
      const index = spec.get('step_index')
      return { spec, order: typeof index === 'number' ? index : place }
    })
    .sort((a, b) => a.order - b.order)
    .map(({ spec }) => readStep(spec, affordances))
}

function readStep(spec: PyDict, affordances: ReadonlyMap<string, VerticalCode | null>): VerticalStep {
  const affordance = textOf(spec.get('affordance'), 'The affordance of a step')
  const code = affordances.get(affordance)
  if (code === undefined) throw new PyError('ValueError', `A step uses ${affordance}, which no tool offers.`)
  const params = dictOf(spec.get('params') ?? new PyDict(), `The params of ${affordance}`)
  const resultKey = textOf(spec.get('result_key'), `The result_key of ${affordance}`)
  if (code === null) return { code: compilePlan(params), params: new Map(), resultKey }
  const templates = new Map<string, OperandTemplate>()
  for (const [key, value] of params.entries()) {
    if (typeof key === 'string') templates.set(key, compileTemplate(value))
  }
  return { code, params: templates, resultKey }
}

function* runVertical(
  steps: readonly VerticalStep[],
  options: { readonly vertical: string; readonly context: ToolContext },
): Step<Callable | null> {
  const scope: VerticalScope = { vertical: options.vertical, results: new Map<string, Operand>() }
  for (const { code, params, resultKey } of steps) {
    if (code.type === 'plan') {
      scope.results.set(resultKey, code.bind(scope))
      continue
    }
    const filled = new Map<string, Operand>()
    for (const [key, template] of params) filled.set(key, fillTemplate(template, scope))
    const result = code.run({ params: filled, scope, context: options.context })
    scope.results.set(resultKey, isStep(result) ? yield* result : result)
  }
  const made = scope.results.get(FUNCTION_KEY)
  return isCallable(made) ? made : null
}

function isCallable(operand: Operand | undefined): operand is Callable {
  return typeof operand === 'object' && operand !== null && 'call' in operand
}

function dictOf(value: Value | undefined, what: string): PyDict {
  if (value instanceof PyDict) return value
  throw new PyError('ValueError', `${what} is not an object.`)
}

function listOf(value: Value | undefined, what: string): readonly Value[] {
  if (isList(value)) return value
  throw new PyError('ValueError', `${what} is not a list.`)
}

function textOf(value: Value | undefined, what: string): string {
  if (typeof value === 'string') return value
  throw new PyError('ValueError', `${what} is not a text.`)
}
