import { repr } from '../../value/python-repr.ts'
import { isList, PyDict, type Value } from '../../value/value.ts'
import { problemError, problemWarning, type ProblemDetails } from '../problems.ts'
import type { InferenceEntry } from '../repositories.ts'
import { nearHint, stepPath, type CheckContext } from './context.ts'
import { checkListShift } from './list-shift.ts'

/** What each step's working interpretation must have for its sequence to do something. */
export function checkInterpretations(context: CheckContext): void {
  for (const step of context.plan.inferences) {
    const check = new StepCheck(context, step)
    switch (step.sequence) {
      case 'judgement_in_composition':
        checkAssertion(check)
        checkComposition(check)
        break
      case 'imperative_in_composition':
        checkComposition(check)
        break
      case 'imperative_python':
      case 'judgement_python':
        checkValueOrder(check)
        break
      case 'grouping':
        checkMarker(check, ['in', 'across'])
        break
      case 'assigning':
        checkAssigning(check)
        break
      case 'timing':
        checkTiming(check)
        break
      case 'looping':
      case 'quantifying':
        checkLoop(check)
        break
    }
  }
}

/** One step with its interpretation; what it reports stands at the step. */
class StepCheck {
  readonly context: CheckContext
  readonly step: InferenceEntry
  readonly interpretation: PyDict
  readonly syntax: PyDict

  constructor(context: CheckContext, step: InferenceEntry) {
    this.context = context
    this.step = step
    this.interpretation = step.workingInterpretation
    this.syntax = asDict(this.interpretation.get('syntax'))
  }

  error(details: Omit<ProblemDetails, 'path'>): void {
    this.context.problems.push(problemError({ ...details, path: stepPath(this.context, this.step) }))
  }

  warning(details: Omit<ProblemDetails, 'path'>): void {
    this.context.problems.push(problemWarning({ ...details, path: stepPath(this.context, this.step) }))
  }
}

function checkComposition(check: StepCheck): void {
  const { context, step, interpretation } = check
  const paradigm = interpretation.get('paradigm') ?? null
  if (typeof paradigm !== 'string' || paradigm === '') {
    check.error({
      code: 'step.paradigm_missing',
      message: 'The step does not say which paradigm runs it.',
      hint: 'Annotate the step with | %{norm_input}: <paradigm name>, or add "paradigm" to its working interpretation.',
    })
  } else if (!context.plan.paradigms.has(paradigm) && !context.builtInParadigms.has(paradigm)) {
    check.error({
      code: 'paradigm.unknown',
      message: `Neither the plan nor the engine has the paradigm "${paradigm}".`,
      hint: nearHint(context, paradigm, {
        known: [...context.plan.paradigms.keys(), ...context.builtInParadigms],
        otherwise: `Add ${paradigm}.json to the plan's provisions/paradigms.`,
      }),
    })
  }
  checkFunctionData(check, step)
  checkValueOrder(check)
  checkListShift(context, step)
}

function checkFunctionData(check: StepCheck, step: InferenceEntry): void {
  const name = step.functionConcept
  const concept = name === null ? undefined : check.context.concepts.get(name)
  if (name !== null && (!concept || concept.referenceData !== null)) return
  const producers = name === null ? [] : (check.context.inferredBy.get(name) ?? [])
  if (producers.some(producer => producer.sequence !== 'timing')) return
  check.warning({
    code: 'step.function_without_data',
    message: name === null ? 'The step has no function concept.' : `The function concept ${name} has no data.`,
    hint: 'Give the function concept "reference_data", such as ["%{prompt_location}(provisions/prompts/x.md)"] or ["_"].',
  })
}

function checkValueOrder(check: StepCheck): void {
  const { step, interpretation } = check
  const order = asDict(interpretation.get('value_order'))
  const selectors = asDict(interpretation.get('value_selectors'))
  if (order.size === 0 && step.valueConcepts.length > 0) {
    check.warning({
      code: 'step.no_values',
      message: 'The step has values, but its value_order names none of them, so it runs without any.',
      hint: 'List the values: "value_order": {"{name}": 1}.',
    })
  }
  for (const [name] of order.entries()) {
    if (typeof name !== 'string') continue
    const source = asDict(selectors.get(name)).get('source_concept')
    const wanted = typeof source === 'string' ? source : name
    if (step.valueConcepts.includes(wanted)) continue
    check.warning({
      code: 'step.value_order',
      message: `value_order names ${wanted}, which is not a value concept of the step; it is left out.`,
      hint: nearHint(check.context, wanted, {
        known: step.valueConcepts,
        otherwise: 'Add it to "value_concepts", or remove it.',
      }),
    })
  }
}

const quantifiers = ['for-each', 'all', 'some', 'none', 'exists']

