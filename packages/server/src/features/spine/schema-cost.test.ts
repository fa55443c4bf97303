import { expect, test } from 'vitest'
import { schemaProblem } from './schema-cost.ts'

test('[SPINE-30] usual schemas cost little', () => {
  const point = { type: 'object', properties: { x: { type: 'number' }, y: { $ref: '#/$defs/y' } } }
  expect(schemaProblem({ ...point, $defs: { y: { type: 'number' } } })).toBeNull()
  expect(schemaProblem({ type: 'array', uniqueItems: true, maxItems: 100, items: { pattern: '^a' } })).toBeNull()
  expect(schemaProblem(true)).toBeNull()
  expect(schemaProblem({ properties: { $ref: { type: 'string' }, items: { type: 'array' } } })).toBeNull()
})

test('[SPINE-30] schemas that refer to themselves or double are refused', () => {
  const bomb = Object.fromEntries(
    [...Array(40).keys()].map(n => [
      `d${n}`,
      { anyOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
    ]),
  )
  const problems = [
    { properties: { next: { $ref: '#' } } },
    { $ref: '#/$defs/d0', $defs: { ...bomb, d40: { type: 'string' } } },
    { $ref: '#/$defs/missing' },
    { $ref: 'https://example.com/schema' },
    { $id: 'https://example.com/schema' },
    { $dynamicRef: '#a' },
    { uniqueItems: true },
    { uniqueItems: true, maxItems: 100_000 },
    { description: 'x'.repeat(70_000) },
    [...Array(100).keys()].reduce<object>(inside => ({ not: inside }), {}),
    'schema',
    null,
  ].map(schemaProblem)
  expect(problems).not.toContain(null)
})
