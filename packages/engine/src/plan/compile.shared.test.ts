import { parseJson } from '@slipway/kit/json'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { normalizedJson, runCompileCases, type CompileFolder } from '#conformance/compile'
import { compilePlan } from './compile.ts'
import { parseNcd } from './ncd-parse.ts'
import { serializeNcd } from './ncd-serialize.ts'

const data = '../shared/data/normcode'
const folder = `${data}/compile`

describe.skipIf(!existsSync(folder))('recorded compilations', () => {
  const read = (path: string): string | null => (existsSync(path) ? readFileSync(path, 'utf8') : null)
  const json = (path: string): unknown => parseJson(read(path) ?? 'null')
  const folders = (existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : [])
    .filter(entry => entry.isDirectory())
    .map((entry): CompileFolder => {
      const at = `${folder}/${entry.name}`
      return {
        name: entry.name,
        source: read(`${at}/source.pf.ncd`) ?? '',
        nci: read(`${at}/expected.nci.json`),
        concepts: read(`${at}/expected.concept_repo.json`),
        inferences: read(`${at}/expected.inference_repo.json`),
      }
    })
  const results = runCompileCases(json(`${folder}/micro.json`), folders)

  test('[PLAN-37] there are cases', () => expect(results.length).toBeGreaterThan(folders.length))

  test.each(results)('[PLAN-37] $name', result => expect(result.differences).toEqual([]))

  test.each(results)('[PLAN-40] $name, written back', ({ compiled }) => {
    expect(parseNcd(serializeNcd(compiled.lines))).toEqual(compiled.lines)
  })

  test('[PLAN-37] the groups of an older plan', () => {
    const { nci } = compilePlan(read(`${data}/assistant/compiler_pf.ncd`) ?? '')
    expect(normalizedJson(nci)).toBe(normalizedJson(json(`${data}/assistant/chat.nci.json`)))
  })

  test('[PLAN-37] a difference is seen', () => {
    const [result] = runCompileCases([{ name: 'x', pf_ncd: '<- {a}', lines: [{ flow_index: '2' }], nci: [] }])
    expect(result).toMatchObject({ lines: false, nci: true, concepts: null, inferences: null })
    expect(result?.differences).toHaveLength(1)
  })
})
