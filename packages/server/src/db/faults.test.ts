import { expect, test } from 'vitest'
import { DatabaseUnavailable, isStorageFault } from './faults.ts'

test.each([
  [true, new DatabaseUnavailable('gone')],
  [true, { errcode: 13 }],
  [true, { errcode: 10 | (3 << 8) }],
  [true, { code: '57P01' }],
  [true, { code: '08006' }],
  [true, { code: '53100' }],
  [true, { code: '40P01' }],
  [true, { code: '40001' }],
  [true, { code: '25006' }],
  [false, { errcode: 19 }],
  [false, { code: '23505' }],
  [false, { code: '42P01' }],
  [false, { code: '22021' }],
  [false, { code: 'ENOENT' }],
  [false, { code: 'ERR_SQLITE_ERROR' }],
  [false, new TypeError('no')],
  [false, null],
  [false, 'text'],
])('[DB-9] %s: %j', (isPassing, error) => {
  expect(isStorageFault(error)).toBe(isPassing)
})
