import { resultsOf, streamsOf, topicKind } from '@slipway/protocol/bus/topics'
import type { CircuitDocument, CircuitEdge } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import type { Taker } from '#features/operators/operators'

export interface Surroundings {
  readonly takers: readonly Taker[]
  /** Documents of the other enabled circuits. */
  readonly others: readonly CircuitDocument[]
  /** Of expressions that are none, what is wrong with them. */
  readonly unreadable: ReadonlyMap<string, string>
}

/** Throws `circuit.invalid` that names every problem. */
export function checkCircuit(document: CircuitDocument, { takers, others, unreadable }: Surroundings): void {
  const problems: string[] = []
  for (const [index, edge] of document.edges.entries()) {
    const wrong = (what: string): void => void problems.push(`edges.${index}: ${what}`)
    for (const name of ['when', 'map'] as const) {
      const problem = edge[name] === undefined ? undefined : unreadable.get(edge[name])
      if (problem !== undefined) wrong(`${name}: ${problem}`)
    }
    for (const problem of [...sourceProblems(edge, document, takers), ...targetProblems(edge, takers)]) wrong(problem)
  }
  const circle = circleOf([...others.flatMap(({ edges }) => edges), ...document.edges])
  if (circle !== null && document.max_hops === undefined)
    problems.push(`${circle.join(' → ')} is a circle; say with max_hops how often a message may go round`)
  if (problems.length > 0)
    throw new AppError('circuit.invalid', `The circuit ${document.circuit} is not valid: ${problems.join('; ')}.`, {
      details: problems,
    })
}

/** Results and streams come of jobs, which an operator takes, or which this circuit makes for one that is to come. */
function sourceProblems(edge: CircuitEdge, { edges }: CircuitDocument, takers: readonly Taker[]): string[] {
  const kind = topicKind(edge.from)
  if (edge.may_be_empty || (kind !== 'results' && kind !== 'streams')) return []
  const sibling = kind === 'results' ? resultsOf : streamsOf
  const isOf = (topic: string): boolean => topicKind(topic) === 'jobs' && sibling(topic) === edge.from
  if (edges.some(({ to }) => isOf(to)) || takers.some(({ topics }) => topics.some(isOf))) return []
  return [`nothing comes from ${edge.from}: no operator takes its jobs; say may_be_empty: true if one is to come`]
}

function targetProblems({ to, schema, may_be_empty: mayBeEmpty }: CircuitEdge, takers: readonly Taker[]): string[] {
  if (topicKind(to) !== 'jobs') return []
  const known = takers.filter(({ topics }) => topics.includes(to))
  if (known.length === 0)
    return mayBeEmpty ? [] : [`no operator takes jobs of ${to}; say may_be_empty: true if one is to come`]
  if (known.some(({ schemas }) => schemas.length === 0)) return []
  const taken = new Set(known.flatMap(({ schemas }) => schemas))
  if (schema === undefined) return [`say which schema the jobs have: operators of ${to} take ${[...taken].join(', ')}`]
  return taken.has(schema) ? [] : [`no operator of ${to} takes ${schema}; they take ${[...taken].join(', ')}`]
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
  const seen = new Set<string>()
  const path: { readonly topic: string; readonly rest: Iterator<string> }[] = []
  const onPath = new Set<string>()
  const enter = (topic: string): void => {
    seen.add(topic)
    onPath.add(topic)
    path.push({ topic, rest: (next.get(topic) ?? new Set()).values() })
  }
  // Not by calls within calls: a way may be as long as an organisation has edges.
  for (const first of next.keys()) {
    if (!seen.has(first)) enter(first)
    for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
      const step = last.rest.next()
      if (step.done === true) onPath.delete(path.pop()?.topic ?? '')
      else if (onPath.has(step.value)) return circleAt([...onPath], step.value)
      else if (!seen.has(step.value)) enter(step.value)
    }
  }
  return null
}

function circleAt(path: readonly string[], topic: string): string[] {
  return [...path.slice(path.indexOf(topic)), topic]
}
