import { RunEvent } from '@slipway/protocol/events'
import { Run } from '@slipway/protocol/runs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { applyEvent, startProgress, type ProgressView } from './progress.ts'
import { progressLine } from './progress-line.ts'
import { renderProgress } from './render-progress.ts'
import { displayWidth } from './text.ts'

const run = Run.parse({
  run_id: 'run_1',
  plan_id: 'gold',
  plan_version: '1',
  plan_digest: `sha256:${'0'.repeat(64)}`,
  status: 'pending',
  mode: 'parallel',
  agent: 'demo',
  max_cycles: 100,
  created_at: '2026-01-01T00:00:00.000Z',
  started_at: null,
  completed_at: null,
  queue_position: 2,
  progress: {
    completed_count: 0,
    total_count: 4,
    failed_count: 0,
    skipped_count: 0,
    execution_count: 0,
    cycle_count: 0,
    current_inference: null,
  },
  held: null,
  forked_from: null,
  deadline_at: null,
  error: null,
})

let seq = 0
const event = (name: RunEvent['event'], own: object = {}): RunEvent =>
  RunEvent.parse({ event: name, id: 1, seq: ++seq, run_id: 'run_1', ts: 1000 * seq, ...own })

function viewAfter(...events: RunEvent[]): ProgressView {
  seq = 0
  return events.reduce(applyEvent, startProgress(run))
}

const step = (flow_index: string, concept_name = `{${flow_index}}`): object => ({ flow_index, concept_name })
const paint = (_style: string, text: string): string => text
const lines = (view: ProgressView, size: { width?: number; height?: number } = {}): string[] =>
  renderProgress(view, { width: 80, height: 24, now: 10_000, paint, ...size })

const busy = (): ProgressView => {
  seq = 0
  return viewAfter(
    event('run:started'),
    event('node:statuses', {
      statuses: { '1': 'pending', '1.1': 'pending', '1.2': 'pending', '1.3': 'pending' },
      total_count: 4,
    }),
    event('cycle:started', { cycle: 3 }),
    event('inference:started', step('1.1', '{price}')),
    event('inference:completed', { flow_index: '1.1' }),
    event('inference:started', step('1.2', '[所有建议]')),
    event('inference:failed', { flow_index: '1.2', error: { name: 'ValueError', message: 'no price' } }),
    event('llm:call_completed', { input_tokens: 1200, output_tokens: 34 }),
    event('node:statuses', { statuses: { '1.3': 'skipped' } }),
    event('inference:started', step('1', '{advice}')),
  )
}

