import { expect, test } from 'vitest'
import { candidatePaths } from './provision-paths.ts'

const folders = new Map([
  ['prompts', 'provisions/prompts'],
  ['data', 'shared/data/'],
])

test.each([
  ['provision/prompts/x.md', ['provision/prompts/x.md', 'provisions/prompts/x.md']],
  [
    'provisions/data/a/b.json',
    ['provisions/data/a/b.json', 'shared/data/a/b.json', 'provision/data/a/b.json', 'shared/data/b.json'],
  ],
  ['provision/prompts_chinese/x.md', ['provision/prompts_chinese/x.md', 'provisions/prompts_chinese/x.md']],
  ['prompts/x.md', ['prompts/x.md', 'provisions/prompts/x.md']],
  ['provision\\prompts\\x.md', ['provision/prompts/x.md', 'provisions/prompts/x.md']],
  ['./notes.txt', ['notes.txt']],
])('[ENGINE-24] %s', (path, expected) => {
  expect(candidatePaths(path, folders)).toEqual(expected)
})
