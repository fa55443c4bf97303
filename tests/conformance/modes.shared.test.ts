import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCases, type ConformanceCase } from '@slipway/engine/conformance/cases'
import { referenceDict } from '@slipway/engine/conformance/recording'
import { canonicalText, normalValue } from '@slipway/engine/conformance/normal-form'
import type { EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import type { RunRecord } from '@slipway/engine/run/records'
import type { Run } from '@slipway/engine/run/run'
import { encodeValue } from '@slipway/engine/value/codec'
import { PyDict } from '@slipway/engine/value/value'
import { describe, expect, test } from 'vitest'
import { KeyedWorld } from './keyed-world.ts'
import { fileEffect, fillFolder, openRun, readGolden } from './play-case.ts'

const root = join(import.meta.dirname, '../../../shared/data/normcode')
const path = join(root, 'cases.json')
const cases = existsSync(path) ? readCases(readFileSync(path, 'utf8')).filter(given => given.golden !== null) : []

interface Played {
  readonly run: Run
  readonly records: readonly RunRecord[]
  readonly outcomes: readonly (readonly [string, EffectOutcome])[]
  readonly finals: string
}

/** Plays a case; of the effects that wait, the one that `pick` chooses is answered next. */
function play(given: ConformanceCase, mode: 'sequential' | 'parallel', pick: (waiting: number) => number): Played {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-modes-')))
  const folder = join(scratch, 'base')
  try {
    const golden = readGolden(join(root, given.golden ?? ''))
    if (golden === null) throw new Error('The case has no recorded result.')
    fillFolder(folder, given, { root, golden })
    const world = new KeyedWorld({ given, golden, baseDir: folder, files: effect => fileEffect(effect, folder) })
    const run = openRun(given, { root, mode })
    const records: RunRecord[] = []
    const outcomes: (readonly [string, EffectOutcome])[] = []
    const waiting: EffectRequest[] = []
    for (;;) {
      const progress = run.advance()
      records.push(...progress.records)
      waiting.push(...progress.effects)
      if (progress.end !== null) break
      const [request] = waiting.splice(pick(waiting.length), 1)
      if (request === undefined) throw new Error('The run waits for nothing.')
      const outcome = world.perform(request)
      outcomes.push([request.key, outcome])
      run.resolve(request.key, outcome)
    }
    const finals = run.finals().map(({ name, reference }) => [name, referenceDict(reference)])
    return { run, records, outcomes, finals: canonicalText(normalValue(finals, { baseDir: folder })) }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** A record as text: what dicts hold is private to them, so comparing them as objects would not look into them. */
function shown(record: RunRecord): string {
  return JSON.stringify(record, (_key, value: unknown) => (value instanceof PyDict ? encodeValue(value) : value))
}

const first = (): number => 0
const last = (waiting: number): number => waiting - 1

function random(seed: number): (waiting: number) => number {
  let state = seed
  return waiting => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * waiting)
  }
}

describe.skipIf(!existsSync(path))('modes of a run', () => {
  test.each(cases.map(given => [given.name, given] as const))(
    '[ENGINE-8] %s ends with the same values in both modes, whatever answers first',
    (_name, given) => {
      const expected = play(given, 'sequential', first)
      expect(
        expected.records
          .flatMap(record => (record.kind === 'step' ? record.errors : []))
          .filter(error => error.name === 'LookupError'),
      ).toEqual([])
      for (const pick of [first, last, random(1), random(2), random(3)]) {
        const played = play(given, 'parallel', pick)
        expect(played.finals).toBe(expected.finals)
        expect(played.run.end?.status).toBe(expected.run.end?.status)
        expect(played.run.cycle).toBeLessThanOrEqual(expected.run.cycle)
      }
    },
  )

  test.each(cases.map(given => [given.name, given] as const))(
    '[ENGINE-9] %s is reproduced by its outcomes in their order',
    (_name, given) => {
      const played = play(given, 'parallel', random(7))
      const again = openRun(given, { root, mode: 'parallel' })
      const records: RunRecord[] = []
      for (const [key, outcome] of played.outcomes) {
        records.push(...again.advance().records)
        expect(again.resolve(key, outcome)).toBe(true)
      }
      records.push(...again.advance().records)
      expect(records.map(shown)).toEqual(played.records.map(shown))
      expect(again.end).toEqual(played.run.end)
    },
  )
})
