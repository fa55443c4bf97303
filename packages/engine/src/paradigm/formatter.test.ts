import { describe, expect, test } from 'vitest'
import { repr } from '#value/python-repr'
import { PyDict, PyFloat, type Value } from '#value/value'
import {
  cleanCode,
  collectScriptInputs,
  getEntry,
  jsonLoads,
  parse,
  parseBoolean,
  smartSubstitute,
  substitute,
  wrap,
  wrapList,
} from './formatter.ts'

const nextId = (): string => 'id'

test('[FORMAT-1] entries of a dict', () => {
  expect(getEntry(PyDict.from({ a: null }), 'a', 1)).toBeNull()
  expect(getEntry(PyDict.from({ a: 1 }), 'b')).toBeNull()
  expect(getEntry(PyDict.from({ a: 1 }), 'b', 2)).toBe(2)
  expect(() => getEntry('text', 'b')).toThrow("'str' object has no attribute 'get'")
})

test('[FORMAT-2] signs', () => {
  expect(wrap(PyDict.from({ a: new PyFloat(1) }), null, nextId)).toBe("%id({'a': 1.0})")
  expect(wrapList(['a', 1], 'file_location', nextId)).toEqual(['%{file_location}id(a)', '%{file_location}id(1)'])
  expect(wrapList('a', 'x', nextId)).toBe('a')
})

describe('answers of a model', () => {
  test.each([
    ['{"a": 1.0}', "{'a': 1.0}"],
    ['[1, NaN]', '[1, nan]'],
    ['null', 'None'],
    ["{'a': (1, None)}", "{'a': (1, None)}"],
    ['{"a": "it\\\'s"}', `{'a': "it's"}`],
  ])('[FORMAT-3] %j is read', (text, expected) => {
    expect(repr(parse(text))).toBe(expected)
  })

  test.each<[Value]>([["[1, 'x']"], ['(1, 2)'], ['prose'], ["{'a'}"], ['{"a": 1} and more'], [' ']])(
    '[FORMAT-3] %j comes back beside an error',
    text => {
      expect(parse(text)).toEqual(
        PyDict.from({ raw_response: text, error: 'Failed to parse response as JSON or Python dict' }),
      )
    },
  )

  test('[FORMAT-3] nothing is an error', () => {
    const error = PyDict.from({ error: 'Invalid input: received empty or non-string response for parsing.' })
    expect([parse(''), parse(null), parse(5)]).toEqual([error, error, error])
  })

  test('[FORMAT-3] strict JSON throws', () => {
    expect(jsonLoads('[1]')).toEqual([1])
    expect(() => jsonLoads("{'a': 1}")).toThrow('Expecting property name enclosed in double quotes')
    expect(() => jsonLoads(5)).toThrow('the JSON object must be str, bytes or bytearray, not int')
  })

  test.each<[Value, string]>([
    ['```json\n{"a":1}\n```', '{"a":1}'],
    ['pre\n```py\nx = 1\n\n```\npost\n```\ny\n```', 'x = 1'],
    ['```\n plain \n```', 'plain'],
    ['```js\nx\n``` then ```python\ny\n```', 'y'],
    ['  no fence \n', 'no fence'],
    ['```json {"a":1} ```', '```json {"a":1} ```'],
    ['```json\nnever closed', '```json\nnever closed'],
    [5, ''],
  ])('[FORMAT-4] the code of %j', (raw, code) => {
    expect(cleanCode(raw, '2026-01')).toBe(code)
  })

  test('[FORMAT-4] draft plans are code in the dialect of 2026-03', () => {
    expect(cleanCode('```ncds\n<- a\n```', '2026-03')).toBe('<- a')
    expect(cleanCode('```ncds\n<- a\n```', '2026-01')).toBe('```ncds\n<- a\n```')
  })

  test('[FORMAT-5] words of agreement anywhere in the text', () => {
    const yes: Value[] = ['TRUE', 'Yes.', 'incorrect', '1 of 3', 'Proceed', true, 1]
    const no: Value[] = ['no', '', 'maybe', 'stop', false, null, 0, []]
    expect(yes.map(raw => parseBoolean(raw, '2026-01'))).toEqual(yes.map(() => true))
    expect(no.map(raw => parseBoolean(raw, '2026-01'))).toEqual(no.map(() => false))
  })

  test('[FORMAT-5] whole words and JSON only, in the dialect of 2026-03', () => {
    const yes: Value[] = [' Yes ', 'true', '1', '{"result": true}', true, 1, new PyFloat(1)]
    const no: Value[] = ['incorrect', '1 of 3', 'yes, but', '{"a": true, "b": true}', '{"a": "true"}', 'no', '0', null]
    expect(yes.map(raw => parseBoolean(raw, '2026-03'))).toEqual(yes.map(() => true))
    expect(no.map(raw => parseBoolean(raw, '2026-03'))).toEqual(no.map(() => false))
  })
})

describe('inputs', () => {
  test('[FORMAT-6] texts of scripts are JSON where they can be', () => {
    const inputs = PyDict.from({ input_1: '5', input_2: 'abc', input_3: 'null', input_4: [1], x: '1', input_5: '1.0' })
    expect(repr(collectScriptInputs(inputs))).toBe(
      "{'input_1': 5, 'input_2': 'abc', 'input_3': None, 'input_4': [1], 'input_5': 1.0}",
    )
  })

  test('[FORMAT-7] a template among the inputs is filled with the others', () => {
    expect(substitute(PyDict.from({ t: '$a $t $b', a: 1 }), 't')).toBe('1 $t $b')
    expect(() => substitute(PyDict.from({ a: 1 }), 't')).toThrow("'t'")
  })

  test('[FORMAT-8] inputs that the template does not name become blocks', () => {
    const inputs = PyDict.from({
      prompt_template: 'A=${input_1} B=$input_3\n$input_other',
      input_1: 'one',
      input_10: 'ten',
      input_2: PyDict.from({ path: 'p', content: 'C', size: 5 }),
      input_3: 'three',
      input_4: PyDict.from({ x: null }),
      input_5: null,
      unrelated: 'u',
    })
    expect(smartSubstitute(inputs, 'prompt_template', 'input_other')).toBe(
      [
        'A=one B=three',
        '<file_1>\nten\n</file_1>\n',
        '<file_2 path="p" size="5">\nC\n</file_2>\n',
        '<file_3 x="" />\n',
        '<file_4>\n\n</file_4>',
      ].join('\n'),
    )
  })

  test('[FORMAT-8] without other inputs the place is empty', () => {
    const inputs = PyDict.from({ t: '[$input_1|$rest]', input_1: 'a' })
    expect(smartSubstitute(inputs, 't', 'rest')).toBe('[a|]')
  })
})
