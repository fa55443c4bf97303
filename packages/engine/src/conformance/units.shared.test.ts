import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readJson } from '#value/json-read'
import { runUnits } from './units.ts'

const folder = new URL('../../../../../shared/data/normcode/units/', import.meta.url)

describe.skipIf(!existsSync(folder))('unit vectors of the reference engine', () => {
  test.each([
    ['head.json', '2026-01-strict'],
    ['legacyfix.json', '2026-01'],
  ] as const)('[CONFORM-1] every vector of %s gives what the reference engine gave, in dialect %s', (file, dialect) => {
    const text = readFileSync(new URL(file, folder), 'utf8')
    const results = runUnits(text, dialect)
    expect(results.length).toBeGreaterThan(100)
    expect(results.filter(result => !result.ok)).toEqual([])
    expect(runUnits(readJson(text), dialect)).toEqual(results)
  })
})
