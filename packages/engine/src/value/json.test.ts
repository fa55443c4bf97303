import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText, anyValue, jsonValue } from './arbitrary-value.test-data.ts'
import { decodeValue, encodeValue, fromPlain, toPlain } from './codec.ts'
import { JsonError, readJson } from './json-read.ts'
import { dumpJson } from './json-write.ts'
import { repr } from './python-repr.ts'
import { isList, MAX_DEPTH, PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

describe('reading JSON', () => {
  test.each([
    ['{"b": 1, "2": 1.0, "1": [true, null], "b": 3}', "{'b': 3, '2': 1.0, '1': [True, None]}"],
    [
      '[1E5, -0, -0.0, 1e400, 123456789012345678901234567890]',
      '[100000.0, 0, -0.0, inf, 123456789012345678901234567890]',
    ],
    ['[NaN, Infinity, -Infinity]', '[nan, inf, -inf]'],
    [' \t\r\n"\\u4e2d\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\"\\\\" ', "'中😀/\\x08\\x0c\\n\\r\\t\"\\\\'"],
  ])('[VALUE-8] %j', (text, expected) => {
    expect(repr(readJson(text))).toBe(expected)
  })

  test('[VALUE-8] a key named __proto__ is a key like any other', () => {
    expect(repr(readJson('{"__proto__": {"a": 1}}'))).toBe("{'__proto__': {'a': 1}}")
  })

  test.each([
    ['', 'Expecting value: line 1 column 1 (char 0)'],
    ['[1,]', 'Expecting value: line 1 column 4 (char 3)'],
    ['\n [1,\n  x]', 'Expecting value: line 3 column 3 (char 8)'],
    ['{"a":1,}', 'Expecting property name enclosed in double quotes: line 1 column 8 (char 7)'],
    ['{"a" 1}', "Expecting ':' delimiter: line 1 column 6 (char 5)"],
    ['[1 2]', "Expecting ',' delimiter: line 1 column 4 (char 3)"],
    ['01', 'Extra data: line 1 column 2 (char 1)'],
    ['"中😀" x', 'Extra data: line 1 column 6 (char 5)'],
    ['"abc', 'Unterminated string starting at: line 1 column 1 (char 0)'],
    ['"a\nb"', 'Invalid control character at: line 1 column 3 (char 2)'],
    ['"a\\q"', 'Invalid \\escape: line 1 column 3 (char 2)'],
    ['"\\u12g4"', 'Invalid \\uXXXX escape: line 1 column 3 (char 2)'],
    ['-', 'Expecting value: line 1 column 1 (char 0)'],
    ['\ufeff1', 'Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)'],
  ])('[VALUE-9] %j is refused', (text, message) => {
    expect(() => readJson(text)).toThrow(message)
  })

  test('[VALUE-4] deep nesting is refused', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
    expect(isList(readJson(nested(MAX_DEPTH)))).toBe(true)
    expect(() => readJson(nested(MAX_DEPTH + 1))).toThrow(JsonError)
    expect(() => readJson('[{"a":'.repeat(1_000_000))).toThrow(JsonError)
    expect(() => fromPlain(JSON.parse(nested(5000)))).toThrow(/nested deeper/)
  })

  test('[VALUE-9] every text is read or refused with a JsonError', () => {
    const text = fc.array(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'u', '1', '-', 'e', '.', ' ', 'null'),
    )
    fc.assert(
      fc.property(text, parts => {
        try {
          readJson(parts.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError)
        }
      }),
    )
  })
})

describe('writing JSON', () => {
  const value = PyDict.of([
    ['a', [1, new PyFloat(1), new PyFloat(1e20), null]],
    [2, new PyTuple([])],
    [true, PyDict.of([])],
    [new PyFloat(0.5), '中😀\x7f"\\/\n\u0001'],
    [null, [[]]],
  ])

  test('[VALUE-10] on one line', () => {
    expect(dumpJson(value)).toBe(
      '{"a": [1, 1.0, 1e+20, null], "2": [], "true": {}, "0.5": "\\u4e2d\\ud83d\\ude00\\u007f\\"\\\\/\\n\\u0001", "null": [[]]}',
    )
  })

  test('[VALUE-10] indented, without escaping what is not ASCII', () => {
    expect(dumpJson(value, { indent: 2, ascii: false })).toBe(
      [
        '{',
        '  "a": [',
        '    1,',
        '    1.0,',
        '    1e+20,',
        '    null',
        '  ],',
        '  "2": [],',
        '  "true": {},',
        '  "0.5": "中😀\x7f\\"\\\\/\\n\\u0001",',
        '  "null": [',
        '    []',
        '  ]',
        '}',
      ].join('\n'),
    )
  })

  test('[VALUE-10] half of a surrogate pair is written as it is unless ASCII is asked for', () => {
    expect(dumpJson('\ud800"', { ascii: false })).toBe('"\ud800\\""')
    expect(dumpJson('\ud800')).toBe('"\\ud800"')
  })

  test('[VALUE-11] sets, bytes and keys that are no scalars are refused', () => {
    expect(() => dumpJson([new PySet([])])).toThrow('Object of type set is not JSON serializable')
    expect(() => dumpJson(new PyBytes(Uint8Array.of(1)))).toThrow('Object of type bytes is not JSON serializable')
    expect(() => dumpJson(PyDict.of([[new PyTuple([]), 1]]))).toThrow(
      'keys must be str, int, float, bool or None, not tuple',
    )
  })

  test('[VALUE-8] what is written reads back the same', () => {
    const options = fc.record({ indent: fc.option(fc.nat(4), { nil: undefined }), ascii: fc.boolean() })
    fc.assert(
      fc.property(
        jsonValue,
        options,
        (given, how) => void expect(repr(readJson(dumpJson(given, how)))).toBe(repr(given)),
      ),
    )
  })
})

