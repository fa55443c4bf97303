import { compareFlowIndices } from '../flow-index.ts'
import type { CommentLine, Marker } from '../ncd-parse.ts'
import type { AttachedConcept, InferenceGroup } from '../nci.ts'
import { shortestSpan } from '../spans.ts'
import { annotation, annotationLike, annotationList, bracketedName, functionText } from './annotations.ts'

/** An entry of a concept repository as the compiler writes it, keys in this order. */
export type CompiledConcept = CompiledValue | CompiledFunction

export interface CompiledValue {
  readonly id: string
  readonly concept_name: string
  readonly type: '{}' | '<>' | '[]'
  readonly flow_indices: readonly string[]
  readonly description: null
  readonly is_ground_concept: boolean
  readonly is_final_concept: boolean
  readonly is_invariant: boolean | null
  readonly reference_data: readonly string[] | null
  readonly axis_name: string
  readonly reference_axis_names: readonly string[]
  readonly reference_element_type: string | null
  readonly natural_name: string
}

export interface CompiledFunction {
  readonly id: string
  readonly concept_name: string
  readonly type: '({})' | '<{}>'
  readonly flow_indices: readonly string[]
  readonly description: string
  readonly is_ground_concept: true
  readonly is_final_concept: false
  readonly reference_data: readonly string[]
  readonly reference_axis_names: readonly string[]
  readonly reference_element_type: 'paradigm' | 'operator'
  readonly natural_name: string
}

interface FoundValue {
  readonly name: string
  readonly bracketed: string
  readonly type: CompiledValue['type']
  readonly marker: Marker | null
  readonly flowIndices: Set<string>
  comments: readonly CommentLine[]
  inferred: boolean
}

interface FoundFunction {
  readonly text: string
  readonly flowIndices: Set<string>
  readonly comments: readonly CommentLine[]
}

const noneAxis = '_none_axis'
const slugLength = 50

/** The concept repository of a plan. `nextId` gives the three hex digits of a sign. */
export function activateConcepts(groups: readonly InferenceGroup[], nextId: () => string): CompiledConcept[] {
  const values = collectValues(groups).map(valueEntry)
  const functions = collectFunctions(groups).map(found => functionEntry(found, nextId))
  const first = (entry: CompiledConcept): string => entry.flow_indices[0] ?? ''
  return [...values, ...functions].sort((a, b) => compareFlowIndices(first(a), first(b)))
}

function collectValues(groups: readonly InferenceGroup[]): FoundValue[] {
  const found = new Map<string, FoundValue>()
  const meet = (concept: AttachedConcept): FoundValue | null => {
    const bracketed = bracketedName(concept)
    const name = concept.concept_name
    if (bracketed === null || name === null) return null
    const known = found.get(bracketed) ?? {
      name,
      bracketed,
      type: valueType(bracketed),
      marker: concept.inference_marker,
      flowIndices: new Set<string>(),
      comments: concept.attached_comments,
      inferred: false,
    }
    known.flowIndices.add(concept.flow_index)
    found.set(bracketed, known)
    return known
  }
  for (const group of groups) {
    const inferred = meet(group.concept_to_infer)
    if (inferred) {
      if (group.concept_to_infer.inference_marker !== ':>:') inferred.inferred = true
      const comments = group.concept_to_infer.attached_comments
      if (comments.length > inferred.comments.length) inferred.comments = comments
    }
    group.value_concepts.forEach(meet)
    for (const other of group.other_concepts) {
      const met = meet(other)
      if (met) met.inferred = true
    }
  }
  return [...found.values()]
}

function collectFunctions(groups: readonly InferenceGroup[]): FoundFunction[] {
  const found = new Map<string, FoundFunction>()
  for (const { function_concept: concept } of groups) {
    const text = functionText(concept)
    const known = found.get(text) ?? { text, flowIndices: new Set(), comments: concept.attached_comments }
    known.flowIndices.add(concept.flow_index)
    found.set(text, known)
  }
  return [...found.values()]
}

