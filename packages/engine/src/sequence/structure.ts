import type { InferenceEntry } from '#plan/repositories'
import { EMPTY } from '#reference/construct'
import type { Reference } from '#reference/reference'
import { isList, PyDict, type Value } from '#value/value'
import { abstraction, continuation, derelation, identity, specification } from './assigning.ts'
import { contextAxes, groupAcross, groupIn, type GroupingOptions } from './grouping.ts'
import type { PreparedSequence, StepContext, StepResult } from './result.ts'
import { readSelector } from './selectors.ts'

/** The `syntax` object of a step's working interpretation, read with the types that are expected. */
class Syntax {
  readonly #dict: PyDict

  constructor(entry: InferenceEntry) {
    const syntax = entry.workingInterpretation.get('syntax')
    this.#dict = syntax instanceof PyDict ? syntax : new PyDict()
  }

  value(key: string): Value {
    return this.#dict.get(key) ?? null
  }

  text(key: string): string | null {
    const value = this.value(key)
    return typeof value === 'string' ? value : null
  }

  /** The texts of a list, or a text as a list of one; null when there are none. */
  texts(key: string): string[] | null {
    const value = this.value(key)
    const texts = (isList(value) ? value : [value]).filter(item => typeof item === 'string')
    return texts.length > 0 ? texts : null
  }
}

export function prepareGrouping(entry: InferenceEntry): PreparedSequence {
  const syntax = new Syntax(entry)
  return { lanes: [], start: context => runGrouping(context, syntax) }
}

function runGrouping(context: StepContext, syntax: Syntax): StepResult {
  const { item, program } = context
  const marker = syntax.text('marker')
  const inputs = item.entry.valueConcepts.flatMap(name => {
    const reference = context.reference(program.conceptNumbers.get(name) ?? -1)
    return reference === null ? [] : [{ name, reference }]
  })
  const references = inputs.map(({ reference }) => reference)
  if ((marker !== 'in' && marker !== 'across') || references.length === 0) return { status: 'completed', output: EMPTY }
  const options: GroupingOptions = {
    byAxes: byAxesOf(context, syntax),
    createAxis: syntax.text('create_axis'),
    dialect: program.dialect,
  }
  if (marker === 'across') return { status: 'completed', output: groupAcross(references, options) }
  const labels = program.labelsStay ? inputs.map(({ name }) => name) : item.entry.valueConcepts
  return { status: 'completed', output: groupIn(references, { ...options, labels }) }
}

function byAxesOf(context: StepContext, syntax: Syntax): readonly string[] | readonly (readonly string[])[] {
  const written = syntax.value('by_axes')
  if (isList(written) && written.length > 0) {
    if (written.some(isList))
      return written.map(axes => (isList(axes) ? axes.filter(axis => typeof axis === 'string') : []))
    return written.filter(axis => typeof axis === 'string')
  }
  if (typeof written === 'string') return [written]
  const { item, program } = context
  const contexts = item.contexts.map(concept => ({
    name: program.concepts[concept]?.entry.conceptName ?? '',
    reference: context.reference(concept),
  }))
  const only = syntax.value('by_axis_concepts')
  const onlyConcepts =
    typeof only === 'string' && only !== '' ? only : isList(only) ? syntax.texts('by_axis_concepts') : null
  return contextAxes(contexts, { onlyConcepts, protectAxes: syntax.texts('protect_axes') ?? [] })
}

export function prepareAssigning(entry: InferenceEntry): PreparedSequence {
  const syntax = new Syntax(entry)
  return { lanes: [], start: context => runAssigning(context, syntax) }
}

function runAssigning(context: StepContext, syntax: Syntax): StepResult {
  const output = assigned(context, syntax)
  return output === null ? { status: 'completed' } : { status: 'completed', output }
}

function assigned(context: StepContext, syntax: Syntax): Reference | null {
  const names = syntax.texts('assign_source') ?? []
  const values = context.item.entry.valueConcepts
  const sources = names.filter(name => values.includes(name)).map(name => referenceOf(context, name))
  const [source = null] = sources
  switch (syntax.text('marker')) {
    case '.':
      return specified(context, syntax, sources)
    case '%':
      return abstraction(syntax.value('face_value'), axisNames(syntax.value('axis_names')))
    case '+': {
      const destination = syntax.text('assign_destination')
      if (sources.length === 0 || destination === null) return null
      return continuation(source, referenceOf(context, destination), syntax.texts('by_axes'))
    }
    case '-':
      return derelation(source, readSelector(syntax.value('selector')))
    case '=':
      return context.program.strict ? null : identity(source)
    default:
      return null
  }
}

function specified(context: StepContext, syntax: Syntax, sources: readonly (Reference | null)[]): Reference | null {
  if (sources.length === 0 && !isList(syntax.value('assign_source'))) return null
  const destination = syntax.text('assign_destination')
  const isValue = destination !== null && context.item.entry.valueConcepts.includes(destination)
  return specification(sources, isValue ? referenceOf(context, destination) : null)
}

function referenceOf(context: StepContext, name: string): Reference | null {
  return context.reference(context.program.conceptNumbers.get(name) ?? -1)
}

function axisNames(value: Value): string[] | null {
  return isList(value) && value.every(name => typeof name === 'string') ? [...value] : null
}
