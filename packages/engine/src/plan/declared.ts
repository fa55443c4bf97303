import { PyDict, type Value } from '../value/value.ts'
import { pointer } from './fields.ts'
import { bare, matchInput, type PlanInput, type SuppliedInput } from './inputs.ts'
import { problemWarning, type Problem } from './problems.ts'
import type { ConceptEntry, InferenceEntry } from './repositories.ts'

/** A final concept of a plan. */
export interface PlanOutput {
  readonly name: string
  readonly naturalName: string
  readonly description: string
}

export interface InputSources {
  /** The manifest's `inputs`. */
  readonly declared: PyDict | null
  readonly concepts: ReadonlyMap<string, ConceptEntry>
  readonly inferences: readonly InferenceEntry[]
  readonly defaultInputs: ReadonlyMap<string, SuppliedInput>
  /** Where the declarations stand, for problems. */
  readonly path: string
}

/** The declared inputs, then every ground value that a step uses and that the plan itself gives no data to. */
export function planInputs(sources: InputSources, problems: Problem[]): PlanInput[] {
  const concepts = [...sources.concepts.values()]
  const inputs = new Map<string, PlanInput>()
  for (const [key, declared] of sources.declared?.entries() ?? []) {
    if (typeof key !== 'string' || key.startsWith('_')) continue
    const match = matchInput({ concepts, inputs: [] }, key)
    const concept = match.ok ? sources.concepts.get(match.name) : undefined
    if (concept) inputs.set(concept.conceptName, planInput(concept, { declared, sources }))
    else if (!match.ok) problems.push(problemWarning({ ...match.problem, path: pointer(sources.path, key) }))
  }
  for (const concept of concepts) {
    if (inputs.has(concept.conceptName) || !needsInput(concept, sources)) continue
    inputs.set(concept.conceptName, planInput(concept, { declared: null, sources }))
  }
  return [...inputs.values()]
}

/** The final concepts, described by the manifest where it does. */
export function planOutputs(concepts: ReadonlyMap<string, ConceptEntry>, declared: PyDict | null): PlanOutput[] {
  return [...concepts.values()]
    .filter(concept => concept.isFinal)
    .map(concept => ({
      name: concept.conceptName,
      naturalName: bare(concept.naturalName),
      description: describedAs(declared?.get(concept.conceptName)) ?? concept.description ?? '',
    }))
}

function needsInput(concept: ConceptEntry, sources: InputSources): boolean {
  const name = concept.conceptName
  if (sources.defaultInputs.has(name)) return true
  if (!concept.isGround || concept.referenceData !== null || isFunction(concept, sources.inferences)) return false
  return sources.inferences.some(step => step.valueConcepts.includes(name) || step.contextConcepts.includes(name))
}

function planInput(
  concept: ConceptEntry,
  { declared, sources }: { declared: Value; sources: InputSources },
): PlanInput {
  const name = concept.conceptName
  const hasDefault = concept.referenceData !== null || sources.defaultInputs.has(name)
  const ofFunction = isFunction(concept, sources.inferences)
  const optional = declared instanceof PyDict && declared.get('required') === false
  return {
    name,
    naturalName: bare(concept.naturalName),
    type: typeOf(declared),
    required: !optional && !hasDefault && !ofFunction,
    description: describedAs(declared) ?? concept.description ?? '',
    hasDefault,
    isFunction: ofFunction,
  }
}

const functionTypes = /^(?:[$@&*].*|\(\{\}\)|<\{\}>|::(?:\(\{\}\))?|<=)$/

// By its type, or because steps use it only to say what they do.
function isFunction(concept: ConceptEntry, inferences: readonly InferenceEntry[]): boolean {
  const name = concept.conceptName
  if (inferences.some(step => step.valueConcepts.includes(name))) return false
  return functionTypes.test(concept.type) || inferences.some(step => step.functionConcept === name)
}

function typeOf(declared: Value): string {
  const type = declared instanceof PyDict ? declared.get('type') : declared
  return typeof type === 'string' ? type : 'any'
}

function describedAs(declared: Value | undefined): string | null {
  const text = declared instanceof PyDict ? declared.get('description') : null
  return typeof text === 'string' ? text : null
}
