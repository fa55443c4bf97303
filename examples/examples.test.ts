import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkPlan } from '@slipway/engine/plan/check'
import { compileToFiles } from '@slipway/engine/plan/compile'
import { loadPlan } from '@slipway/engine/plan/manifest'
import { builtInParadigms } from '@slipway/engine/paradigm/built-in/paradigms'
import { describe, expect, test } from 'vitest'

const plans = join(import.meta.dirname, 'plans')
const names = readdirSync(plans, { withFileTypes: true })
  .filter(entry => entry.isDirectory())
  .map(entry => entry.name)

function packageOf(name: string): Map<string, Uint8Array> {
  const folder = join(plans, name)
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return new Map(
    files.map(entry => {
      const path = join(entry.parentPath, entry.name)
      return [path.slice(folder.length + 1).replaceAll('\\', '/'), readFileSync(path)]
    }),
  )
}

describe.each(names)('%s', name => {
  test('[EXAMPLE-1] its repositories are what the compiler makes of its source', () => {
    const compiled = compileToFiles(readFileSync(join(plans, name, `${name}.pf.ncd`), 'utf8'))
    expect(compiled.problems).toEqual([])
    for (const file of ['concept_repo.json', 'inference_repo.json']) {
      expect(readFileSync(join(plans, name, file), 'utf8')).toBe(compiled.files.get(file))
    }
  })

  test('[EXAMPLE-2] it is checked without a problem', () => {
    const loaded = loadPlan(packageOf(name))
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    const builtIn = new Set(builtInParadigms.keys())
    expect([...loaded.problems, ...checkPlan(loaded.plan, { builtInParadigms: builtIn })]).toEqual([])
  })
})
