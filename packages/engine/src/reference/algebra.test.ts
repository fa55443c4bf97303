import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isList, type Value } from '#value/value'
import { flatten, get, hasContent, leaves, renameAxis, slice, transpose, withoutSkips } from './access.ts'
import { append } from './append.ts'
import { crossAction, crossProduct, elementAction, elementCells, fromCells } from './combine.ts'
import { fromData, shapeOf, single } from './construct.ts'
import { join } from './join.ts'
import { NONE_AXIS, type Reference, SKIP } from './reference.ts'

const table = fromData(
  [
    [1, SKIP, 3],
    [4, 5, 6],
  ],
  ['r', 'c'],
)

/** Tensors of one to three axes with sizes up to three, a few of their cells skips. */
const tensor: fc.Arbitrary<Reference> = fc
  .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 })
  .chain(axes => fc.tuple(fc.constant(axes), fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 3, maxLength: 3 })))
  .chain(([axes, sizes]) => {
    const shape = axes.map((_, i) => sizes[i] ?? 1)
    const count = shape.reduce((product, size) => product * size, 1)
    const cell: fc.Arbitrary<Value> = fc.oneof(
      { weight: 9, arbitrary: fc.integer() },
      { weight: 1, arbitrary: fc.constant(SKIP) },
    )
    return fc.array(cell, { minLength: count, maxLength: count }).map(cells => fromCells(axes, shape, cells))
  })

describe('construction', () => {
  test('[REF-1] ragged data are filled with skips', () => {
    expect(fromData([['a', 'b'], ['c']], ['r', 'c'])).toEqual({
      axes: ['r', 'c'],
      shape: [2, 2],
      data: [
        ['a', 'b'],
        ['c', SKIP],
      ],
    })
  })

  test('[REF-1] a list of skips stands where a list was expected, one level deep', () => {
    expect(fromData([[[1], [2]], 5]).data).toEqual([
      [[1], [2]],
      [SKIP, SKIP],
    ])
    expect(fromData([]).shape).toEqual([0])
    expect(fromData([[1], [2]]).axes).toEqual(['axis_0', 'axis_1'])
  })

  test('[REF-2] names decide how deep the axes go', () => {
    expect(fromData([[1, 2], [3]], ['r'])).toEqual({ axes: ['r'], shape: [2], data: [[1, 2], [3]] })
    expect(() => fromData([1], ['r', 'c'])).toThrow('Number of axis names (2) cannot be greater than data rank (1)')
    expect(() => fromData([[1]], ['r', 'r'])).toThrow('Axes must be unique')
  })

  test('[REF-1] the data of every tensor have its shape', () => {
    fc.assert(fc.property(tensor, one => void expect(shapeOf(one.data)).toEqual(one.shape)))
    fc.assert(fc.property(tensor, one => void expect(fromData(one.data, one.axes)).toEqual(one)))
  })
})

describe('access', () => {
  test('[REF-3] cells and sub-tensors', () => {
    expect(get(table, { r: 1, c: 2 })).toBe(6)
    expect(get(table, { c: 1 })).toEqual([SKIP, 5])
    expect(get(table, { r: 0 })).toEqual([1, SKIP, 3])
    expect(get(table, {})).toBe(table.data)
    expect([get(table, { r: 2 }), get(table, { r: 0, c: 1 }), get(table, { r: 1, c: 9 })]).toEqual([SKIP, SKIP, SKIP])
  })

  test('[REF-4] slices', () => {
    expect(slice(table, ['r']).data).toEqual([SKIP, [4, 5, 6]])
    expect(slice(table, ['c', 'r']).data).toEqual([
      [1, 4],
      [SKIP, 5],
      [3, 6],
    ])
    expect(slice(table, [])).toEqual({ axes: [NONE_AXIS], shape: [1], data: [table.data] })
    expect(() => slice(table, ['z'])).toThrow(`"Axis 'z' not found in ['r', 'c']"`)
    expect(() => slice(table, ['r', 'r'])).toThrow('Axes must be unique')
  })

  test('[REF-4] a slice over all axes in another order is the transposition', () => {
    fc.assert(
      fc.property(tensor, one => {
        const order = one.axes.toReversed()
        expect(slice(one, order)).toEqual(transpose(one, order))
      }),
    )
  })

  test('[REF-5] transposing there and back', () => {
    const shuffled = tensor.chain(one =>
      fc.tuple(fc.constant(one), fc.shuffledSubarray([...one.axes], { minLength: one.axes.length })),
    )
    fc.assert(
      fc.property(shuffled, ([one, order]) => {
        const there = transpose(one, order)
        expect(transpose(there, one.axes)).toEqual(one)
        expect(leaves(there).map(String).sort()).toEqual(leaves(one).map(String).sort())
      }),
    )
    expect(() => transpose(table, ['r'])).toThrow(/permutation/)
  })

  test('[REF-6] skips and the lists they leave empty go', () => {
    expect(withoutSkips([[1, [SKIP]], [SKIP], SKIP, null])).toEqual([[1], null])
    expect(hasContent(fromData([[SKIP], [SKIP]]))).toBe(false)
    expect(hasContent(single(null))).toBe(true)
    fc.assert(fc.property(tensor, one => void expect(flatten(withoutSkips(one.data))).not.toContain(SKIP)))
  })

  test('[REF-4] an axis is renamed unless the name is taken', () => {
    expect(renameAxis(table, 'r', 'x').axes).toEqual(['x', 'c'])
    expect(renameAxis(table, 'r', 'c')).toBe(table)
    expect(renameAxis(table, 'z', 'x')).toBe(table)
  })
})

