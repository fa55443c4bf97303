import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyFloat, anyText, anyValue } from './arbitrary-value.test-data.ts'
import { literalEval } from './literal-eval.ts'
import { repr, str } from './python-repr.ts'
import { strip } from './text.ts'
import { MAX_DEPTH, PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

const bytes = (text: string): PyBytes => new PyBytes(new TextEncoder().encode(text))

describe('repr', () => {
  test.each<[Value, string]>([
    [null, 'None'],
    [true, 'True'],
    [-0, '0'],
    [2n ** 70n, '1180591620717411303424'],
    [new PyFloat(1), '1.0'],
    [new PyFloat(-0), '-0.0'],
    [new PyFloat(1e15), '1000000000000000.0'],
    [new PyFloat(1e16), '1e+16'],
    [new PyFloat(1e20), '1e+20'],
    [new PyFloat(0.0001), '0.0001'],
    [new PyFloat(0.00001), '1e-05'],
    [new PyFloat(1.5e-7), '1.5e-07'],
    [new PyFloat(5e-324), '5e-324'],
    [new PyFloat(Infinity), 'inf'],
    [new PyFloat(-Infinity), '-inf'],
    [new PyFloat(NaN), 'nan'],
    ["it's", `"it's"`],
    [`it's "so"`, `'it\\'s "so"'`],
    ['\n\r\t\\\0\x7f\x85\xa0\xad', "'\\n\\r\\t\\\\\\x00\\x7f\\x85\\xa0\\xad'"],
    ['中文 é 😀', "'中文 é 😀'"],
    ['\u200b\u2028\u3000\ufeff\ud800', "'\\u200b\\u2028\\u3000\\ufeff\\ud800'"],
    ['\u{e0001}', "'\\U000e0001'"],
    [[], '[]'],
    [[1, 'x', [null]], "[1, 'x', [None]]"],
    [new PyTuple([]), '()'],
    [new PyTuple([1]), '(1,)'],
    [new PyTuple([1, 2]), '(1, 2)'],
    [new PySet([]), 'set()'],
    [new PySet([1, 2]), '{1, 2}'],
    [bytes("a'\n\0é"), `b"a'\\n\\x00\\xc3\\xa9"`],
    [PyDict.of([]), '{}'],
    [PyDict.from({ a: 1, 'b c': [true] }), "{'a': 1, 'b c': [True]}"],
    [
      PyDict.of([
        ['2', 1],
        [1, new PyFloat(2)],
      ]),
      "{'2': 1, 1: 2.0}",
    ],
  ])('[VALUE-1] of case %# is Python’s text', (value, text) => {
    expect(repr(value)).toBe(text)
    expect(str(value)).toBe(typeof value === 'string' ? value : text)
  })

  test('[VALUE-1] of a float is the shortest text that reads back as it', () => {
    fc.assert(
      fc.property(anyFloat, float => {
        const text = repr(float)
        expect(Number(text)).toBe(float.value)
        expect(text).toMatch(/^-?(\d+\.\d+|\d(\.\d+)?e[+-]\d{2,3})$/)
      }),
    )
  })
})

describe('literalEval', () => {
  test('[VALUE-2] reads back every value', () => {
    fc.assert(
      fc.property(anyValue, value => {
        const read = literalEval(repr(value))
        expect(read === undefined ? read : repr(read)).toEqual(repr(value))
      }),
    )
  })

  test('[VALUE-2] reads any text in its quotes', () => {
    fc.assert(fc.property(anyText, text => void expect(literalEval(repr(text))).toBe(text)))
  })

  test.each([
    ['  5', '5'],
    ['\n5 # five\n', '5'],
    ['1_000', '1000'],
    ['0x_ff', '255'],
    ['0b101', '5'],
    ['0o17', '15'],
    ['00', '0'],
    ['007.5', '7.5'],
    ['1e5', '100000.0'],
    ['.5', '0.5'],
    ['1.', '1.0'],
    ['- 5', '-5'],
    ['-(5)', '-5'],
    ['99999999999999999999', '99999999999999999999'],
    ['1,', '(1,)'],
    ['1, 2', '(1, 2)'],
    ['((1))', '1'],
    ['[1\n, 2, # two\n]', '[1, 2]'],
    ["'a' \"b\" '''c\nd'''", "'abc\\nd'"],
    ["('a'\n'b')", "'ab'"],
    ["r'\\n' u'x'", "'\\\\nx'"],
    ["'\\x41\\u4e2d\\U0001F600\\101\\q\\\n'", "'A中😀A\\\\q'"],
    ["b'\\xff' B'\\101'", "b'\\xffA'"],
    ['{1: 2, 1.0: 3, True: 4}', '{1: 4}'],
    ['{1, 1.0, 2}', '{1, 2}'],
    ['set()', 'set()'],
    ["{'a': (None, {}),}", "{'a': (None, {})}"],
  ])('[VALUE-2] reads %j as %s', (text, expected) => {
    const value = literalEval(text)
    expect(value === undefined ? value : repr(value)).toBe(expected)
  })

  test.each(
    [
      '',
      'true',
      'null',
      '007',
      '1__0',
      '1_',
      '1abc',
      '0x',
      '3j',
      '1+2',
      '--5',
      '-True',
      '~5',
      '[1 2]',
      '[,]',
      '(,)',
    ].concat(
      [
        "'a",
        "'a\nb'",
        "'\\x4'",
        "'a'\n'b'",
        "f'x'",
        "b'é'",
        "b'a' 'b'",
        '{[1]: 2}',
        '{[1]}',
        '{**a}',
        '{1: 2, 3}',
        '{1, 2: 3}',
      ],
      ['set(1)', '5)', '5;', '5\n6', '\n 5', '5\n  ', '[1]]', '1 if 1 else 2', 'Nonexx', 'a\0', '9'.repeat(4301)],
    ),
  )('[VALUE-3] refuses %j', text => {
    expect(literalEval(text)).toBeUndefined()
  })

  test('[VALUE-4] refuses more than 200 open brackets', () => {
    expect(literalEval('['.repeat(200) + ']'.repeat(200))).toBeDefined()
    expect(literalEval('['.repeat(201) + ']'.repeat(201))).toBeUndefined()
    expect(literalEval('('.repeat(1_000_000))).toBeUndefined()
    expect(literalEval('-'.repeat(1_000_000))).toBeUndefined()
    expect(MAX_DEPTH).toBeGreaterThan(200)
  })

  test('[VALUE-3] never throws, whatever the text', () => {
    fc.assert(fc.property(anyText, text => void literalEval(text)))
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('[', '{', '(', ')', ',', ':', '1', "'", '-', ' ', '\n', 'b', '.')),
        parts => {
          literalEval(parts.join(''))
        },
      ),
    )
  })
})

test('[VALUE-15] strip takes what Python takes for blanks', () => {
  expect(strip('\x1c\x85\u3000 \t\n a b \r\x1f\u2028')).toBe('a b')
  expect(strip('\ufeffa\u200b')).toBe('\ufeffa\u200b')
  expect(strip(' \n ')).toBe('')
})
