import { describe, expect, test } from 'vitest'
import { toFinalConcept } from './final-concepts.ts'

describe('final concepts', () => {
  test('[RUN-13] signs within signs are read, and endless ones end', () => {
    const nested = (depth: number): string => `${'%1('.repeat(depth)}x${')'.repeat(depth)}`
    const finalOf = (cell: string): unknown =>
      toFinalConcept('{z}', { axes: ['_none_axis'], shape: [1], data: [cell] }).value
    expect(finalOf(nested(20))).toBe('x')
    expect(finalOf(nested(50_000))).toMatch(/^%1\(/)
  })
})