describe('combination', () => {
  test('[REF-7] shared axes are aligned, others span', () => {
    const a = fromData([1, 2], ['x'])
    expect(crossProduct([a, fromData(['p', 'q'], ['y'])]).data).toEqual([
      [
        [1, 'p'],
        [1, 'q'],
      ],
      [
        [2, 'p'],
        [2, 'q'],
      ],
    ])
    expect(crossProduct([a, fromData(['p', SKIP], ['x'])]).data).toEqual([[1, 'p'], SKIP])
    expect(() => crossProduct([a, fromData([1, 2, 3], ['x'])])).toThrow(/Shape mismatch/)
  })

  test('[REF-7] every cell of a product holds the inputs’ own cells', () => {
    fc.assert(
      fc.property(tensor, tensor, (a, b) => {
        const sizes = new Map(a.axes.map((axis, i) => [axis, a.shape[i]]))
        fc.pre(b.axes.every((axis, i) => (sizes.get(axis) ?? b.shape[i]) === b.shape[i]))
        const product = crossProduct([a, b])
        expect(product.axes).toEqual([...new Set([...a.axes, ...b.axes])])
        const at = (index: Record<string, number>): Value => {
          const pair: Value[] = [get(a, index), get(b, index)]
          return pair.includes(SKIP) ? SKIP : pair
        }
        forEachIndex(product, index => void expect(get(product, index)).toEqual(at(index)))
      }),
    )
  })

  test('[REF-7] the product of one tensor wraps its cells', () => {
    const wrapped = (one: Reference): Reference =>
      fromCells(
        one.axes,
        one.shape,
        leaves(one).map(cell => (cell === SKIP ? SKIP : [cell])),
      )
    fc.assert(fc.property(tensor, one => void expect(crossProduct([one])).toEqual(wrapped(one))))
  })

  test('[REF-8] the axis of single values disappears beside another', () => {
    expect(crossProduct([single('t'), fromData([1, 2], ['x'])])).toEqual({
      axes: ['x'],
      shape: [2],
      data: [
        ['t', 1],
        ['t', 2],
      ],
    })
    expect(crossProduct([single(1), single(2)])).toEqual(single([1, 2]))
    expect(elementAction(a => a, [fromData([[1, 2]], ['x', NONE_AXIS])]).data).toEqual([1])
  })

  test('[REF-9] skips, None and exceptions', () => {
    const errors: unknown[] = []
    const half = (value: Value): Value => {
      if (value === 3) throw new Error('odd')
      return value === 2 ? null : [value]
    }
    const input = fromData([1, 2, 3, SKIP, null], ['x'])
    expect(elementAction(half, [input], error => errors.push(error)).data).toEqual([[1], null, SKIP, SKIP, SKIP])
    expect(errors).toEqual([new Error('odd')])
    expect(elementCells([input]).cells).toEqual([[1], [2], [3], null, null])
  })

  test('[REF-9] the identity leaves a tensor as it is', () => {
    fc.assert(fc.property(tensor, one => void expect(elementAction(cell => cell, [one])).toEqual(one)))
  })

  test('[REF-10] lists become an axis as long as the first', () => {
    const range = {
      axes: [NONE_AXIS],
      shape: [1],
      cells: [(n: Value): Value => Array.from({ length: Number(n) }, () => n)],
    }
    const run = (values: Value[]): Value => crossAction(range, fromData(values, ['y']), 'n').data
    expect(run([2, 3, 1])).toEqual([
      [2, 2],
      [3, 3],
      [1, SKIP],
    ])
    expect(run([0, 2])).toEqual([[], []])
    expect(run([SKIP, 2])).toEqual([[SKIP], [2]])
    expect(() => crossAction(range, fromData([1], ['n']), 'n')).toThrow('Axes must be unique')
  })

  test('[REF-10] what is no list, holds a skip or throws is skip', () => {
    const results: Value[] = [[1], 5, [SKIP], [2, 3]]
    const pick = { axes: [NONE_AXIS], shape: [1], cells: [(n: Value): Value => results[Number(n)] ?? fail()] }
    expect(crossAction(pick, fromData([0, 1, 2, 3, 4], ['y']), 'n').data).toEqual([[1], [SKIP], [SKIP], [2], [SKIP]])
  })

  test('[REF-10] functions have axes too', () => {
    const times = (factor: number) => (n: Value) => [Number(n) * factor]
    const functions = { axes: ['f'], shape: [3], cells: [times(1), null, times(10)] }
    expect(crossAction(functions, fromData([1, 2], ['y']), 'n')).toEqual({
      axes: ['f', 'y', 'n'],
      shape: [3, 2, 1],
      data: [
        [[1], [2]],
        [[SKIP], [SKIP]],
        [[10], [20]],
      ],
    })
  })
})

