import type { RunRecord } from '@slipway/engine/run/records'
import { expect, test } from 'vitest'
import { WriteLog } from './write-log.ts'

const value = { axes: ['a'], shape: [1], data: [1] }

function wrote(...names: string[]): RunRecord {
  return { kind: 'step', changes: names.map(name => ({ name, reference: value })) } as unknown as RunRecord
}

function restored(record: number): RunRecord {
  return { kind: 'command', command: { type: 'restore', record }, changes: [] } as unknown as RunRecord
}

test('[RUN-61] the writer of a value is the last record that changed it', () => {
  const log = new WriteLog()
  log.note(1, wrote('x'))
  log.note(2, wrote('y'))
  log.note(3, wrote('x', 'y'))
  expect([0, 1, 2, 3, 9].map(n => log.writerAt('x', n))).toEqual([null, 1, 1, 3, 3])
  expect([1, 2, 3].map(n => log.writerAt('y', n))).toEqual([null, 2, 3])
  expect(log.writerAt('z', 3)).toBeNull()
})

test('[RUN-61] a change of status alone is no writing', () => {
  const log = new WriteLog()
  log.note(1, { kind: 'step', changes: [{ name: 'x', status: 'pending' }] } as unknown as RunRecord)
  expect(log.writerAt('x', 1)).toBeNull()
})

test('[RUN-61] going back brings back the writers of then, and again on the way back to later', () => {
  const log = new WriteLog()
  log.note(1, wrote('x'))
  log.note(2, wrote('x', 'y'))
  log.note(3, restored(1))
  log.note(4, wrote('y'))
  log.note(5, restored(2))
  log.note(6, restored(3))
  expect([2, 3, 4, 5, 6].map(n => log.writerAt('x', n))).toEqual([2, 1, 1, 2, 1])
  expect([2, 3, 4, 5, 6].map(n => log.writerAt('y', n))).toEqual([2, null, 4, 2, null])
})

test('[RUN-61] records that were noted before change nothing', () => {
  const log = new WriteLog()
  log.note(1, wrote('x'))
  log.note(2, wrote('x'))
  log.note(1, wrote('y'))
  expect(log.writerAt('y', 2)).toBeNull()
})
