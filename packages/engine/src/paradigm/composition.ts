import { MAX_WEIGHT, weigh } from '#value/limits'
import { isTruthy } from '#value/truth'
import { isList, PyDict, PyError, type Value } from '#value/value'
import { Spent, type Step } from '#sequence/step'
import { Callable, PromptTemplate, type Arguments, type Operand } from './operand.ts'
import { compileTemplate, fillTemplate, type OperandTemplate, type VerticalScope } from './scope.ts'

/** A plan of calls that is put together once per step and then run for every input. */
export interface CompositionPlan {
  readonly type: 'plan'
  readonly bind: (scope: VerticalScope) => Callable
}

interface PlanStep {
  readonly outputKey: string
  readonly fn: OperandTemplate
  /** Argument name to the key that holds it; `__positional__` passes it without a name. */
  readonly params: readonly (readonly [string, string])[]
  readonly literals: readonly (readonly [string, OperandTemplate])[]
  readonly condition: { readonly key: string; readonly wanted: boolean } | null
}

const INPUT_KEY = '__initial_input__'
const POSITIONAL = '__positional__'

export function compilePlan(params: PyDict): CompositionPlan {
  const plan = params.get('plan')
  if (!isList(plan)) throw new PyError('ValueError', 'A composition has no list of calls.')
  const steps = plan.map(compileStep)
  const returnKey = params.get('return_key')
  const wanted = typeof returnKey === 'string' ? returnKey : null
  return { type: 'plan', bind: scope => bindPlan(steps, { returnKey: wanted, scope }) }
}

function compileStep(value: Value, place: number): PlanStep {
  if (!(value instanceof PyDict)) throw new PyError('ValueError', 'A call of a composition is not an object.')
  const outputKey = value.get('output_key')
  return {
    outputKey: typeof outputKey === 'string' ? outputKey : `step_${place}_result`,
    fn: compileTemplate(value.get('function') ?? null),
    params: entriesOf(value.get('params')).map(([name, key]) => [name, typeof key === 'string' ? key : ''] as const),
    literals: entriesOf(value.get('literal_params')).map(([name, item]) => [name, compileTemplate(item)] as const),
    condition: conditionOf(value.get('condition') ?? null),
  }
}

function entriesOf(value: Value | undefined): (readonly [string, Value])[] {
  if (!(value instanceof PyDict)) return []
  return [...value.entries()].flatMap(([key, item]) => (typeof key === 'string' ? [[key, item] as const] : []))
}

function conditionOf(value: Value): PlanStep['condition'] {
  if (!(value instanceof PyDict)) return null
  const key = value.get('key')
  const operator = value.get('operator') ?? 'is_true'
  if (typeof key !== 'string' || (operator !== 'is_true' && operator !== 'is_false')) {
    throw new PyError('ValueError', 'A condition of a composition needs a key and is_true or is_false.')
  }
  return { key, wanted: operator === 'is_true' }
}

interface BoundStep extends Omit<PlanStep, 'fn' | 'literals'> {
  readonly fn: Operand
  readonly literals: ReadonlyMap<string, Operand>
}

function bindPlan(
  steps: readonly PlanStep[],
  options: { readonly returnKey: string | null; readonly scope: VerticalScope },
): Callable {
  const { scope, returnKey } = options
  const bound = steps.map(step => ({
    ...step,
    fn: fillTemplate(step.fn, scope),
    literals: new Map(step.literals.map(([name, template]) => [name, fillTemplate(template, scope)] as const)),
  }))
  return new Callable('composition', args => runPlan(bound, { returnKey, input: args.positional[0] ?? null }))
}

function* runPlan(
  steps: readonly BoundStep[],
  options: { readonly returnKey: string | null; readonly input: Operand },
): Step<Operand> {
  const values = new Map<string, Operand>([[INPUT_KEY, options.input]])
  let last: Operand = null
  let made = 0
  for (const step of steps) {
    if (step.condition !== null && holds(values, step.condition.key) !== step.condition.wanted) continue
    last = step.fn instanceof Callable ? yield* step.fn.call(argumentsOf(step, values)) : step.fn
    const weight = weightOf(last)
    made += weight
    if (made > MOST_MADE) throw new PyError('MemoryError', 'The calls of a composition make more than a step may hold.')
    yield new Spent(CALL_UNITS + weight / WEIGHT_PER_UNIT)
    values.set(step.outputKey, last)
  }
  return options.returnKey === null ? last : lookUp(values, options.returnKey)
}

const CALL_UNITS = 3
const WEIGHT_PER_UNIT = 500
/** All that one composition may make for one cell, so that it cannot double a value again and again. */
const MOST_MADE = 4 * MAX_WEIGHT

function weightOf(operand: Operand): number {
  if (operand instanceof Callable) return 0
  if (operand instanceof PromptTemplate) return operand.text.length
  return weigh(operand)
}

function argumentsOf(step: BoundStep, values: ReadonlyMap<string, Operand>): Arguments {
  const positional: Operand[] = []
  if (step.params.length === 0) return { positional, named: step.literals }
  const named = new Map(step.literals)
  for (const [name, key] of step.params) {
    const value = lookUp(values, key)
    if (name === POSITIONAL) positional.push(value)
    else named.set(name, value)
  }
  return { positional, named }
}

function holds(values: ReadonlyMap<string, Operand>, key: string): boolean {
  const value = lookUp(values, key)
  return value instanceof Callable || value instanceof PromptTemplate || isTruthy(value)
}

function lookUp(values: ReadonlyMap<string, Operand>, key: string): Operand {
  const value = values.get(key)
  if (value === undefined) throw new PyError('KeyError', `'${key}'`)
  return value
}
