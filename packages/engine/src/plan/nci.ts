import { compareFlowIndices } from './flow-index.ts'
import type { CommentLine, ConceptLine, NcdLine } from './ncd-parse.ts'

/** A concept with every comment and annotation that stands under it. */
export interface AttachedConcept extends ConceptLine {
  readonly attached_comments: readonly CommentLine[]
}

/** One step as the text groups it: what is inferred, by which function, from which values. */
export interface InferenceGroup {
  readonly concept_to_infer: AttachedConcept
  readonly function_concept: AttachedConcept
  readonly value_concepts: readonly AttachedConcept[]
  /** Context concepts and everything else below the inferred concept. */
  readonly other_concepts: readonly AttachedConcept[]
}

/** Groups lines into steps: one for every concept that has a functional child, ordered by flow index. */
export function groupInferences(lines: readonly NcdLine[]): InferenceGroup[] {
  const concepts = attachComments(lines)
  const children = childrenOf(concepts)
  const groups: InferenceGroup[] = []
  for (const [parent, below] of children) {
    const isFunction = (child: AttachedConcept): boolean => child.inference_marker === '<='
    const first = below.find(isFunction)
    if (!first) continue
    groups.push({
      concept_to_infer: parent,
      function_concept: first,
      value_concepts: below.filter(child => child.inference_marker === '<-'),
      other_concepts: below.filter(child => child !== first && child.inference_marker !== '<-'),
    })
  }
  return groups.sort((a, b) => compareFlowIndices(a.concept_to_infer.flow_index, b.concept_to_infer.flow_index))
}

function attachComments(lines: readonly NcdLine[]): AttachedConcept[] {
  const comments = Map.groupBy(
    lines.filter(line => line.type !== 'main'),
    line => line.flow_index,
  )
  return lines
    .filter(line => line.type === 'main')
    .map(line => ({ ...line, attached_comments: comments.get(line.flow_index) ?? [] }))
}

// The parent is the nearest earlier concept with a smaller depth, whatever the flow indices say.
function childrenOf(concepts: readonly AttachedConcept[]): Map<AttachedConcept, AttachedConcept[]> {
  const children = new Map<AttachedConcept, AttachedConcept[]>(concepts.map(concept => [concept, []]))
  const open: AttachedConcept[] = []
  for (const concept of concepts) {
    while ((open.at(-1)?.depth ?? -1) >= concept.depth) open.pop()
    const parent = open.at(-1)
    if (parent) children.get(parent)?.push(concept)
    open.push(concept)
  }
  return children
}
