import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { describe, expect, test } from 'vitest'
import { applyRecord } from '#run/apply-record'
import { decodeRecord, decodeReference, decodeSnapshot, encodeRecord, encodeReference } from '#run/codec'
import { stateText } from '#run/playing.fixture'
import { startState } from '#run/start-state'
import { decodeValue } from '#value/codec'
import { outcomeOf, replayHistory, type History } from './history.ts'

const histories = readdirSync(import.meta.dirname)
  .filter(name => name.endsWith('.json'))
  .map(name => [name, parseJson(readFileSync(join(import.meta.dirname, name), 'utf8')) as History] as const)

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 12)

describe.each(histories)('%s', (_name, history) => {
  const replayed = replayHistory(history)

  test('[HISTORY-1] is replayed', () => {
    const outcome = outcomeOf(replayed, digest)
    // The first record that differs says more than the digest of all events.
    expect(outcome.records).toEqual(history.led.records)
    expect(outcome).toEqual(history.led)
  })

  test('[HISTORY-2] can be read', () => {
    const { run, program, records } = replayed
    const stored = history.led.records.every(text => text.startsWith('#'))
      ? records.map(record => encodeRecord(record, encodeReference))
      : history.led.records
    const from = history.run.from === null ? null : decodeSnapshot(history.run.from, decodeReference)
    const inputs = new Map(
      Object.entries(history.run.inputs).map(([name, [data, axes]]) => [name, { data: decodeValue(data), axes }]),
    )
    let state = startState(program, { mode: history.run.mode, inputs, from })
    for (const text of stored) state = applyRecord(state, decodeRecord(text, decodeReference))
    expect(stateText(state)).toBe(stateText(run.state))
  })
})

test('[HISTORY-3] the histories show all that a run can do', () => {
  const all = histories.map(([, history]) => history)
  const kinds = all.map(({ plan, run }) => `${plan.dialect} ${run.mode}`)
  for (const dialect of ['2026-01', '2026-01-strict', '2026-03']) {
    for (const mode of ['sequential', 'parallel']) expect(kinds).toContain(`${dialect} ${mode}`)
  }
  const inputs = all.flatMap(({ journal }) => journal)
  const commands = new Set(inputs.flatMap(input => (input[0] === 'command' ? [input[2].type] : [])))
  expect([...commands].sort()).toEqual([
    'cancel',
    'clear_breakpoint',
    'clear_breakpoints',
    'continue',
    'modify',
    'override',
    'rerun',
    'restore',
    'run_to',
    'set_breakpoint',
    'step',
  ])
  expect(inputs.some(([type]) => type === 'error')).toBe(true)
  expect(all.some(({ run }) => run.from !== null)).toBe(true)
  const asked = all.flatMap(history => replayHistory(history).effects.map(({ effect }) => effect.type))
  expect(new Set(asked)).toEqual(expect.objectContaining(new Set(['model.generate', 'input.ask', 'script.call'])))
  const sequences = new Set(
    all.flatMap(history => replayHistory(history).program.items.map(({ entry }) => entry.sequence)),
  )
  for (const sequence of ['looping', 'quantifying', 'timing', 'grouping', 'assigning'])
    expect(sequences).toContain(sequence)
  const ends = all.map(({ led }) => led.end)
  for (const reason of ['deadlock', 'max_cycles', 'step_failed', 'cancelled']) {
    expect(ends.some(end => end.includes(`"${reason}"`))).toBe(true)
  }
})