function checkAssertion(check: StepCheck): void {
  const written = check.interpretation.get('assertion_condition') ?? null
  if (written === null) return
  const entries = [...asDict(asDict(written).get('quantifiers')).entries()]
  const unknown = entries.find(([, quantifier]) => typeof quantifier !== 'string' || !quantifiers.includes(quantifier))
  if (written instanceof PyDict && !unknown) return
  check.warning({
    code: 'step.assertion',
    message: unknown
      ? `The assertion has the unknown quantifier ${repr(unknown[1])}, which counts for nothing.`
      : 'assertion_condition must be an object of quantifiers and a condition; it counts for nothing.',
    hint: `Write {"quantifiers": {"<axis>": "all"}, "condition": true}; quantifiers are ${quantifiers.join(', ')}.`,
  })
}

function checkMarker(check: StepCheck, allowed: readonly string[]): string | null {
  const marker = check.syntax.get('marker')
  if (typeof marker === 'string' && allowed.includes(marker)) return marker
  check.error({
    code: 'step.marker',
    message:
      typeof marker === 'string'
        ? `"${marker}" is no marker of ${check.step.sequence}.`
        : `The working interpretation of a ${check.step.sequence} step needs syntax.marker.`,
    hint: `Use one of ${allowed.map(one => `"${one}"`).join(', ')}.`,
  })
  return null
}

function checkAssigning(check: StepCheck): void {
  const { step, syntax } = check
  const marker = checkMarker(check, ['.', '%', '+', '-', '='])
  if (marker === null) return
  if (marker === '%') {
    if ((syntax.get('face_value') ?? null) === null) {
      check.warning({
        code: 'step.face_value',
        message: 'An abstraction without a face value gives its concept nothing.',
        hint: 'Annotate the step with | %{literal<$% name>}: value.',
      })
    }
    return
  }
  const sources = namesIn(syntax.get('assign_source'))
  if (sources.length === 0) {
    check.error({
      code: 'step.assign_source',
      message: 'The assignment does not say what is assigned.',
      hint: 'Name the source: "assign_source": "{name}".',
    })
  }
  const known = sources.filter(name => step.valueConcepts.includes(name))
  if (sources.length > 0 && known.length === 0) {
    check.warning({
      code: 'step.assign_source',
      message: `None of the sources (${sources.join(', ')}) is a value concept of the step, so nothing is assigned.`,
      hint: 'Add the source to "value_concepts".',
    })
  }
}

function checkTiming(check: StepCheck): void {
  if (checkMarker(check, ['if', 'if!', 'after']) === null) return
  const condition = check.syntax.get('condition')
  if (typeof condition === 'string' && check.context.concepts.has(condition)) return
  check.error({
    code: 'step.condition',
    message:
      typeof condition === 'string'
        ? `The condition ${condition} is not in the concept repository.`
        : 'The timing step has no condition.',
    hint:
      typeof condition === 'string'
        ? nearHint(check.context, condition, { known: check.context.concepts.keys(), otherwise: 'Correct the name.' })
        : 'Name the concept it waits for: "condition": "<name>".',
  })
}

function checkLoop(check: StepCheck): void {
  const { context, step, syntax } = check
  const base = syntax.get('LoopBaseConcept')
  if (typeof base !== 'string' || !context.concepts.has(base)) {
    check.error({
      code: 'step.loop_base',
      message:
        typeof base === 'string'
          ? `The loop's collection ${base} is not in the concept repository.`
          : 'The loop does not say which collection it goes over.',
      hint: 'Name the collection: "LoopBaseConcept": "[name]".',
    })
    return
  }
  const current = syntax.get('CurrentLoopBaseConcept') ?? `${base}*`
  if (typeof current !== 'string' || !step.contextConcepts.includes(current)) {
    check.warning({
      code: 'step.loop_current',
      message: `The current element ${typeof current === 'string' ? current : repr(current)} is not a context concept of the loop, so no element is handed out.`,
      hint: 'Add the current element to "context_concepts".',
    })
  }
  if (!step.valueConcepts.includes(base)) {
    check.warning({
      code: 'step.loop_base',
      message: `The loop's collection ${base} is not among its value concepts.`,
      hint: 'Add it to "value_concepts".',
    })
  }
  if (namesIn(syntax.get('ConceptToInfer')).length === 0) {
    check.warning({
      code: 'step.loop_result',
      message: 'The loop does not say what its body infers, so it collects nothing.',
      hint: 'Name it: "ConceptToInfer": ["{name}"].',
    })
  }
}

function namesIn(value: Value | undefined): string[] {
  if (typeof value === 'string') return value === '' ? [] : [value]
  return isList(value) ? value.filter(item => typeof item === 'string') : []
}

function asDict(value: Value | undefined): PyDict {
  return value instanceof PyDict ? value : new PyDict()
}
