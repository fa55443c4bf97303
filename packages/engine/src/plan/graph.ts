import { PyDict, PyFloat, type Value } from '../value/value.ts'
import { compareFlowIndices, isBelow, parentIndex } from './flow-index.ts'
import { conceptsByName, type LoadedPlan } from './manifest.ts'
import type { ConceptEntry, InferenceEntry } from './repositories.ts'

export type NodeCategory = 'semantic-function' | 'semantic-value' | 'proposition' | 'syntactic-function'

/** One place where a concept stands in a plan. */
export interface PlanNode {
  /** `node@<flow index>` */
  readonly id: string
  readonly label: string
  readonly category: NodeCategory
  readonly node_type: 'value' | 'function'
  readonly flow_index: string
  /** Number of parts of the flow index. */
  readonly level: number
  /** In pixels: one column for each level, one row for each node, in flow order. */
  readonly position: { readonly x: number; readonly y: number }
  readonly data: Readonly<Record<string, unknown>>
}

export interface PlanEdge {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly edge_type: 'function' | 'value' | 'context' | 'alias'
  readonly label: string
  /** Of the step that the edge belongs to; of the target for an alias. */
  readonly flow_index: string
}

export interface PlanGraphModel {
  readonly nodes: readonly PlanNode[]
  readonly edges: readonly PlanEdge[]
}

const columnWidth = 280
const rowHeight = 90

/** The plan as nodes, one for each place of a concept, and edges from what a step uses to what it infers. */
export function planGraph(plan: LoadedPlan): PlanGraphModel {
  const builder = new GraphBuilder(plan)
  for (const step of plan.inferences) builder.claimTarget(step)
  for (const step of plan.inferences) builder.addStep(step)
  return builder.finish()
}

interface Place {
  readonly concept: string
  readonly nodeType: 'value' | 'function'
  readonly step: InferenceEntry | null
}

type Role = 'function' | 'value' | 'context'

const edgePrefixes: Readonly<Record<Role, string>> = { function: 'func', value: 'val', context: 'ctx' }

class GraphBuilder {
  readonly #concepts: ReadonlyMap<string, ConceptEntry>
  readonly #inferredAt: ReadonlyMap<string, readonly string[]>
  readonly #places = new Map<string, Place>()
  readonly #edges = new Map<string, PlanEdge>()
  /** Places chosen for children, so that a concept a step uses twice stands there once. */
  readonly #made = new Map<string, string>()

  constructor(plan: LoadedPlan) {
    this.#concepts = conceptsByName(plan)
    const byConcept = Map.groupBy(plan.inferences, step => step.conceptToInfer)
    this.#inferredAt = new Map([...byConcept].map(([name, steps]) => [name, steps.map(step => step.flowIndex)]))
  }

