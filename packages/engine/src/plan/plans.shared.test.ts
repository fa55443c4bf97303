import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readJson } from '../value/json-read.ts'
import { PyDict, isList } from '../value/value.ts'
import { checkPlan } from './check.ts'
import { compileToFiles } from './compile.ts'
import type { PlanFiles } from './files.ts'
import { planGraph } from './graph.ts'
import { loadPlan, loadRepositories } from './manifest.ts'
import { packPlan } from './pack.ts'
import { filesOf } from './testing.ts'

const data = '../shared/data/normcode'

interface Case {
  readonly name: string
  readonly base: string
  readonly concepts: string
  readonly inferences: string
  readonly paradigms: string
}

function casesOf(json: string): Case[] {
  const value = readJson(json)
  return (isList(value) ? value : []).flatMap(item => {
    if (!(item instanceof PyDict)) return []
    const text = (key: string): string => {
      const field = item.get(key)
      return typeof field === 'string' ? field : ''
    }
    const [name, base, concepts] = [text('name'), text('base_dir'), text('concepts')]
    return [{ name, base, concepts, inferences: text('inferences'), paradigms: text('paradigms') }]
  })
}

describe.skipIf(!existsSync(data))('real plans', () => {
  const read = (path: string): PlanFiles => {
    const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
    return new Map(
      files.map(entry => {
        const file = `${entry.parentPath}/${entry.name}`
        return [relative(path, file), new Uint8Array(readFileSync(file))]
      }),
    )
  }
  const present = existsSync(data)
  const builtInParadigms = new Set(
    present ? readdirSync(`${data}/reference_paradigms`).map(name => name.replace(/\.json$/, '')) : [],
  )
  const cases = present ? casesOf(readFileSync(`${data}/cases.json`, 'utf8')) : []
  const folders = ['gold/package', 'gold', 'assistant', 'formalization', 'addition', 'phase_1']

  test.each(folders)('[PLAN-27] the package %s loads without an error', folder => {
    const result = loadPlan(read(`${data}/${folder}`))
    if (!result.ok) throw new Error(JSON.stringify(result.problems))
    const problems = checkPlan(result.plan, { builtInParadigms })
    expect(problems.filter(problem => problem.severity === 'error')).toEqual([])
    expect(result.plan.inputs.filter(input => input.required)).toEqual([])
    expect(result.plan.outputs.length).toBeGreaterThan(0)
  })

  test.each(cases)('[PLAN-27] the plan of $name has no error', ({ base, concepts, inferences, paradigms }) => {
    const files = read(data)
    const own = paradigms.startsWith(`${base}/`) ? { paradigmDir: paradigms.slice(base.length + 1) } : {}
    const result = loadRepositories(files, { concepts, inferences, baseDir: base, ...own })
    if (!result.ok) throw new Error(JSON.stringify(result.problems))
    const problems = checkPlan(result.plan, { builtInParadigms })
    expect(problems.filter(problem => problem.severity === 'error')).toEqual([])
    const { nodes, edges } = planGraph(result.plan)
    const ids = new Set(nodes.map(node => node.id))
    expect(edges.filter(edge => !ids.has(edge.source) || !ids.has(edge.target))).toEqual([])
    for (const step of result.plan.inferences) expect(ids).toContain(`node@${step.flowIndex}`)
  })

  test('[PLAN-7] a name of another script stays', () => {
    expect(loadPlan(read(`${data}/gold/package`))).toMatchObject({
      ok: true,
      plan: { id: '黄金投资建议', maxCycles: 50 },
    })
  })

  test('[PLAN-25] the known trap of the gold plan is found', () => {
    const result = loadPlan(read(`${data}/gold/package`))
    const codes = result.ok ? checkPlan(result.plan, { builtInParadigms }).map(problem => problem.code) : []
    expect(codes).toContain('step.list_shifts_inputs')
  })

  test('[PLAN-8] what the later compiler made is detected', () => {
    const { files } = compileToFiles(readFileSync(`${data}/formalization/formalization.pf.ncd`, 'utf8'))
    expect(loadPlan(filesOf(Object.fromEntries(files)))).toMatchObject({
      ok: true,
      plan: { dialect: '2026-03', dialectSource: 'detected' },
    })
  })

  test('[PLAN-50] a real package packs to the same bytes', () => {
    const files = read(`${data}/gold/package`)
    expect(packPlan(new Map([...files].reverse()))).toEqual(packPlan(files))
  })
})