describe('join and append', () => {
  test('[REF-11] stacking', () => {
    const rows = fromData([[1, 2]], ['r', 'c'])
    expect(join([rows, transpose(rows, ['c', 'r'])], 'n')).toEqual({
      axes: ['n', 'r', 'c'],
      shape: [2, 1, 2],
      data: [[[1, 2]], [[1, 2]]],
    })
    const x = fromData([1], ['x'])
    expect(() => join([x, fromData([1], ['y'])], 'n')).toThrow("Axis mismatch at index 1. Expected ['x'], got ['y']")
    expect(() => join([x, fromData([1, 2], ['x'])], 'n')).toThrow(/Shape mismatch at index 1/)
    expect(() => join([x, x], 'x')).toThrow('Axes must be unique')
  })

  test('[REF-11] the parts of a join are what was joined', () => {
    fc.assert(
      fc.property(tensor, one => {
        const joined = join([one, one, one], 'n')
        expect([0, 1, 2].map(n => get(joined, { n }))).toEqual([one.data, one.data, one.data])
      }),
    )
  })

  const grid = fromData(
    [
      [1, 2],
      [3, 4],
    ],
    ['B', 'A'],
  )

  test('[REF-12] blocks along an inner axis', () => {
    expect(append(grid, fromData([5, 6], ['C']), 'B')).toEqual({
      axes: ['B', 'A'],
      shape: [3, 2],
      data: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    })
    expect(append(grid, fromData([5, 6, SKIP, 7, 8], ['C']), 'B').shape).toEqual([4, 2])
    expect(() => append(grid, fromData([5], ['C']), 'B')).toThrow(/Shape mismatch/)
    expect(() => append(grid, fromData([5], ['C']), 'Z')).toThrow(/Axis 'Z' not found/)
  })

  test('[REF-12] all cells, or the position’s own, along the last axis', () => {
    expect(append(grid, fromData([5, 6], ['C']), 'A').data).toEqual([
      [1, 2, 5, 6],
      [3, 4, 5, 6],
    ])
    expect(append(grid, fromData([[5], [6]], ['B', 'C']), 'A').data).toEqual([
      [1, 2, 5],
      [3, 4, 6],
    ])
    expect(append(grid, fromData([5, 6], ['B']), 'A').data).toEqual([
      [1, 2, 5],
      [3, 4, 6],
    ])
  })

  test('[REF-12] without an axis the one that does not match is taken', () => {
    expect(append(grid, fromData([[5], [6]], ['B', 'C'])).data).toEqual([
      [1, 2, 5],
      [3, 4, 6],
    ])
    expect(append(grid, fromData([5, 6], ['A'])).shape).toEqual([3, 2])
    expect(append(grid, fromData([5], ['C'])).shape).toEqual([2, 3])
  })

  test('[REF-12] appending to a list one after another keeps the order', () => {
    const cells = fc.array(fc.integer(), { maxLength: 10 })
    fc.assert(
      fc.property(cells, items => {
        const start: Reference = { axes: ['m'], shape: [0], data: [] }
        const grown = items.reduce((list, item) => append(list, single(item), 'm'), start)
        expect(grown).toEqual({ axes: ['m'], shape: [items.length], data: items })
      }),
    )
  })
})

function forEachIndex(reference: Reference, visit: (index: Record<string, number>) => void): void {
  const walk = (depth: number, index: Record<string, number>): void => {
    const axis = reference.axes[depth]
    if (axis === undefined) return visit(index)
    for (let i = 0; i < (reference.shape[depth] ?? 0); i++) walk(depth + 1, { ...index, [axis]: i })
  }
  walk(0, {})
}

function fail(): never {
  throw new Error('on purpose')
}

test('[REF-1] a leaf may be a list', () => {
  const cell = get(fromData([['a', 'b']], ['x']), { x: 0 })
  expect(isList(cell) && cell).toEqual(['a', 'b'])
})