describe('progress', () => {
  test('[CLI-6] shows counts, cycle, tokens and the steps that matter, running ones first', () => {
    const [headline, bar, ...steps] = lines(busy())
    expect(headline).toBe('gold run_1  running · 9.0 s · cycle 3 · 1 model calls · 1,234 tokens')
    expect(bar).toMatch(/^█+░+ 3\/4 steps · 1 running · 1 failed · 1 skipped$/)
    expect(steps).toEqual(
      [
        ['●', '1', '{advice}', '0 ms'],
        ['✘', '1.2', '[所有建议]', '1.0 s'],
        ['↷', '1.3', '', ''],
        ['✔', '1.1', '{price}', '1.0 s'],
      ].map(expectedStep),
    )
  })

  test('[CLI-6] a waiting run shows its place, one that asks says so', () => {
    expect(lines(startProgress(run))[0]).toContain('waiting, place 2')
    seq = 0
    expect(lines(viewAfter(event('run:started'), event('user_input:request')))[2]).toBe('This run waits for an answer.')
    expect(lines({ ...busy(), connection: 'closed' })[2]).toContain('Connection lost')
  })

  test('[CLI-31] says who or what is waited for, and how to go on', () => {
    seq = 0
    const asked = viewAfter(event('run:started'), event('user_input:request'), event('user_input:request'))
    expect(lines(applyEvent(asked, event('execution:waiting')))[2]).toBe('This run waits for 2 answers.')
    expect(lines(applyEvent(asked, event('user_input:expired')))[2]).toBe('This run waits for an answer.')
    const held = event('execution:paused', { held: { by: 'breakpoint', flow_index: '1.2' } })
    expect(lines(viewAfter(held))[2]).toMatch(/breakpoint of step 1\.2\..*slipway resume run_1/)
    expect(progressLine(held, viewAfter(held))).toBe('run_1 is paused: Held at the breakpoint of step 1.2')
    const paused = event('execution:paused', { held: null })
    expect(progressLine(paused, viewAfter(paused))).toBe('run_1 is paused')
    expect(lines(viewAfter(held, event('execution:resumed')))).toHaveLength(2)
  })

  test('[CLI-31] says that nothing was answered for long, until something is', () => {
    const stalled = event('execution:stalled', { seconds: 300, waits_for: ['1.2', '1.3'] })
    expect(lines(viewAfter(stalled))[2]).toContain('it waits for 1.2, 1.3')
    expect(progressLine(stalled, viewAfter(stalled))).toContain('1.2, 1.3')
    expect(lines(viewAfter(stalled, event('llm:call_completed')))).toHaveLength(2)
  })

  test('[CLI-31] says that calls were made again after a crash', () => {
    const recovered = event('run:recovered', { answered_calls: 4, repeated_calls: ['1.2#1/1', '1.3#1/1'] })
    expect(lines(viewAfter(recovered))[2]).toContain('2 calls were made again')
    expect(progressLine(recovered, viewAfter(recovered))).toContain('2 calls that were under way are made again')
    const quiet = event('run:recovered', { answered_calls: 4, repeated_calls: [] })
    expect(progressLine(quiet, viewAfter(quiet))).toBe('run_1 goes on after a restart of the server')
  })

  test('[CLI-32] a run that goes on after it was over is under way again', () => {
    const over = viewAfter(event('run:started'), event('run:failed'))
    expect(over).toMatchObject({ state: 'failed', endedAt: 2000 })
    const reset = event('execution:partial_reset', { flow_indexes: ['1', '1.2'] })
    expect(progressLine(reset, over)).toBe('run_1: 2 steps are done again')
    expect(applyEvent(over, event('execution:resumed'))).toMatchObject({ state: 'running', endedAt: null })
  })

  test('[CLI-6] a step of a loop runs again', () => {
    seq = 0
    const view = viewAfter(
      event('inference:started', step('1')),
      event('inference:completed', step('1')),
      event('node:statuses', { statuses: { '1': 'pending' } }),
      event('inference:started', step('1')),
    )
    expect(view.steps.get('1')).toMatchObject({ status: 'running', startedAt: 4000, durationMs: null })
  })

  test('[CLI-7] nothing is wider or higher than the terminal', () => {
    const names = fc.string({ unit: 'grapheme', maxLength: 60 })
    fc.assert(
      fc.property(names, fc.integer({ min: 12, max: 160 }), fc.integer({ min: 2, max: 20 }), (name, width, height) => {
        seq = 0
        const view = viewAfter(
          event('run:started'),
          ...['1', '1.1', '1.2.3.4.5'].map(at => event('inference:started', step(at, name))),
        )
        const drawn = lines({ ...view, planId: name }, { width, height })
        expect(drawn.length).toBeLessThanOrEqual(height)
        for (const line of drawn) expect(displayWidth(line)).toBeLessThanOrEqual(width)
      }),
    )
  })

  test('[CLI-7] what the server sends cannot steer the terminal', () => {
    const evil = '\u001b[2J\u001b]0;title\u0007\u009b31m\nname\u202e'
    seq = 0
    const started = event('inference:started', step('1', evil))
    const view = viewAfter(started)
    const shown = [...lines(view), progressLine(started, view) ?? ''].join('')

    expect(shown).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
    expect(shown).toContain('name')
  })

  test('[CLI-6] without a terminal each change is one line', () => {
    const failed = event('inference:failed', { flow_index: '1.2', error: { name: 'E', message: 'bad\nnews' } })
    expect(progressLine(failed, busy())).toMatch(/^\[3\/4\] failed +1\.2 \[所有建议\].*: bad news$/)
    expect(progressLine(event('cycle:started'), busy())).toBeNull()
  })
})

function expectedStep([mark = '', index = '', name = '', time = '']: readonly string[]): string {
  const room = 80 - 4 - 12 - 1 - time.length - 1
  const filled = name + ' '.repeat(room - displayWidth(name))
  return `  ${mark} ${index.padEnd(12)} ${filled} ${time}`
}
