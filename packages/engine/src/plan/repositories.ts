import { isList, PyDict, type Value } from '../value/value.ts'
import { isLaterForm, type Dialect } from './dialect.ts'
import { Fields, pointer, readJsonText, type Reporting } from './fields.ts'
import { isFlowIndex } from './flow-index.ts'
import { problemError, type Problem } from './problems.ts'

/** A named slot for a value. */
export interface ConceptEntry {
  readonly conceptName: string
  readonly id: string | null
  /** As written, aliases included; see `conceptTypes`. It has no effect on execution. */
  readonly type: string
  readonly context: string
  /** The axis that loops go along; the concept's name when none is written. */
  readonly axisName: string
  /** For display: as written, else the written axis name, else the concept's name. */
  readonly naturalName: string
  readonly description: string | null
  readonly isGround: boolean
  readonly isFinal: boolean
  /** Keeps its value when an enclosing loop resets its body. */
  readonly isInvariant: boolean
  /** The given value as written, null for none. What is no list is meant as a list of one. */
  readonly referenceData: Value
  /** Outermost first; null for `axis_0`, `axis_1` … */
  readonly referenceAxisNames: readonly string[] | null
  readonly flowIndices: readonly string[]
  readonly elementType: string | null
  /** Has an axis name beside an `is_invariant` of null, as only the later compiler writes it. */
  readonly isLaterForm: boolean
  /** Where the entry stands: `file#/3`. */
  readonly path: string
}

/** A step. */
export interface InferenceEntry {
  readonly flowIndex: string
  /** The sequence that runs it, after mapping. */
  readonly sequence: string
  /** The sequence as written. */
  readonly writtenSequence: string
  readonly conceptToInfer: string
  readonly functionConcept: string | null
  readonly valueConcepts: readonly string[]
  readonly contextConcepts: readonly string[]
  readonly workingInterpretation: PyDict
  readonly startWithoutValue: boolean
  readonly startWithoutValueOnlyOnce: boolean
  readonly startWithoutFunction: boolean
  readonly startWithoutFunctionOnlyOnce: boolean
  readonly startWithSupportReferenceOnly: boolean
  readonly startWithoutSupportReferenceOnlyOnce: boolean
  readonly path: string
}

export const sequences: readonly string[] = [
  'imperative_in_composition',
  'judgement_in_composition',
  'imperative_python',
  'judgement_python',
  'imperative_input',
  'grouping',
  'assigning',
  'timing',
  'looping',
  'quantifying',
]

/** The concept types that exist. */
export const conceptTypes: ReadonlySet<string> = new Set(
  (
    '<= <- $what? $how? $when? $= $:: $. $% $+ $- @by @if @if! @onlyIf @ifOnlyIf @after @before @with @while @until ' +
    "@afterstep @:' @:! @. &in &across &set &pair &[{}] &[#] *every *some *count *. {} :: <> <{}> ({}) ::({}) [] " +
    ':S: :>: :<: {}? <:_>'
  ).split(' '),
)

export interface Parsed<T> {
  readonly entries: readonly T[]
  readonly problems: readonly Problem[]
}

/** Reads a concept repository: a JSON array of objects. Everything wrong with it is in `problems`. */
export function parseConceptRepo(text: string, { file = 'concept_repo.json' } = {}): Parsed<ConceptEntry> {
  const problems: Problem[] = []
  const entries = conceptEntries(readRepo(text, { path: file, problems }), { path: file, problems })
  return { entries, problems }
}

/** Reads an inference repository. The defaults of the `start_*` flags depend on the dialect. */
export function parseInferenceRepo(
  text: string,
  { file = 'inference_repo.json', dialect = '2026-01' }: { file?: string; dialect?: Dialect } = {},
): Parsed<InferenceEntry> {
  const problems: Problem[] = []
  const dicts = readRepo(text, { path: file, problems })
  return { entries: inferenceEntries(dicts, { path: file, problems, dialect }), problems }
}

/** The objects of a repository file; what is no object becomes null, so that positions stay those of the file. */
export function readRepo(text: string, at: Reporting): readonly (PyDict | null)[] {
  const value = readJsonText(text, at)
  if (value === undefined) return []
  if (!isList(value)) {
    at.problems.push(
      problemError({
        code: 'repository.not_a_list',
        path: at.path,
        message: 'A repository is a JSON array of objects; this file is something else.',
        hint: 'Name the compiled concept and inference repositories in the manifest.',
      }),
    )
    return []
  }
  return value.map((item, position) => {
    if (item instanceof PyDict) return item
    at.problems.push(
      problemError({
        code: 'repository.entry',
        path: pointer(at.path, position),
        message: 'Every entry of a repository is an object.',
        hint: 'Remove the entry or write it as an object.',
      }),
    )
    return null
  })
}

