import { compareFlowIndices } from '../flow-index.ts'
import type { AttachedConcept, InferenceGroup } from '../nci.ts'
import { shortestSpan } from '../spans.ts'
import { bracketedName, functionText, writtenSequence } from './annotations.ts'
import { workingInterpretation, type Interpretation } from './interpretation.ts'

/** An entry of an inference repository as the compiler writes it, keys in this order. */
export interface CompiledInference {
  readonly flow_info: { readonly flow_index: string }
  readonly inference_sequence: string
  readonly concept_to_infer: string
  readonly function_concept: string
  readonly value_concepts: readonly string[]
  readonly context_concepts: readonly string[]
  readonly working_interpretation: Interpretation
}

const composed: Readonly<Record<string, string>> = {
  imperative: 'imperative_in_composition',
  judgement: 'judgement_in_composition',
}

/** The inference repository of a plan: one entry for every group whose sequence is known, ordered by flow index. */
export function activateInferences(groups: readonly InferenceGroup[]): CompiledInference[] {
  return groups
    .flatMap(group => [groupEntry(group), ...nestedEntries(group)])
    .filter(entry => entry !== null)
    .sort((a, b) => compareFlowIndices(a.flow_info.flow_index, b.flow_info.flow_index))
}

/** The sequence that runs a step: as written, else read off its text; null when nothing fits. */
export function sequenceOf(concept: AttachedConcept): string | null {
  return writtenSequence(concept.attached_comments) ?? sequenceFromText(concept)
}

function groupEntry(group: InferenceGroup): CompiledInference | null {
  const sequence = sequenceOf(group.function_concept)
  if (sequence === null) return null
  const context = group.other_concepts.filter(other => other.inference_marker === '<*')
  const given = sequence === 'timing' ? [...group.value_concepts, ...context] : group.value_concepts
  const interpretation = workingInterpretation(group, sequence)
  const ordered = Object.keys(interpretation.value_order ?? {})
  return {
    flow_info: { flow_index: group.concept_to_infer.flow_index },
    inference_sequence: composed[sequence] ?? sequence,
    concept_to_infer: inferredName(group.concept_to_infer),
    function_concept: functionText(group.function_concept),
    value_concepts: ordered.length > 0 ? ordered : names(given),
    context_concepts: names(context),
    working_interpretation: interpretation,
  }
}

// A second functional child has no group of its own; it becomes a step that gates or selects and takes no values.
function nestedEntries(group: InferenceGroup): (CompiledInference | null)[] {
  return group.other_concepts
    .filter(other => other.inference_marker === '<=')
    .map(nested => {
      const sequence = sequenceOf(nested)
      if (sequence === null) return null
      const text = functionText(nested)
      return {
        flow_info: { flow_index: nested.flow_index },
        inference_sequence: composed[sequence] ?? sequence,
        concept_to_infer: shortestSpan(text, '%>(', ')') || text,
        function_concept: text,
        value_concepts: [],
        context_concepts: [],
        working_interpretation: { workspace: {}, flow_info: { flow_index: nested.flow_index } },
      }
    })
}

function inferredName(concept: AttachedConcept): string {
  if (concept.inference_marker === '<=' || concept.concept_type === 'operator') return functionText(concept)
  return bracketedName(concept) ?? concept.nc_main
}

function names(concepts: readonly AttachedConcept[]): string[] {
  return concepts.map(bracketedName).filter(name => name !== null)
}

function sequenceFromText(concept: AttachedConcept): string | null {
  const text = functionText(concept)
  if (text.includes('::') && text.includes(')<{')) return 'judgement'
  if (text.includes('::<{') && text.includes('}>')) return 'judgement'
  if (text.includes('&[{}]') || text.includes('&[#]')) return 'grouping'
  if (text.includes('*.') && text.includes('%>')) return 'looping'
  if (['$.', '$=', '$%', '$+', '$-'].some(start => text.startsWith(start))) return 'assigning'
  if (["@:'", '@:!', '@.'].some(mark => text.includes(mark))) return 'timing'
  return sequenceOfOperator(concept) ?? (text.includes('::') ? 'imperative' : null)
}

function sequenceOfOperator(concept: AttachedConcept): string | null {
  switch (concept.operator_type) {
    case 'identity':
    case 'abstraction':
    case 'specification':
    case 'continuation':
    case 'selection':
    case 'nominalization':
      return 'assigning'
    case 'grouping':
      return 'grouping'
    case 'timing_conditional':
    case 'timing_completion':
    case 'timing_action':
      return 'timing'
    case 'looping':
      return 'looping'
    case null:
      return null
  }
}
