import { RunDiff, type StepDiff } from '@slipway/protocol/checkpoints'
import { describe, expect, test } from 'vitest'
import { diffLines } from './diff.ts'

const paint = (_style: string, text: string): string => text
const run = (id: string): object => ({
  run_id: id,
  plan_id: 'p',
  plan_version: '1',
  plan_digest: `sha256:${'0'.repeat(64)}`,
  status: 'completed',
  mode: 'parallel',
  agent: 'demo',
  max_cycles: 100,
  created_at: '2026-01-01T00:00:00.000Z',
  started_at: null,
  completed_at: null,
  queue_position: null,
  progress: {
    completed_count: 0,
    total_count: 3,
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
const cost = { steps: 3, calls: 2, model_calls: 1, input_tokens: 1200, output_tokens: 30, call_ms: 1500, wall_ms: null }

function diff(given: object = {}): RunDiff {
  return RunDiff.parse({
    a: run('run_a'),
    b: run('run_b'),
    common: null,
    inputs: [],
    steps: [],
    equal_steps: 3,
    finals: [{ concept_name: '{sum}', equal: true, a: 1, b: 1 }],
    cost: { a: cost, b: cost },
    truncated: false,
    ...given,
  })
}

function step(given: Partial<StepDiff>): StepDiff {
  return {
    flow_index: '1.2',
    concept_name: '{x}',
    execution: 1,
    difference: 'value',
    status: { a: 'completed', b: 'completed' },
    value: null,
    prompt: null,
    ...given,
  }
}

const cut = { paint, width: 60 }

describe('differences', () => {
  test('[CLI-22] equal runs are said to be equal, and what each cost', () => {
    const lines = diffLines(diff({ common: { run_id: 'run_a', step: 2 } }), cut)
    expect(lines).toContain('The same history up to step 2 of run_a.')
    expect(lines).toContain('No differences: 3 steps are equal.')
    expect(lines).not.toContain('Results')
    expect(lines.find(line => line.includes('tokens'))).toMatch(/1,200 \+ 30 +1,200 \+ 30/)
  })

  test('[CLI-22] inputs, steps and results that differ stand one below the other', () => {
    const finals = [{ concept_name: '{sum}', equal: false, a: 1, b: null }]
    const steps = [
      step({ value: { a: 'x', b: [2] } }),
      step({ difference: 'status', status: { a: 'failed', b: 'completed' } }),
    ]
    const lines = diffLines(diff({ inputs: [{ concept_name: '{n}', a: 1, b: 2 }], steps, finals }), cut)
    const from = (heading: string, length: number): string[] => {
      const at = lines.indexOf(heading)
      return lines.slice(at + 1, at + 1 + length)
    }
    expect(from('Inputs', 3)).toEqual(['  {n}', '    - 1', '    + 2'])
    expect(from('Steps', 7)).toEqual([
      '  1.2 {x} #1 wrote another value',
      '    wrote',
      '    - x',
      '    + [2]',
      '  1.2 {x} #1 ended otherwise',
      '    - failed',
      '    + completed',
    ])
    expect(from('Results', 3)).toEqual(['  {sum}', '    - 1', '    + null'])
  })

  test('[CLI-22] a step of one run has one side', () => {
    const only = step({ difference: 'only_b', status: { a: null, b: 'completed' }, value: { a: null, b: 5 } })
    const lines = diffLines(diff({ steps: [only] }), cut)
    expect(lines).toContain('    + 5')
    expect(lines.some(line => line.startsWith('    - '))).toBe(false)
  })

  test('[CLI-22] long texts are cut to where they differ, or shown whole', () => {
    const prompt = { a: `${'same '.repeat(40)}left`, b: `${'same '.repeat(40)}right` }
    const shown = diffLines(diff({ steps: [step({ difference: 'prompt', prompt })] }), cut)
    expect(shown.filter(line => /left$|right$/.test(line))).toHaveLength(2)
    for (const line of shown) expect(line.length).toBeLessThanOrEqual(60)
    const full = diffLines(diff({ steps: [step({ difference: 'prompt', prompt })] }), { paint, width: null })
    expect(full).toContain(`    - ${prompt.a}`)
  })

  test('[CLI-7] values cannot steer the terminal', () => {
    const lines = diffLines(diff({ steps: [step({ value: { a: '\u001b[2J', b: '\u009b1m\u202e' } })] }), cut)
    expect(lines.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
  })
})
