import { unzipSync } from 'fflate'
import { expect, test } from 'vitest'
import { digestParts, packPlan } from './pack.ts'
import { filesOf } from './testing.ts'

const contents = { 'manifest.json': '{}', 'provisions/提示.md': '你好', '1': 'a', 'b/c.txt': 'c' }

test('[PLAN-50] the same bytes in any order, and the same files out', () => {
  const files = filesOf(contents)
  const reversed = new Map([...files].reverse())
  expect(packPlan(reversed)).toEqual(packPlan(files))
  expect(new Map(Object.entries(unzipSync(packPlan(files))))).toEqual(new Map([...files].sort()))
  expect(packPlan(filesOf({ ...contents, 1: 'b' }))).not.toEqual(packPlan(files))
})

test.each(['/etc/passwd', '../x', 'a/../x', './x', 'a\\b', 'C:/x', ''])('[PLAN-51] %j is not packed', path => {
  expect(() => packPlan(new Map([[path, new Uint8Array()]]))).toThrow('not a path inside a package')
})

test('[PLAN-52] digest parts', () => {
  const digest = (given: Readonly<Record<string, string>>): string =>
    [...digestParts(filesOf(given))].map(part => new TextDecoder().decode(part)).join('')
  expect(digest({ b: '1', a: '23' })).toBe('a\u00002\n23b\u00001\n1')
  expect(digest({ a: '1', b: '2' })).not.toBe(digest({ a: '12', b: '' }))
})
