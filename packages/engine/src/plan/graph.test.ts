import { expect, test } from 'vitest'
import { compileToFiles } from './compile.ts'
import { planGraph, type PlanGraphModel } from './graph.ts'
import { loadPlan } from './manifest.ts'
import { filesOf, smallestPlan } from './testing.ts'

function graphOf(concepts: unknown, inferences: unknown): PlanGraphModel {
  const result = loadPlan(filesOf({ 'concept_repo.json': concepts, 'inference_repo.json': inferences }))
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return planGraph(result.plan)
}

test('[PLAN-60] nodes and edges of one step without written places', () => {
  const { concepts, inferences } = smallestPlan({ context_concepts: ['{in}'] })
  const { nodes, edges } = graphOf(concepts, inferences)
  expect(nodes.map(node => [node.id, node.label, node.node_type, node.category, node.level])).toEqual([
    ['node@1', '{out}', 'value', 'semantic-value', 1],
    ['node@1.1', '::(do)', 'function', 'semantic-function', 2],
    ['node@1.2', '{in}', 'value', 'semantic-value', 2],
  ])
  expect(edges.map(edge => [edge.id, edge.source, edge.target, edge.edge_type, edge.label])).toEqual([
    ['edge-func-1.1-1', 'node@1.1', 'node@1', 'function', 'imperative_in_composition'],
    ['edge-val-1.2-1', 'node@1.2', 'node@1', 'value', ':1'],
    ['edge-ctx-1.2-1', 'node@1.2', 'node@1', 'context', 'ctx'],
  ])
  expect(nodes[0]?.data).toMatchObject({ is_final: true, sequence: 'imperative_in_composition', paradigm: 'known' })
})

const source = `:<:{a}
    <= ::(f)
        | %{norm_input}: P
        <= @:'(<ok>)
        <* <ok>
    <- <ok>
        <= ::(g)<{ALL True}>
            | %{norm_input}: P
        <- {b}
    <- {b}
`

test('[PLAN-60] written places, gates and categories', () => {
  const { files } = compileToFiles(source)
  const { nodes, edges } = graphOf(files.get('concept_repo.json'), files.get('inference_repo.json'))
  expect(nodes.map(node => [node.flow_index, node.label, node.category])).toEqual([
    ['1', '{a}', 'semantic-value'],
    ['1.1', '::(f)', 'semantic-function'],
    ['1.1.1', "@:'(<ok>)", 'syntactic-function'],
    ['1.1.2', '<ok>', 'proposition'],
    ['1.2', '<ok>', 'proposition'],
    ['1.2.1', '::(g)<{ALL True}>', 'semantic-function'],
    ['1.2.2', '{b}', 'semantic-value'],
    ['1.3', '{b}', 'semantic-value'],
  ])
  const ids = new Set(nodes.map(node => node.id))
  expect(edges.every(edge => ids.has(edge.source) && ids.has(edge.target))).toBe(true)
  expect(new Set(edges.map(edge => edge.id)).size).toBe(edges.length)
})

test('[PLAN-61] aliases start where the concept is inferred', () => {
  const { files } = compileToFiles(source)
  const { edges } = graphOf(files.get('concept_repo.json'), files.get('inference_repo.json'))
  const aliases = edges.filter(edge => edge.edge_type === 'alias').map(edge => [edge.source, edge.target, edge.label])
  expect(aliases).toEqual([
    ['node@1.2', 'node@1.1.2', '<ok>'],
    ['node@1.2.2', 'node@1.3', '{b}'],
  ])
})
