import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyRecord } from './apply-record.ts'
import { decodeRecord, decodeReference, decodeSnapshot, encodeRecord, encodeReference } from './codec.ts'
import { openSketch, programOf, type PlanSketch } from './plan.fixture.ts'
import { answerNext, finalsOf, picking, playOut, shown, stateText, Told } from './playing.fixture.ts'
import { replayInputs, steer } from './random-commands.test-data.ts'
import { Choices, randomPlan } from './random-plan.test-data.ts'
import type { Run, RunOptions } from './run.ts'
import { RunState } from './state.ts'

const plans = fc.array(fc.nat(1000), { minLength: 10, maxLength: 90, size: 'max' }).map(randomPlan)
const modes = fc.constantFrom('sequential', 'parallel')
const choicesOf = fc.array(fc.nat(1000), { minLength: 40, maxLength: 200, size: 'max' })
const MINUTE = 60_000

function open(sketch: PlanSketch, mode: RunOptions['mode'], options: Partial<RunOptions> = {}): Run {
  return openSketch(sketch, { mode, maxCycles: 60, ...options })
}

describe('a journal of outcomes and commands', () => {
  test(
    '[ENGINE-32] leads to the same records, events and effects, whatever the turns are',
    () => {
      fc.assert(
        fc.property(
          plans,
          modes,
          choicesOf,
          fc.constantFrom(30, 400, undefined),
          (sketch, mode, numbers, unitsPerTurn) => {
            const run = open(sketch, mode, { unitsPerTurn })
            const { told, journal, snapshots } = steer(run, new Choices(numbers), { most: 6 })
            const again = open(sketch, mode)
            const replayed = replayInputs(again, journal)
            expect(replayed.records.map(shown)).toEqual(told.records.map(shown))
            expect(replayed.events.map(shown)).toEqual(told.events.map(shown))
            expect(lastingKeys(replayed)).toEqual(lastingKeys(told))
            expect(again.end).toEqual(run.end)
            expect(finalsOf(again)).toBe(finalsOf(run))

            let state = new RunState(programOf(sketch), { parallel: mode === 'parallel' })
            for (const record of told.records) {
              state = applyRecord(state, decodeRecord(encodeRecord(record, encodeReference), decodeReference))
            }
            if (told.isQuiet || run.end?.reason === 'cancelled') expect(stateText(state)).toBe(stateText(run.state))

            for (const { text, inputs } of spread(snapshots, 4)) {
              const from = decodeSnapshot(text, decodeReference)
              const restored = open(sketch, mode, { from })
              const rest = replayInputs(restored, journal.slice(inputs))
              expect(rest.records.map(shown)).toEqual(told.records.slice(from.records).map(shown))
              expect(rest.events.map(shown)).toEqual(told.events.slice(from.emitted).map(shown))
              expect(restored.end).toEqual(run.end)
            }
          },
        ),
        { numRuns: 250, seed: 6 },
      )
    },
    MINUTE,
  )
})

/** What was asked for and not given up; that depends on the turns, since it may be given up before it was asked for. */
function lastingKeys({ keys, records }: Told): string[] {
  const givenUp = records.flatMap(record => (record.kind === 'command' ? record.givenUp : []))
  return keys.filter(key => !givenUp.some(one => key.startsWith(`${one.flowIndex}#${one.execution}/`)))
}

function spread<T>(items: readonly T[], most: number): T[] {
  const step = Math.max(1, Math.ceil(items.length / most))
  return items.filter((_, place) => place % step === 0)
}

describe('doing steps again', () => {
  test(
    '[ENGINE-33] a run in which a step is done again at any moment ends with the values of one in which none was',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.nat(), fc.nat(40), fc.nat(), (sketch, mode, seed, moment, which) => {
          const undisturbed = open(sketch, mode)
          playOut(undisturbed, new Told(), picking(seed))
          if (undisturbed.end?.status !== 'completed') return
          if (undisturbed.state.truthMasks.size > 0 || sketch.dialect === '2026-01-strict') return
          const run = open(sketch, mode, { maxCycles: 200 })
          const told = new Told()
          const pick = picking(seed)
          for (let count = 0; count < moment && told.take(run).end === null; count++) answerNext(run, told, pick)
          const { slots } = run.program
          const flowIndex = slots[which % slots.length]?.flowIndex ?? ''
          expect(run.command({ type: 'rerun', flowIndex })).toBeNull()
          told.drop(run)
          playOut(run, told, pick)
          expect(run.end).toEqual(undisturbed.end)
          expect(finalsOf(run)).toBe(finalsOf(undisturbed))
        }),
        { numRuns: 600, seed: 7 },
      )
    },
    MINUTE,
  )

  test(
    '[ENGINE-34] a given value that is overridden with its dependents leads to what it would have led to as an input',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.nat(), fc.nat(40), fc.nat(2), (sketch, mode, seed, moment, which) => {
          const concept = ['{line}', '{grid}', '{one}'][which] ?? ''
          const value = { data: ['c', 'd'], axes: concept === '{grid}' ? null : (sketch.axes?.[concept] ?? null) }
          const inputs = new Map([[concept, value]])
          const fresh = open(sketch, mode, { inputs })
          playOut(fresh, new Told(), picking(seed))
          if (fresh.end?.status !== 'completed') return
          if (fresh.state.truthMasks.size > 0 || sketch.dialect === '2026-01-strict') return
          const run = open(sketch, mode, { maxCycles: 200 })
          const told = new Told()
          const pick = picking(seed)
          for (let count = 0; count < moment && told.take(run).end === null; count++) answerNext(run, told, pick)
          expect(run.command({ type: 'override', concept, value, rerunDependents: true })).toBeNull()
          told.drop(run)
          playOut(run, told, pick)
          if (run.state.truthMasks.size > 0) return
          expect(finalsOf(run)).toBe(finalsOf(fresh))
          expect(run.end).toEqual(fresh.end)
        }),
        { numRuns: 600, seed: 8 },
      )
    },
    MINUTE,
  )
})
