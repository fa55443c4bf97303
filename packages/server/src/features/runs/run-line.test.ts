import { expect, test } from 'vitest'
import { partingOf, type Stretch } from './run-line.ts'
import type { RunRow } from './run-store.ts'

function stretch(id: string, after: number, until: number): Stretch {
  return { row: { id } as RunRow, after, until }
}

function named(stretches: readonly Stretch[]): unknown[] {
  return stretches.map(({ row, after, until }) => [row.id, after, until])
}

test('[RUN-71] a fork parts from its source at its checkpoint', () => {
  const source = [stretch('s', 0, 9)]
  const fork = [stretch('f', 4, 6), stretch('s', 0, 4)]
  const { common, shared, a, b } = partingOf(source, fork)
  expect(common).toEqual({ runId: 's', step: 4 })
  expect(named(shared)).toEqual([['s', 0, 4]])
  expect(named(a)).toEqual([['s', 4, 9]])
  expect(named(b)).toEqual([
    ['s', 4, 4],
    ['f', 4, 6],
  ])
})

test('[RUN-71] two forks part at the earlier of their checkpoints', () => {
  const early = [stretch('e', 3, 5), stretch('s', 2, 3), stretch('root', 0, 2)]
  const late = [stretch('l', 7, 8), stretch('s', 2, 7), stretch('root', 0, 2)]
  const { common, shared, a, b } = partingOf(early, late)
  expect(common).toEqual({ runId: 's', step: 3 })
  expect(named(shared)).toEqual([
    ['root', 0, 2],
    ['s', 2, 3],
  ])
  expect(named(a)).toEqual([
    ['s', 3, 3],
    ['e', 3, 5],
  ])
  expect(named(b)).toEqual([
    ['s', 3, 7],
    ['l', 7, 8],
  ])
})

test('[RUN-71] runs of different lines have nothing in common', () => {
  const { common, shared, a } = partingOf([stretch('x', 4, 5), stretch('y', 0, 4)], [stretch('z', 0, 3)])
  expect(common).toBeNull()
  expect(shared).toEqual([])
  expect(named(a)).toEqual([
    ['y', 0, 4],
    ['x', 4, 5],
  ])
})