  /** A step's own flow index is the place of the concept that it infers. */
  claimTarget(step: InferenceEntry): void {
    if (this.#places.has(step.flowIndex)) return
    const infersFunction = isFunctionName(step.conceptToInfer, this.#concepts.get(step.conceptToInfer))
    const nodeType = infersFunction ? 'function' : 'value'
    this.#places.set(step.flowIndex, { concept: step.conceptToInfer, nodeType, step })
  }

  addStep(step: InferenceEntry): void {
    const children: readonly (readonly [role: Role, name: string])[] = [
      ...(step.functionConcept === null ? [] : [['function', step.functionConcept] as const]),
      ...step.valueConcepts.map(name => ['value', name] as const),
      ...step.contextConcepts.map(name => ['context', name] as const),
    ]
    const offset = step.functionConcept === null ? 2 : 1
    children.forEach(([role, name], at) => {
      const index = this.#place(step, { name, role, fallback: at + offset })
      this.#connect(step, { role, name, index })
    })
  }

  finish(): PlanGraphModel {
    this.#connectAliases()
    const places = [...this.#places].sort(([a], [b]) => compareFlowIndices(a, b))
    const nodes = places.map(([flowIndex, place], row) => this.#node(flowIndex, { place, row }))
    return { nodes, edges: [...this.#edges.values()] }
  }

  /** The flow index where a child stands: one of its own places below the step, else the next free child index. */
  #place(step: InferenceEntry, { name, role, fallback }: { name: string; role: Role; fallback: number }): string {
    const expected = `${step.flowIndex}.${fallback}`
    const own = [...(this.#concepts.get(name)?.flowIndices ?? []), ...(this.#inferredAt.get(name) ?? [])]
    const free = own.filter(index => (this.#places.get(index)?.concept ?? name) === name)
    const known =
      free.find(index => index === expected) ??
      free.find(index => parentIndex(index) === step.flowIndex) ??
      free.find(index => isBelow(index, step.flowIndex))
    const made = `${step.flowIndex} ${name}`
    const index = known ?? this.#made.get(made) ?? this.#nextFree(step.flowIndex, { name, from: fallback })
    this.#made.set(made, index)
    if (!this.#places.has(index)) {
      this.#places.set(index, { concept: name, nodeType: role === 'function' ? 'function' : 'value', step: null })
    }
    return index
  }

  #nextFree(parent: string, { name, from }: { name: string; from: number }): string {
    for (let child = from; ; child++) {
      const index = `${parent}.${child}`
      const taken = this.#places.get(index)
      if (!taken || taken.concept === name) return index
    }
  }

  #connect(step: InferenceEntry, { role, name, index }: { role: Role; name: string; index: string }): void {
    const target = this.#places.get(step.flowIndex)
    if (!target || index === step.flowIndex) return
    const id = `edge-${edgePrefixes[role]}-${index}-${step.flowIndex}`
    const label = role === 'function' ? step.sequence : role === 'context' ? 'ctx' : `:${placeInOrder(step, name)}`
    this.#edges.set(id, {
      id,
      source: `node@${index}`,
      target: `node@${step.flowIndex}`,
      edge_type: role,
      label,
      flow_index: step.flowIndex,
    })
  }

  // From where a concept is inferred, or first stands, to every other place of it.
  #connectAliases(): void {
    const byConcept = Map.groupBy(this.#places, ([, place]) => place.concept)
    for (const [name, places] of byConcept) {
      const [first] = places.sort(([a, left], [b, right]) => {
        return Number(right.step !== null) - Number(left.step !== null) || compareFlowIndices(a, b)
      })
      if (!first) continue
      for (const [index] of places.slice(1)) {
        const id = `edge-alias-${first[0]}-${index}`
        const ends = { source: `node@${first[0]}`, target: `node@${index}` }
        this.#edges.set(id, { id, ...ends, edge_type: 'alias', label: name, flow_index: index })
      }
    }
  }

  #node(flowIndex: string, { place, row }: { place: Place; row: number }): PlanNode {
    const concept = this.#concepts.get(place.concept)
    const level = flowIndex.split('.').length
    return {
      id: `node@${flowIndex}`,
      label: place.concept,
      category: categoryOf(place, concept),
      node_type: place.nodeType,
      flow_index: flowIndex,
      level,
      position: { x: (level - 1) * columnWidth, y: row * rowHeight },
      data: nodeData(place, concept),
    }
  }
}

function nodeData(place: Place, concept: ConceptEntry | undefined): Readonly<Record<string, unknown>> {
  const paradigm = place.step?.workingInterpretation.get('paradigm')
  const ofStep = { sequence: place.step?.sequence ?? null, paradigm: typeof paradigm === 'string' ? paradigm : null }
  if (!concept) return { concept_name: place.concept, natural_name: place.concept, ...ofStep }
  return {
    concept_name: concept.conceptName,
    natural_name: concept.naturalName,
    description: concept.description ?? '',
    is_ground: concept.isGround,
    is_final: concept.isFinal,
    is_invariant: concept.isInvariant,
    axes: concept.referenceAxisNames ?? [],
    ...ofStep,
  }
}

function categoryOf(place: Place, concept: ConceptEntry | undefined): NodeCategory {
  if (place.nodeType === 'function') {
    return isOperator(place.concept, concept) ? 'syntactic-function' : 'semantic-function'
  }
  return concept?.type === '<>' || /^<[^{]/.test(place.concept) ? 'proposition' : 'semantic-value'
}

function isFunctionName(name: string, concept: ConceptEntry | undefined): boolean {
  return isOperator(name, concept) || ['({})', '<{}>', '::({})', '::'].includes(concept?.type ?? '')
}

// Compiled repositories give every function the type of a step, so its text decides as well.
function isOperator(name: string, concept: ConceptEntry | undefined): boolean {
  return (
    /^[$@&*]/.test(concept?.type ?? '') || /^(?:\$[=%.+:-]|&(?:\[|in|across)|@|\*(?:\.|every|some|count))/.test(name)
  )
}

function placeInOrder(step: InferenceEntry, name: string): number {
  const order = step.workingInterpretation.get('value_order')
  const place: Value | undefined = order instanceof PyDict ? order.get(name) : undefined
  if (typeof place === 'number') return place
  if (place instanceof PyFloat) return place.value
  return step.valueConcepts.indexOf(name) + 1
}