describe('the codec', () => {
  test('[VALUE-12] every value comes back, types included', () => {
    fc.assert(fc.property(anyValue, value => void expect(repr(decodeValue(encodeValue(value)))).toBe(repr(value))))
  })

  test('[VALUE-12] nan, infinities and the deepest values come back', () => {
    let deep: Value = 1
    for (let i = 0; i < MAX_DEPTH; i++) deep = i % 2 === 0 ? new PyTuple([deep]) : PyDict.of([[1, deep]])
    const values = [new PyFloat(Number.NaN), new PyFloat(Infinity), new PyFloat(-Infinity), deep]
    expect(repr(decodeValue(encodeValue(values)))).toBe(repr(values))
  })

  test('[VALUE-13] plain values are plain JSON', () => {
    const value = PyDict.from({ a: [1, new PyFloat(1), 'x', null, true], $b: 1, c: PyDict.of([]) })
    expect(encodeValue(value)).toBe('{"a":[1,1.0,"x",null,true],"$b":1,"c":{}}')
    fc.assert(fc.property(anyText, text => void expect(encodeValue(text)).toBe(JSON.stringify(text))))
  })

  test('[VALUE-13] every encoding is strict JSON', () => {
    fc.assert(fc.property(anyValue, value => void JSON.parse(encodeValue(value))))
  })

  test('[VALUE-12] a dict that looks like a tag is told from a tag', () => {
    const impostor = PyDict.from({ $tuple: [1] })
    expect(encodeValue(impostor)).toBe('{"$dict":[["$tuple",[1]]]}')
    expect(encodeValue(new PyTuple([1]))).toBe('{"$tuple":[1]}')
    expect(() => decodeValue('{"$tuple": 1}')).toThrow('$tuple must hold a list')
    expect(repr(decodeValue('{"$other": [{"$tuple": [1]}]}'))).toBe("{'$other': [(1,)]}")
  })

  test('[VALUE-14] plain data become values and back', () => {
    const plain = { a: 1, b: 1.5, c: [null, true, 'x'], d: { e: {} }, f: undefined, big: 2 ** 60 }
    const value = fromPlain(plain)
    expect(repr(value)).toBe(
      "{'a': 1, 'b': 1.5, 'c': [None, True, 'x'], 'd': {'e': {}}, 'f': None, 'big': 1152921504606846976}",
    )
    expect(toPlain(value)).toEqual({ ...plain, f: null, big: '1152921504606846976' })
    expect(fromPlain(1e300)).toEqual(new PyFloat(1e300))
    expect(fromPlain(10n ** 20n)).toBe(10n ** 20n)
    expect(fromPlain(5n)).toBe(5)
  })

  test('[VALUE-14] what JSON lacks becomes text or lists', () => {
    const value: Value = [
      new PyTuple([1, new PyFloat(Number.NaN)]),
      PySet.of([1]),
      new PyBytes(Uint8Array.of(65)),
      PyDict.of([[1, 2]]),
    ]
    expect(toPlain(value)).toEqual([[1, 'nan'], [1], "b'A'", { 1: 2 }])
    const hostile = toPlain(PyDict.from({ ['__proto__']: 1 }))
    expect(Object.keys(hostile as object)).toEqual(['__proto__'])
  })

  test('[VALUE-14] plain JSON data survive the way there and back', () => {
    fc.assert(
      fc.property(fc.jsonValue(), plain => {
        const again: unknown = JSON.parse(JSON.stringify(toPlain(fromPlain(plain))))
        expect(again).toEqual(JSON.parse(JSON.stringify(plain, (_, item: unknown) => expectedPlain(item))))
      }),
    )
  })
})

function expectedPlain(item: unknown): unknown {
  if (typeof item !== 'number' || !Number.isInteger(item) || Number.isSafeInteger(item)) return item
  return Math.abs(item) < 1e21 ? String(BigInt(item)) : item
}
