import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readCases, type ConformanceCase } from '@slipway/engine/conformance/cases'
import { canonicalText, normalValue } from '@slipway/engine/conformance/normal-form'
import { referenceDict } from '@slipway/engine/conformance/recording'
import { reconcile, signaturesOf, stateAfter, type ReconcileOptions } from '@slipway/engine/run/reconcile'
import type { RunRecord } from '@slipway/engine/run/records'
import { Run } from '@slipway/engine/run/run'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import { describe, expect, test } from 'vitest'
import { KeyedWorld } from './keyed-world.ts'
import { fileEffect, fillFolder, openRun, readGolden } from './play-case.ts'

const root = join(import.meta.dirname, '../../../shared/data/normcode')
const path = join(root, 'cases.json')
const cases = existsSync(path) ? readCases(readFileSync(path, 'utf8')) : []
const addition = cases.find(({ name }) => name === 'addition_123_98.legacyfix')
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Answers a run from what was recorded of its case, to the end or until a cycle is over. */
function play(given: ConformanceCase, run: Run, { untilCycle = Infinity } = {}): RunRecord[] {
  const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'slipway-take-over-')))
  try {
    const golden = readGolden(join(root, given.golden ?? ''))
    if (golden === null) throw new Error('The case has no recorded result.')
    fillFolder(scratch, given, { root, golden })
    const world = new KeyedWorld({ given, golden, baseDir: scratch, files: effect => fileEffect(effect, scratch) })
    const records: RunRecord[] = []
    for (;;) {
      const progress = run.advance()
      records.push(...progress.records)
      if (progress.end !== null || run.cycle > untilCycle) return records
      for (const request of progress.effects) run.resolve(request.key, world.perform(request))
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function finals(run: Run): string {
  const values = run.finals().map(({ name, reference }) => [name, referenceDict(reference)])
  return canonicalText(normalValue(values, { baseDir: '/nowhere' }))
}

describe.skipIf(addition === undefined)('a run of addition that was stopped after cycle 20', () => {
  const given = addition as ConformanceCase

  function takenOver(mode: ReconcileOptions['mode'], isFork: boolean): Run {
    const stopped = openRun(given, { root })
    const records = play(given, stopped, { untilCycle: 20 }).filter(({ cycle }) => cycle <= 20)
    const { program } = stopped
    // What was supplied is in the state that the run began with.
    const begun = openRun(given, { root })
    const from: Snapshot = stateAfter(program, { mode: 'sequential', inputs: new Map(), from: startOf(begun) }, records)
    const signatures = { before: signaturesOf(program, sha256), after: signaturesOf(program, sha256) }
    const options = { mode, isFork, signatures, inputs: new Map(), overrides: new Map() }
    const { snapshot } = reconcile(program, from, options)
    return new Run(program, { mode: 'sequential', maxCycles: 2000, seed: 'fork', inputs: new Map(), from: snapshot })
  }

  test.each(['OVERWRITE', 'PATCH', 'FILL_GAPS'] as const)(
    '[ENGINE-50] %s goes on to the same result in the cycles that it would have needed',
    mode => {
      const whole = openRun(given, { root })
      const all = play(given, whole)
      const run = takenOver(mode, false)
      const rest = play(given, run)
      expect(run.end?.status).toBe('completed')
      expect(finals(run)).toBe(finals(whole))
      expect(run.cycle).toBe(37)
      expect(run.cycle).toBe(whole.cycle)
      expect(rest.length).toBe(all.filter(({ cycle }) => cycle > 20).length)
    },
  )

  test.each(['OVERWRITE', 'PATCH', 'FILL_GAPS'] as const)('[ENGINE-54] %s starts again from what was given', mode => {
    const whole = openRun(given, { root })
    play(given, whole)
    const run = takenOver(mode, true)
    play(given, run)
    expect(run.end?.status).toBe('completed')
    expect(run.cycle).toBe(whole.cycle)
    expect(finals(run)).toBe(finals(whole))
  })
})

function startOf(run: Run): Snapshot {
  run.limitStarts(0)
  run.requestSnapshot()
  const { snapshot } = run.advance()
  if (snapshot === null) throw new Error('There is no snapshot.')
  return snapshot
}
