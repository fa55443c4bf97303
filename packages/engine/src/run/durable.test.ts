import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyRecord } from './apply-record.ts'
import {
  decodeRecord,
  decodeReference,
  decodeSnapshot,
  encodeRecord,
  encodeReference,
  encodeSnapshot,
} from './codec.ts'
import { openSketch, programOf, type PlanSketch } from './plan.fixture.ts'
import { answerNext, answered, finalsOf, first, picking, playOut, shown, stateText, Told } from './playing.fixture.ts'
import { randomPlan } from './random-plan.test-data.ts'
import type { Run, RunOptions } from './run.ts'
import { RunState } from './state.ts'

const plans = fc.array(fc.nat(1000), { minLength: 10, maxLength: 90, size: 'max' }).map(randomPlan)
const modes = fc.constantFrom('sequential', 'parallel')
const MINUTE = 60_000

function open(sketch: PlanSketch, mode: RunOptions['mode'], options: Partial<RunOptions> = {}): Run {
  return openSketch(sketch, { mode, maxCycles: 60, ...options })
}

describe('records', () => {
  test(
    '[ENGINE-29] the records of a random plan, as they are stored, lead to its state whenever nothing is under way',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.nat(), (sketch, mode, seed) => {
          const run = open(sketch, mode)
          const told = new Told()
          const pick = picking(seed)
          let state = new RunState(programOf(sketch), { parallel: mode === 'parallel' })
          let applied = 0
          for (let most = 0; ;) {
            run.limitStarts(most)
            const { end, held } = told.take(run)
            for (; applied < told.records.length; applied++) {
              const record = told.records[applied]
              if (record === undefined) continue
              state = applyRecord(state, decodeRecord(encodeRecord(record, encodeReference), decodeReference))
            }
            if (told.isQuiet) expect(stateText(state)).toBe(stateText(run.state))
            if (end !== null) return
            if (held !== null || (told.isQuiet && !answerNext(run, told, pick))) most++
            else if (!answerNext(run, told, pick)) most++
          }
        }),
        { numRuns: 150, seed: 3 },
      )
    },
    MINUTE,
  )
})

describe('snapshots', () => {
  test(
    '[ENGINE-30] a run goes on from any snapshot, as it is stored, as though it had never ended',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.nat(), fc.integer({ min: 1, max: 6 }), (sketch, mode, seed, every) => {
          const undisturbed = open(sketch, mode)
          const whole = new Told()
          playOut(undisturbed, whole, picking(seed))

          const run = open(sketch, mode)
          const told = new Told()
          const pick = picking(seed)
          const outcomes: (readonly [string, ReturnType<typeof answered>])[] = []
          const taken: { readonly text: string; readonly outcomes: number }[] = []
          for (let turn = 0; ; turn++) {
            if (turn % every === 0) run.requestSnapshot()
            const progress = told.take(run)
            if (progress.snapshot !== null) {
              taken.push({ text: encodeSnapshot(progress.snapshot, encodeReference), outcomes: outcomes.length })
            }
            if (progress.end !== null) break
            const [request] = told.waiting.splice(pick(told.waiting.length), 1)
            if (request === undefined) throw new Error('The run waits for nothing.')
            outcomes.push([request.key, answered(request)])
            run.resolve(request.key, answered(request))
          }
          expect(shown(told.records)).toBe(shown(whole.records))
          expect(shown(told.events)).toBe(shown(whole.events))

          for (const { text, outcomes: before } of taken) {
            const from = decodeSnapshot(text, decodeReference)
            expect(encodeSnapshot(from, encodeReference)).toBe(text)
            const again = open(sketch, mode, { from })
            const rest = new Told()
            expect(rest.take(again).firstEvent).toBe(from.emitted + 1)
            for (const [key, outcome] of outcomes.slice(before)) {
              expect(again.resolve(key, outcome)).toBe(true)
              rest.take(again)
            }
            expect(shown(rest.records)).toBe(shown(told.records.slice(from.records)))
            expect(shown(rest.events)).toBe(shown(told.events.slice(from.emitted)))
            expect(rest.keys.filter(key => !told.keys.includes(key))).toEqual([])
            expect(again.end).toEqual(undisturbed.end)
            expect(again.emitted).toBe(run.emitted)
            expect(again.starts).toBe(run.starts)
            expect(finalsOf(again)).toBe(finalsOf(undisturbed))
          }
        }),
        { numRuns: 120, seed: 4 },
      )
    },
    MINUTE,
  )
})

describe('the gate', () => {
  test(
    '[ENGINE-31] a run that was held before any start goes on as one that never was',
    () => {
      fc.assert(
        fc.property(plans, modes, fc.infiniteStream(fc.nat(3)), (sketch, mode, steps) => {
          const undisturbed = open(sketch, mode)
          const whole = new Told()
          playOut(undisturbed, whole, first)
          const run = open(sketch, mode)
          const told = new Told()
          for (let most = 0; ;) {
            run.limitStarts(most)
            const { end, held } = told.take(run)
            expect(run.starts).toBeLessThanOrEqual(most)
            if (end !== null) break
            if (held !== null) {
              expect(held.by).toBe('limit')
              most += 1 + (steps.next().value ?? 0)
            } else if (!answerNext(run, told, first)) throw new Error('The run waits for nothing.')
          }
          expect(finalsOf(run)).toBe(finalsOf(undisturbed))
          expect(run.end?.status).toBe(undisturbed.end?.status)
          if (mode === 'parallel') return
          expect(shown(told.records)).toBe(shown(whole.records))
          expect(shown(told.events)).toBe(shown(whole.events))
          expect(told.keys).toEqual(whole.keys)
          expect(run.end).toEqual(undisturbed.end)
        }),
        { numRuns: 150, seed: 5 },
      )
    },
    MINUTE,
  )
})
