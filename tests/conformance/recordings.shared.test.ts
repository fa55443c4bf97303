import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCases } from '@slipway/engine/conformance/cases'
import { canonicalText, normalValue } from '@slipway/engine/conformance/normal-form'
import { readJson } from '@slipway/engine/value/json-read'
import { str } from '@slipway/engine/value/python-repr'
import { isList, PyDict, type Value } from '@slipway/engine/value/value'
import { describe, expect, test } from 'vitest'
import { playCase, readGolden } from './play-case.ts'
import { openScripts } from './scripts.ts'

const root = join(import.meta.dirname, '../../../shared/data/normcode')
const path = join(root, 'cases.json')
const cases = existsSync(path) ? readCases(readFileSync(path, 'utf8')) : []

/** Where a result came from and what its author noted: nothing that a run could know. */
const notes = new Set(['plan', 'base_dir', 'expected_sum', 'scripted', 'note', 'answer', 'ncds'])

/** The whole of a golden but its notes; `people` apart, because ours are shown questions that theirs were not. */
function known(result: Value): string[] {
  if (!(result instanceof PyDict)) return []
  return [...result.entries()]
    .filter(([key]) => typeof key === 'string' && !notes.has(key) && key !== 'user_inputs')
    .map(([key, value]) => `${str(key)}: ${canonicalText(normalValue(value, { baseDir: '<BASE>' }))}`)
}

describe.skipIf(!existsSync(path))('recordings', () => {
  test.each(cases.filter(({ python }) => python === 'replay').map(given => [given.name, given] as const))(
    '[CONFORM-2] %s has all fields of its recorded result in the same form',
    async (_name, given) => {
      const golden = readGolden(join(root, given.golden ?? ''))
      const recorded = readJson((await playCase(given, { root })).recorded)
      expect(known(recorded)).toEqual(expect.arrayContaining(known(golden)))
      const trace = recorded instanceof PyDict ? recorded.get('trace') : null
      expect(isList(trace) && trace.length > 0).toBe(true)
    },
  )

  test.each(cases.filter(({ python }) => python === 'run').map(given => [given.name, given] as const))(
    '[CONFORM-2] %s runs its scripts and has all fields of its recorded result',
    async (_name, given) => {
      const scripts = openScripts()
      try {
        const runScript = scripts.runnerFor('wasm')
        const { recorded } = await playCase({ ...given, golden: null }, { root, runScript })
        const golden = readGolden(join(root, given.golden ?? ''))
        expect(known(readJson(recorded))).toEqual(expect.arrayContaining(known(golden)))
      } finally {
        await scripts.close()
      }
    },
    120_000,
  )
})
