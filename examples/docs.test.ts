import { builtInParadigmNames } from '@slipway/engine/paradigm/built-in/paradigms'
import { checkPlan } from '@slipway/engine/plan/check'
import { compileToFiles } from '@slipway/engine/plan/compile'
import { loadPlan } from '@slipway/engine/plan/manifest'
import { expect, test } from 'vitest'
import { excerpts, writtenPackage } from './docs.ts'
import { exampleNames, examplePackage } from './testbed.ts'

const all = await excerpts()
const names = await exampleNames()
const quoted = all.filter(({ file }) => names.includes(file.split('/')[0] ?? ''))

test('[EXAMPLE-15] the tutorials quote every example', () => {
  expect([...new Set(quoted.map(({ file }) => file.split('/')[0]))].sort()).toEqual(names.sort())
})

test.each(quoted)('[EXAMPLE-15] $page: $file', async ({ file, text }) => {
  const [name = '', base = `${name}.pf.ncd`] = file.split('/')
  const found = [...(await examplePackage(name))].find(([path]) => path.split('/').at(-1) === base)
  const source = new TextDecoder().decode(found?.[1])
  expect(`\n${source}`).toContain(`\n${text}`)
})

test('[EXAMPLE-16] the plan of the tutorial compiles and is checked without a problem', () => {
  const files = writtenPackage(all, 'short-note')
  const compiled = compileToFiles(new TextDecoder().decode(files.get('short-note.pf.ncd')))
  expect(compiled.problems).toEqual([])
  for (const [path, text] of compiled.files) files.set(path, new TextEncoder().encode(text))
  expect(files.size).toBe(8)
  const loaded = loadPlan(files)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const builtInParadigms = new Set(builtInParadigmNames)
  expect([...loaded.problems, ...checkPlan(loaded.plan, { builtInParadigms })]).toEqual([])
  expect(loaded.plan).toMatchObject({ dialect: '2026-03', inferences: { length: 4 } })
})
