import { builtInParadigmNames } from '@slipway/engine/paradigm/built-in/paradigms'
import { checkPlan } from '@slipway/engine/plan/check'
import { compileToFiles } from '@slipway/engine/plan/compile'
import { loadPlan } from '@slipway/engine/plan/manifest'
import { describe, expect, test } from 'vitest'
import { exampleNames, examplePackage, readExample } from './testbed.ts'

describe.each(await exampleNames())('%s', name => {
  test('[EXAMPLE-1] its repositories are what the compiler makes of its source', async () => {
    const compiled = compileToFiles(await readExample(name, `${name}.pf.ncd`))
    expect(compiled.problems).toEqual([])
    for (const file of ['concept_repo.json', 'inference_repo.json']) {
      expect(await readExample(name, file)).toBe(compiled.files.get(file))
    }
  })

  test('[EXAMPLE-2] it is checked without a problem', async () => {
    const loaded = loadPlan(await examplePackage(name))
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    const builtInParadigms = new Set(builtInParadigmNames)
    expect([...loaded.problems, ...checkPlan(loaded.plan, { builtInParadigms })]).toEqual([])
  })
})