function valueEntry(found: FoundValue): CompiledValue {
  const { comments } = found
  const ground = isGround(found)
  const axes = annotationList(comments, 'ref_axes') ?? [noneAxis]
  const invariant = annotation(comments, 'is_invariant')
  return {
    id: `c-${valueSlug(found.name)}`,
    concept_name: found.bracketed,
    type: found.type,
    flow_indices: [...found.flowIndices].sort(),
    description: null,
    is_ground_concept: ground,
    is_final_concept: found.marker === ':<:',
    is_invariant: invariant === null ? null : invariant.toLowerCase() === 'true',
    reference_data: ground ? groundData(found) : null,
    axis_name: axes[0] ?? noneAxis,
    reference_axis_names: axes,
    reference_element_type: annotation(comments, 'ref_element'),
    natural_name: found.name,
  }
}

function isGround(found: FoundValue): boolean {
  const { comments } = found
  return (
    !found.inferred ||
    found.marker === ':>:' ||
    annotation(comments, 'is_ground')?.toLowerCase() === 'true' ||
    annotation(comments, 'literal_value') !== null ||
    annotationLike(comments, /^literal<\$.*>$/) !== null ||
    annotation(comments, 'file_location') !== null ||
    comments.some(comment => comment.nc_comment.includes('/: Ground:')) ||
    namedLiteral(found.name) !== null
  )
}

function groundData(found: FoundValue): readonly string[] | null {
  const file = annotation(found.comments, 'file_location')
  if (file !== null) return [`%{file_location}(${file})`]
  const literal = annotation(found.comments, 'literal_value')
  if (literal !== null) return [withoutQuotes(literal)]
  const named = namedLiteral(found.name)
  return named === null ? null : [named]
}

function withoutQuotes(text: string): string {
  let [start, end] = [0, text.length]
  while (start < end && isQuote(text[start])) start++
  while (end > start && isQuote(text[end - 1])) end--
  return text.slice(start, end)
}

function isQuote(character: string | undefined): boolean {
  return character === '"' || character === "'"
}

/** `plain` of `style: "plain"`: a concept that carries its own value in its name. */
function namedLiteral(name: string): string | null {
  return /^[^:]+:\s*"([^"]*)"$/.exec(name)?.[1] ?? null
}

function functionEntry(found: FoundFunction, nextId: () => string): CompiledFunction {
  const { text } = found
  const isStep = text.startsWith('::')
  const natural = (isStep ? shortestSpan(text, '(', ')') : null) ?? text
  return {
    id: `fc-${functionSlug(natural)}`,
    concept_name: text,
    type: text.includes(')<{') || hasAssertion(text) ? '<{}>' : '({})',
    flow_indices: [...found.flowIndices].sort(),
    description: natural,
    is_ground_concept: true,
    is_final_concept: false,
    reference_data: [functionSign(isStep ? annotation(found.comments, 'v_input_provision') : null, nextId)],
    reference_axis_names: [noneAxis],
    reference_element_type: isStep ? 'paradigm' : 'operator',
    natural_name: natural,
  }
}

/** Whether an assertion such as `<{ALL True}>` stands in the text. */
function hasAssertion(text: string): boolean {
  const pieces = text.split('}')
  return pieces.some((piece, at) => piece.includes('<{') && pieces[at + 1]?.startsWith('>') === true)
}

function functionSign(provision: string | null, nextId: () => string): string {
  if (provision === null || provision === '') return '%{dummy}(_)'
  const norm = provision.endsWith('.md')
    ? 'prompt_location'
    : provision.endsWith('.py')
      ? 'script_location'
      : 'file_location'
  return `%{${norm}}${nextId()}(${provision})`
}

function valueType(bracketed: string): CompiledValue['type'] {
  if (bracketed.startsWith('<')) return '<>'
  return bracketed.startsWith('[') ? '[]' : '{}'
}

function valueSlug(name: string): string {
  return name
    .replace(/[{}[\]<>]/g, '')
    .toLowerCase()
    .replace(/ /g, '-')
    .replace(/[^a-z0-9-]/g, '')
}

function functionSlug(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, slugLength)
}
