import { ReferencePage } from '@slipway/protocol/debugging'
import { describe, expect, test } from 'vitest'
import { cellLines, nextOffset } from './inspect.ts'

const paint = (_style: string, text: string): string => text
const style = { width: 60, full: false, paint }

function reference(given: Partial<ReferencePage> & Pick<ReferencePage, 'axes' | 'shape' | 'page'>): ReferencePage {
  return ReferencePage.parse({
    concept_name: '{grid}',
    natural_name: 'grid',
    is_ground: false,
    is_final: false,
    status: 'complete',
    has_reference: true,
    fixed: {},
    written_at: 7,
    ...given,
  })
}

describe('cells', () => {
  test('[CLI-25] each has its index along every axis that is not fixed', () => {
    const page = {
      axes: ['row', 'column'],
      shape: [2, 2],
      offset: [1, 3],
      data: [
        ['a', { b: 1 }],
        [null, 4],
      ],
    }
    expect(
      cellLines(reference({ axes: ['row', 'deep', 'column'], shape: [3, 2, 9], fixed: { deep: 1 }, page }), style),
    ).toEqual([
      '{grid}: 3 row × 2 deep × 9 column, deep 1, written at step 7',
      'row  column  VALUE',
      '1    3       a',
      '1    4       {"b":1}',
      '2    3       null',
      '2    4       4',
    ])
  })

  test('[CLI-25] one cell is shown whole, several are cut unless asked for in full', () => {
    const long = `line one\n${'x'.repeat(100)}`
    const one = reference({
      axes: [],
      shape: [],
      page: { axes: [], shape: [], offset: [], data: long },
      written_at: null,
    })
    expect(cellLines(one, style)).toEqual([
      '{grid}: one cell, given from the start',
      '  line one',
      `  ${'x'.repeat(100)}`,
    ])
    const two = reference({ axes: ['n'], shape: [2], page: { axes: ['n'], shape: [2], offset: [0], data: [long, 1] } })
    expect(cellLines(two, style)[2]).toMatch(/^0 +line one x+…$/)
    expect(cellLines(two, { ...style, full: true })).toContain(`    ${'x'.repeat(100)}`)
  })

  test('[CLI-7] values cannot steer the terminal', () => {
    const page = { axes: ['n'], shape: [2], offset: [0], data: ['\u001b[2Jboo', '\u009b31m'] }
    for (const full of [true, false])
      expect(cellLines(reference({ axes: ['n'], shape: [2], page }), { ...style, full }).join('')).not.toMatch(
        /[\u0000-\u001f\u007f-\u009f]/,
      )
  })

  test('[CLI-25] a concept without a value, and a part without cells', () => {
    const empty = { axes: [], shape: [], offset: [], data: null }
    const none = reference({ axes: [], shape: [], page: empty, has_reference: false, status: 'pending' })
    expect(cellLines(none, style)).toEqual(['{grid}: no value (pending)'])
    const beyond = { axes: ['n'], shape: [0], offset: [2], data: [] }
    expect(cellLines(reference({ axes: ['n'], shape: [2], page: beyond }), style)[1]).toBe('  (no cells)')
  })

  test('[CLI-25] following the pages reaches every row', () => {
    const at = (offset: number[], shape: number[]): number[] | null =>
      nextOffset({ axes: ['row', 'column'], shape: [3, 4], page: { axes: ['row', 'column'], shape, offset, data: [] } })
    expect(at([0, 0], [1, 2])).toEqual([0, 2])
    expect(at([0, 2], [1, 2])).toEqual([1, 0])
    expect(at([2, 2], [1, 2])).toBeNull()
    expect(at([0, 0], [3, 4])).toBeNull()
  })
})
