import type { Reference } from '@slipway/engine/reference/reference'
import type { Value } from '@slipway/engine/value/value'
import { PyFloat } from '@slipway/engine/value/value'
import { describe, expect, test } from 'vitest'
import { excerptOf, sizeOf } from './excerpt.ts'
import { tensorPart, type AskedPart } from './tensor-page.ts'

const cube: Reference = {
  axes: ['row', 'column', 'page'],
  shape: [2, 3, 2],
  data: [
    [
      ['000', '001'],
      ['010', '011'],
      ['020', '021'],
    ],
    [['100', '101'], '@#SKIP#@', ['120', '121']],
  ],
}

function part(asked: Partial<AskedPart>, reference: Reference | null = cube): ReturnType<typeof tensorPart> {
  return tensorPart(reference, { at: [], ...asked })
}

function list(length: number, cell: (place: number) => Value): Reference {
  return { axes: ['item'], shape: [length], data: Array.from({ length }, (_, place) => cell(place)) }
}

describe('parts of a tensor', () => {
  test('[RUN-62] all axes are paged where none is fixed, and what is not there is a skip', () => {
    expect(part({})).toEqual({
      fixed: {},
      page: {
        axes: ['row', 'column', 'page'],
        shape: [2, 3, 2],
        offset: [0, 0, 0],
        data: [
          [
            ['000', '001'],
            ['010', '011'],
            ['020', '021'],
          ],
          [
            ['100', '101'],
            ['@#SKIP#@', '@#SKIP#@'],
            ['120', '121'],
          ],
        ],
      },
    })
  })

  test('[RUN-62] fixed axes leave a tensor of the others, and all of them a cell', () => {
    expect(part({ at: ['column:2'] })).toEqual({
      fixed: { column: 2 },
      page: {
        axes: ['row', 'page'],
        shape: [2, 2],
        offset: [0, 0],
        data: [
          ['020', '021'],
          ['120', '121'],
        ],
      },
    })
    expect(part({ at: ['page:1', 'row:0', 'column:1'] })).toEqual({
      fixed: { page: 1, row: 0, column: 1 },
      page: { axes: [], shape: [], offset: [], data: '011' },
    })
  })

  test('[RUN-62] offset and limit choose a box, and reach no further than the tensor', () => {
    expect(part({ offset: '1,1,0', limit: '5,2,1' }).page).toEqual({
      axes: ['row', 'column', 'page'],
      shape: [1, 2, 1],
      offset: [1, 1, 0],
      data: [[['@#SKIP#@'], ['120']]],
    })
    expect(part({ at: ['row:0'], offset: '3, 0' }).page).toEqual({
      axes: ['column', 'page'],
      shape: [0, 2],
      offset: [3, 0],
      data: [],
    })
  })

  test('[RUN-62] an axis may have a colon in its name', () => {
    const reference: Reference = { axes: ['of: day', 'größe'], shape: [1, 2], data: [['a', 'b']] }
    expect(part({ at: ['of: day:0', 'größe:1'] }, reference)).toMatchObject({
      fixed: { größe: 1 },
      page: { data: 'b' },
    })
  })

  test('[RUN-62] a value that is not there has no axes and no cells', () => {
    expect(part({}, null)).toEqual({ fixed: {}, page: { axes: [], shape: [], offset: [], data: null } })
  })

  test.each([
    [{ at: ['row'] }, 'row'],
    [{ at: ['row:'] }, 'row:'],
    [{ at: ['row:-1'] }, '-1'],
    [{ at: ['row:1.5'] }, '1.5'],
    [{ at: ['row:2'] }, 'has 2 places'],
    [{ at: ['depth:0'] }, 'it has row, column, page'],
    [{ at: ['row:0', 'row:1'] }, 'twice'],
    [{ offset: '0' }, 'row, column, page'],
    [{ offset: '0,0,x' }, '0,0,x'],
    [{ offset: '0,0,-1' }, '0,0,-1'],
    [{ offset: '3,0,0' }, 'has 2 places'],
    [{ offset: '' }, 'offset'],
    [{ limit: '1,0,1' }, 'from 1'],
    [{ limit: '1,1,1,1' }, 'limit'],
    [{ at: ['row:0', 'column:0', 'page:0'], offset: '0' }, 'no axis is left'],
  ])('[RUN-63] %j is refused with what is wrong', (asked, named) => {
    expect(() => part(asked)).toThrowError(
      expect.objectContaining({ code: 'input.invalid', message: expect.stringContaining(named) as string }),
    )
  })
})

describe('large tensors', () => {
  test('[RUN-64] a page has whole rows, at most ten thousand cells, and says how far it got', () => {
    const row = Array.from({ length: 300 }, (_, place) => place)
    const reference: Reference = { axes: ['a', 'b'], shape: [300, 300], data: row.map(() => row) }
    const { page } = part({ limit: '300,300' }, reference)
    expect(page.shape).toEqual([33, 300])
    expect(page.data).toEqual(row.slice(0, 33).map(() => row))
    expect(part({ offset: '299,7' }, reference).page.shape).toEqual([1, 293])
  })

  test('[RUN-64] one row that is too long is cut, and the rows behind it wait', () => {
    const row = Array.from({ length: 20_000 }, () => 0)
    expect(part({}, { axes: ['a', 'b'], shape: [3, 20_000], data: [row, row, row] }).page.shape).toEqual([1, 10_000])
  })

  test('[RUN-64] cells that are large themselves make a page shorter, down to a single one', () => {
    const texts = list(9, () => 'x'.repeat(300_000))
    expect(part({}, texts).page.shape).toEqual([3])
    const huge = list(3, place => `${place}${'x'.repeat(3_000_000)}`)
    const { page } = part({ offset: '1' }, huge)
    expect(page.shape).toEqual([1])
    expect(page.data).toEqual([`1${'x'.repeat(3_000_000)}`])
  })

  test('[RUN-64] pages that follow on each other give every cell once', () => {
    const reference = list(25_000, place => place)
    const seen: unknown[] = []
    for (let offset = 0; offset < 25_000;) {
      const { page } = part({ offset: `${offset}` }, reference)
      seen.push(...(page.data as unknown[]))
      offset += page.shape[0] ?? Number.NaN
    }
    expect(seen).toEqual(reference.data)
  })
})

describe('excerpts', () => {
  test('[RUN-65] what fits is whole, and what does not is cut and says so', () => {
    expect(excerptOf(['a', 1, new PyFloat(1.5), null, true], 100)).toMatchObject({
      data: ['a', 1, 1.5, null, true],
      truncated: false,
    })
    const { data, truncated } = excerptOf('x'.repeat(500), 100)
    expect(truncated).toBe(true)
    expect(data).toMatch(/^x{98}…$/)
    const many = excerptOf(
      Array.from({ length: 5000 }, () => []),
      100,
    )
    expect(many.truncated).toBe(true)
    expect((many.data as unknown[]).length).toBeLessThan(101)
  })

  test('[RUN-65] a text is not cut within a character', () => {
    for (let most = 2; most < 12; most++) {
      expect(excerptOf('😀😀😀😀😀😀', most).data).toMatch(/^(😀)*…$/u)
    }
  })

  test('[RUN-65] the size of a value is counted no further than needed', () => {
    expect(sizeOf(['ab', 'cd'])).toBe(12)
    expect(
      sizeOf(
        Array.from({ length: 1000 }, () => 'abc'),
        20,
      ),
    ).toBeLessThan(40)
  })
})
