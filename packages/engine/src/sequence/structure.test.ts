import { expect, test } from 'vitest'
import { dataOf, openSketch, play, type PlanSketch } from '#run/plan.fixture'
import type { Dialect } from '#run/dialect'
import { encodeValue } from '#value/codec'

function grouping(dialect: Dialect, extra: object = {}): PlanSketch {
  return {
    dialect,
    given: { '{b}': ['x'], '::a': ['::a'] },
    steps: [
      {
        at: '1',
        sequence: 'grouping',
        infers: '{all}',
        values: ['{a}', '{b}'],
        with: { syntax: { marker: 'in', by_axes: [['axis_0'], ['axis_0']], ...extra } },
      },
      {
        at: '1.1',
        sequence: 'assigning',
        infers: '{a}',
        by: '::a',
        values: ['{b}'],
        with: { syntax: { marker: '.', assign_source: '{b}' } },
      },
      { at: '1.1.1', sequence: 'timing', infers: '::a', with: { syntax: { marker: 'if!', condition: '{b}' } } },
    ],
  }
}

test.each([
  ['2026-01', {}, '[[{"{b}":"x"}]]'],
  ['2026-01-strict', {}, '[[{"{a}":"x"}]]'],
  ['2026-03', {}, '[[{"{a}":"x"}]]'],
  ['2026-03', { by_axes_source: 'written' }, '[[{"{b}":"x"}]]'],
] as const)('[ENGINE-25] %s %j: labels beside a skipped input', (dialect, extra, expected) => {
  const { run } = play(openSketch(grouping(dialect, extra)))
  expect(run.item('1.1')?.detail).toBe('skipped')
  expect(encodeValue(dataOf(run, '{all}'))).toBe(expected)
})
