import { expect, test } from 'vitest'
import { RunQueue } from './run-queue.ts'

test('[RUN-2] runs start in order, as many at a time as allowed', () => {
  const started: string[] = []
  const queue = new RunQueue(2, id => started.push(id))
  for (const id of ['a', 'b', 'c', 'd']) queue.add(id)
  expect(started).toEqual(['a', 'b'])
  expect([queue.positionOf('a'), queue.positionOf('c'), queue.positionOf('d')]).toEqual([null, 1, 2])
  queue.finished('b')
  expect(started).toEqual(['a', 'b', 'c'])
  expect(queue.counts()).toEqual({ running: 2, pending: 1 })
})

test('[RUN-8] a waiting run can be taken out', () => {
  const started: string[] = []
  const queue = new RunQueue(1, id => started.push(id))
  for (const id of ['a', 'b', 'c']) queue.add(id)
  expect([queue.remove('b'), queue.remove('b'), queue.remove('a')]).toEqual([true, false, false])
  queue.finished('a')
  expect(started).toEqual(['a', 'c'])
})