export function conceptEntries(dicts: readonly (PyDict | null)[], at: Reporting): ConceptEntry[] {
  return dicts.flatMap((dict, position) => {
    const path = pointer(at.path, position)
    const entry = dict && conceptEntry(dict, { path, problems: at.problems })
    return entry ? [entry] : []
  })
}

export function inferenceEntries(
  dicts: readonly (PyDict | null)[],
  at: Reporting & { readonly dialect: Dialect },
): InferenceEntry[] {
  return dicts.flatMap((dict, position) => {
    const path = pointer(at.path, position)
    const entry = dict && inferenceEntry(dict, { ...at, path })
    return entry ? [entry] : []
  })
}

function conceptEntry(dict: PyDict, at: Reporting): ConceptEntry | null {
  const fields = new Fields(dict, at)
  const conceptName = fields.text('concept_name')
  if (conceptName === null || conceptName === '') return missing('concept_name', at)
  const axisName = fields.text('axis_name')
  return {
    conceptName,
    id: fields.text('id'),
    type: fields.text('type') ?? '',
    context: fields.text('context') ?? '',
    axisName: axisName ?? conceptName,
    naturalName: fields.text('natural_name') ?? axisName ?? conceptName,
    description: fields.text('description'),
    isGround: fields.flag('is_ground_concept', false),
    isFinal: fields.flag('is_final_concept', false),
    isInvariant: fields.flag('is_invariant', false),
    referenceData: fields.value('reference_data'),
    referenceAxisNames: fields.texts('reference_axis_names'),
    flowIndices: fields.texts('flow_indices') ?? [],
    elementType: textOrNull(fields.value('reference_element_type')),
    isLaterForm: isLaterForm(dict),
    path: at.path,
  }
}

function inferenceEntry(dict: PyDict, at: Reporting & { readonly dialect: Dialect }): InferenceEntry | null {
  const fields = new Fields(dict, at)
  const written = fields.text('inference_sequence') ?? missing('inference_sequence', at)
  const conceptToInfer = fields.text('concept_to_infer') ?? missing('concept_to_infer', at)
  const flowIndex = flowIndexOf(fields, at)
  if (written === null || conceptToInfer === null || flowIndex === null) return null
  const workingInterpretation = fields.dict('working_interpretation') ?? new PyDict()
  const loops = written === 'looping' || written === 'quantifying'
  return {
    flowIndex,
    sequence: mappedSequence(written, workingInterpretation),
    writtenSequence: written,
    conceptToInfer,
    functionConcept: fields.text('function_concept'),
    valueConcepts: fields.texts('value_concepts') ?? [],
    contextConcepts: fields.texts('context_concepts') ?? [],
    workingInterpretation,
    startWithoutValue: fields.flag('start_without_value', false),
    startWithoutValueOnlyOnce: fields.flag('start_without_value_only_once', loops && at.dialect !== '2026-03'),
    startWithoutFunction: fields.flag('start_without_function', false),
    startWithoutFunctionOnlyOnce: fields.flag('start_without_function_only_once', loops),
    startWithSupportReferenceOnly: fields.flag('start_with_support_reference_only', false),
    startWithoutSupportReferenceOnlyOnce: fields.flag('start_without_support_reference_only_once', loops),
    path: at.path,
  }
}

// The two older names mean the composing sequences as soon as the step says how to compose.
export function mappedSequence(written: string, interpretation: PyDict): string {
  const older = written === 'imperative' || written === 'judgement'
  return older && typeof interpretation.get('paradigm') === 'string' ? `${written}_in_composition` : written
}

function flowIndexOf(fields: Fields, at: Reporting): string | null {
  const info = fields.dict('flow_info')
  const index = info?.get('flow_index')
  if (typeof index === 'string' && isFlowIndex(index)) return index
  if (typeof index === 'number') return String(index)
  at.problems.push(
    problemError({
      code: 'step.flow_index',
      path: pointer(at.path, 'flow_info'),
      message: 'A step needs flow_info with a flow_index of dotted integers.',
      hint: 'Write "flow_info": {"flow_index": "1.2"}.',
    }),
  )
  return null
}

function missing(field: string, at: Reporting): null {
  at.problems.push(
    problemError({
      code: 'field.missing',
      path: at.path,
      message: `The entry has no "${field}".`,
      hint: `Add "${field}".`,
    }),
  )
  return null
}

function textOrNull(value: Value): string | null {
  return typeof value === 'string' ? value : null
}
