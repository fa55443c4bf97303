import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCases } from '@slipway/engine/conformance/cases'
import { describe, expect, test } from 'vitest'
import { playCase } from './play-case.ts'

const root = join(import.meta.dirname, '../../../shared/data/normcode')
const path = join(root, 'cases.json')

describe.skipIf(!existsSync(path))('recorded runs of the reference engine', () => {
  const cases = existsSync(path) ? readCases(readFileSync(path, 'utf8')) : []

  test.each(cases.map(given => [given.name, given] as const))('[ENGINE-1] %s', async (_name, given) => {
    const { levels } = await playCase(given, { root })
    expect(levels.filter(({ ok }) => !ok)).toEqual([])
  })
})
