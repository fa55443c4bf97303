import { resultsOf, streamsOf, topicKind } from '@slipway/protocol/bus/topics'
import type { CircuitDocument } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import { compileMapping } from '#features/mappings/mappings'

/** What operators take, as far as circuits mind: schemas is empty for any. */
export interface Taker {
  readonly topics: readonly string[]
  readonly schemas: readonly string[]
}

export interface Surroundings {
  readonly takers: readonly Taker[]
  /** Documents of the other enabled circuits. */
  readonly others: readonly CircuitDocument[]
}

/** Throws `circuit.invalid` that names every problem. */
export function checkCircuit(document: CircuitDocument, { takers, others }: Surroundings): void {
  const problems: string[] = []
  for (const [index, edge] of document.edges.entries()) {
    const wrong = (what: string): void => void problems.push(`edges.${index}: ${what}`)
    for (const name of ['when', 'map'] as const) {
      try {
        if (edge[name] !== undefined) compileMapping(edge[name])
      } catch (error) {
        wrong(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    if (topicKind(edge.to) !== 'jobs') continue
    const known = takers.filter(({ topics }) => topics.includes(edge.to))
    if (known.length === 0 && !edge.may_be_empty)
      wrong(`no operator takes jobs of ${edge.to}; say may_be_empty: true if one is to come`)
    const { schema } = edge
    const takes = known.some(
      ({ schemas }) => schemas.length === 0 || (schema !== undefined && schemas.includes(schema)),
    )
    if (known.length > 0 && schema !== undefined && !takes) wrong(`no operator of ${edge.to} takes ${schema}`)
  }
  const circle = circleOf([...others.flatMap(({ edges }) => edges), ...document.edges])
  if (circle !== null && document.max_hops === undefined)
    problems.push(`${circle.join(' → ')} is a circle; say with max_hops how often a message may go round`)
  if (problems.length > 0)
    throw new AppError('circuit.invalid', `The circuit ${document.circuit} is not valid: ${problems.join('; ')}.`, {
      details: problems,
    })
}

/** Topics that lead back to the first of them, through edges and through the operators of jobs; null where none do. */
function circleOf(edges: CircuitDocument['edges']): string[] | null {
  const next = new Map<string, Set<string>>()
  const lead = (from: string, to: string): void => void next.set(from, (next.get(from) ?? new Set()).add(to))
  for (const { from, to } of edges) {
    lead(from, to)
    if (topicKind(to) !== 'jobs') continue
    lead(to, resultsOf(to))
    lead(to, streamsOf(to))
  }
  const clear = new Set<string>()
  const walk = (topic: string, path: readonly string[]): string[] | null => {
    if (path.includes(topic)) return [...path.slice(path.indexOf(topic)), topic]
    if (clear.has(topic)) return null
    for (const after of next.get(topic) ?? []) {
      const found = walk(after, [...path, topic])
      if (found) return found
    }
    clear.add(topic)
    return null
  }
  for (const topic of next.keys()) {
    const found = walk(topic, [])
    if (found) return found
  }
  return null
}
