import { describe, expect, test } from 'vitest'
import {
  answer,
  dataOf,
  meta,
  openSketch,
  paradigmFile,
  play,
  refuse,
  type Answers,
  type PlanSketch,
} from '#run/plan.fixture'
import { encodeValue } from '#value/codec'
import { PyDict, type Value } from '#value/value'
import { parseCallCode } from './call-codes.ts'
import { parseParadigm } from './paradigm.ts'

const literal = (value: Value) => ({ type: 'literal', value })
const item = (value: Value) => ({ name: null, value: literal(value) })
const argument = (name: string) => ({ type: 'argument', name })

describe('call codes', () => {
  test.each([
    ['result = tool.get', { type: 'method', method: 'get' }],
    ['import json\nresult = json.loads', { type: 'json_loads' }],
    ['result = lambda x: x', { type: 'identity' }],
    ['# how\nresult = (lambda data : data)  # the same; no more', { type: 'identity' }],
    ['import json; result = json.loads', { type: 'json_loads' }],
    ["result = tool.read('a # b')", { type: 'call', method: 'read', args: [{ name: null, value: literal('a # b') }] }],
    ['result = tool.get(\n  -1,\n  [],  # none\n)', { type: 'call', method: 'get', args: [item(-1), item([])] }],
    [
      "result = lambda x, k: x.get(k, {})['a']",
      {
        type: 'lambda',
        names: ['x', 'k'],
        body: {
          type: 'index',
          of: { type: 'get', of: argument('x'), key: argument('k'), fallback: literal(new PyDict()) },
          key: literal('a'),
        },
      },
    ],
    [
      "result = tool.read(location=params['filepath'])",
      {
        type: 'call',
        method: 'read',
        args: [
          {
            name: 'location',
            value: { type: 'index', of: { type: 'params' }, key: { type: 'literal', value: 'filepath' } },
          },
        ],
      },
    ],
    [
      'result = tool.create_interaction(**params)',
      { type: 'call', method: 'create_interaction', args: [{ name: '**', value: { type: 'params' } }] },
    ],
    [
      'result = params["dictionary"].get(params.get("key", None))',
      {
        type: 'get',
        of: { type: 'index', of: { type: 'params' }, key: { type: 'literal', value: 'dictionary' } },
        key: {
          type: 'get',
          of: { type: 'params' },
          key: { type: 'literal', value: 'key' },
          fallback: { type: 'literal', value: null },
        },
        fallback: null,
      },
    ],
  ])('[PARADIGM-1] %j is read', (code, expected) => {
    expect(parseCallCode(code)).toEqual(expected)
  })

  test.each([
    'result = __import__("os").system("ls")',
    'result = open("x").read()',
    'result = tool.get; result = tool.wrap',
    'import os\nresult = tool.get',
    'result = tool.read(open("x"))',
    'result = params["a"].format(1)',
    'result == tool.get',
    'result = lambda x: y',
    'result = lambda x: lambda y: x',
    'result = lambda x: tool.read',
    'result = x',
    'result = tool.get["a"]',
    'result = json.loads(open("a"))',
    'result = (lambda x: x)["a"]',
    'result = tool.get(tool.read("a"))',
    'result = tool.get(lambda x: x)',
    'result = (tool.get',
    'tool.get',
    'result = tool.get extra',
    '',
  ])('[PARADIGM-1] %j is refused', code => {
    expect(() => parseCallCode(code)).toThrow(code.trim().slice(0, 20))
  })

  test('[PARADIGM-1] a refusal names the paradigm and what is unknown', () => {
    const file = (code: string) =>
      JSON.stringify(
        paradigmFile({
          tools: { 'formatter_tool.f': code },
          steps: [['formatter_tool.f', 'f']],
          plan: [],
          returns: 'x',
        }),
      )
    expect(() => parseParadigm('mine', file('result = tool.delete_all'))).toThrow(/mine.*delete_all/s)
    expect(() => parseParadigm('mine', file('result = exec("1")'))).toThrow(/mine.*exec/s)
    expect(() => parseParadigm('mine', '{}')).toThrow(/mine.*env_spec/s)
    expect(() => parseParadigm('mine', 'no json')).toThrow(/mine/)
  })
})

/** A step with one input that a paradigm works on. */
function step(paradigm: object | null, extra: Partial<PlanSketch> = {}, name = 'mine'): PlanSketch {
  return {
    given: { '{a}': 'input', 'do 1': ['the function'] },
    paradigms: paradigm === null ? {} : { [name]: paradigm },
    steps: [
      {
        at: '1',
        sequence: 'imperative_in_composition',
        infers: '{b}',
        values: ['{a}'],
        with: { paradigm: name, value_order: { '{a}': 1 } },
      },
    ],
    ...extra,
  }
}

function resultOf(sketch: PlanSketch, answers?: Answers): string {
  const { run } = play(openSketch(sketch), answers)
  return encodeValue(dataOf(run, '{b}')).replace(/%[0-9a-f]{3}\(/g, '%(')
}

describe('compositions', () => {
  const tools = {
    'formatter_tool.get': 'result = tool.get',
    'formatter_tool.wrap': 'result = tool.wrap',
    'formatter_tool.id': 'result = lambda x: x',
  }
  const steps = [
    ['formatter_tool.get', 'get'],
    ['formatter_tool.wrap', 'wrap'],
    ['formatter_tool.id', 'id'],
  ] as const

  test.each([
    ["lambda x: json.loads(x)['a']", '["%(1.5)"]'],
    ["lambda x: tool.get(dictionary=json.loads(x), key='b', default=params['other'])", '["%(more)"]'],
    ["lambda x: params['other']", '["%(more)"]'],
  ])('[PARADIGM-1] %s is called with what the composition hands it', (code, expected) => {
    const file = paradigmFile({
      tools: { ...tools, 'formatter_tool.own': `result = ${code}` },
      steps: [...steps, ['formatter_tool.own', 'own', { other: 'more' }]],
      plan: [
        {
          output_key: 'in',
          function: meta('get'),
          params: { dictionary: '__initial_input__' },
          literal_params: { key: 'input_1' },
        },
        { output_key: 'x', function: meta('own'), params: { __positional__: 'in' } },
        { output_key: 'out', function: meta('wrap'), params: { data: 'x' } },
      ],
      returns: 'out',
    })
    expect(resultOf(step(file, { given: { '{a}': '{"a": 1.5}', 'do 1': ['the function'] } }))).toBe(expected)
  })

  test('[PARADIGM-2] the vertical phase sees the function concept and earlier results', () => {
    const file = paradigmFile({
      tools: { ...tools, 'perception_router.strip': "result = tool.strip_sign(params['token'])" },
      steps: [...steps, ['perception_router.strip', 'bare', { token: meta('states.vertical') }]],
      plan: [{ output_key: 'x', function: meta('bare') }],
      returns: 'x',
    })
    const sketch = step(file, { given: { '{a}': 'input', 'do 1': ['%{script_location}0a1(a/b.py)'] } })
    expect(resultOf(sketch)).toBe('["a/b.py"]')
  })

  test.each([
    ['text', '["yes"]'],
    ['', '["no"]'],
  ])('[PARADIGM-3] a condition chooses between calls: %j', (input, expected) => {
    const choose = (operator: string, text: string) => ({
      output_key: 'x',
      condition: { key: 'in', operator },
      function: meta('id'),
      params: { __positional__: text },
    })
    const file = paradigmFile({
      tools,
      steps: [...steps],
      plan: [
        {
          output_key: 'in',
          function: meta('get'),
          params: { dictionary: '__initial_input__' },
          literal_params: { key: 'input_1' },
        },
        { output_key: 'yes', function: 'yes' },
        { output_key: 'no', function: 'no' },
        choose('is_true', 'yes'),
        choose('is_false', 'no'),
      ],
      returns: 'x',
    })
    expect(resultOf(step(file, { given: { '{a}': [input], 'do 1': ['f'] } }))).toBe(expected)
  })

  test('[PARADIGM-3] a missing key is an error of the cell', () => {
    const file = paradigmFile({
      tools,
      steps: [...steps],
      plan: [{ output_key: 'x', function: meta('wrap'), params: { data: 'nothing' } }],
      returns: 'x',
    })
    const { run, records } = play(openSketch(step(file)))
    expect(dataOf(run, '{b}')).toEqual(['@#SKIP#@'])
    expect(records[0]?.errors).toMatchObject([{ path: 'cells[0]', name: 'KeyError' }])
  })
})

describe('tools', () => {
  const runScript = paradigmFile({
    tools: {
      'file_system.read_now': "result = tool.read(params['path'])",
      'formatter_tool.content': "result = params['data']['content']",
      'python_interpreter.make':
        "result = tool.create_function_executor(script_code=params['script'], function_name=params['function_name'])",
      'formatter_tool.wrap': 'result = tool.wrap',
    },
    steps: [
      ['file_system.read_now', 'file', { path: meta('states.vertical') }],
      ['formatter_tool.content', 'code', { data: meta('file') }],
      ['python_interpreter.make', 'run', { script: meta('code'), function_name: 'main' }],
      ['formatter_tool.wrap', 'wrap'],
    ],
    plan: [
      { output_key: 'result', function: meta('run'), params: { __positional__: '__initial_input__' } },
      {
        output_key: 'wrapped',
        function: meta('wrap'),
        params: { data: 'result' },
        literal_params: { type: 'literal' },
      },
    ],
    returns: 'wrapped',
  })

  test('[PARADIGM-4] an exception of a script is a value', () => {
    const answers: Answers = ({ effect }) =>
      effect.type === 'file.read' ? answer('code') : refuse('ZeroDivisionError', 'division by zero')
    expect(resultOf(step(runScript), answers)).toBe(`["%({'status': 'error', 'message': 'division by zero'})"]`)
  })

  test('[PARADIGM-7] a script is called with all inputs, and named by its file', () => {
    const { requests } = play(openSketch(step(runScript)), ({ effect }) =>
      answer(effect.type === 'file.read' ? 'code' : 7),
    )
    const [, call] = requests
    expect(call?.effect).toMatchObject({
      type: 'script.call',
      path: 'the function',
      code: 'code',
      functionName: 'main',
      withBody: true,
    })
    expect(call?.effect.type === 'script.call' && encodeValue(call.effect.args)).toBe('{"input_1":"input"}')
  })

  test('[ENGINE-15] a script that is not there fails the step', () => {
    const { run } = play(openSketch(step(runScript)), () => refuse('FileNotFoundError', 'File not found'))
    expect(run.end).toMatchObject({ reason: 'step_failed' })
  })

  const readFile = paradigmFile({
    tools: { 'formatter_tool.get': 'result = tool.get', 'file_system.read': 'result = tool.read' },
    steps: [
      ['formatter_tool.get', 'get'],
      ['file_system.read', 'read'],
    ],
    plan: [
      {
        output_key: 'path',
        function: meta('get'),
        params: { dictionary: '__initial_input__' },
        literal_params: { key: 'input_1' },
      },
      { output_key: 'file', function: meta('read'), params: { __positional__: 'path' } },
    ],
    returns: 'file',
  })

  test('[PARADIGM-4] a file that is not there is a value', () => {
    expect(resultOf(step(readFile), () => refuse('FileNotFoundError', 'File not found at input'))).toBe(
      '[{"status":"error","message":"File not found at input"}]',
    )
    expect(resultOf(step(readFile), () => answer('text'))).toBe('[{"status":"success","content":"text"}]')
  })
})

describe('built-in', () => {
  const ask = 'h_UserPrompt-c_Ask-o_Normal'

  test('[PARADIGM-5] a plan may replace a built-in paradigm', () => {
    const { requests } = play(openSketch(step(null, {}, ask)), () => answer('blue'))
    expect(requests[0]?.effect).toMatchObject({
      type: 'input.ask',
      interaction: { type: 'simple_text', prompt: 'input' },
    })
    const mine = paradigmFile({ tools: {}, steps: [], plan: [{ output_key: 'x', function: 'fixed' }], returns: 'x' })
    expect(resultOf(step(mine, {}, ask))).toBe('["fixed"]')
  })

  test('[PARADIGM-7] several contents are written entry by entry', () => {
    const name = 'h_PromptTemplate_SaveDir-c_GenerateThinkJson-Extract-Save-o_FileLocation'
    const sketch: PlanSketch = {
      given: { '{t}': '%{prompt_location}0a1(p.md)', '{dir}': '%{save_dir}0a1(out/)', '{a}': 'input', 'do 1': ['f'] },
      steps: [
        {
          at: '1',
          sequence: 'imperative_in_composition',
          infers: '{b}',
          values: ['{t}', '{dir}', '{a}'],
          with: { paradigm: name, value_order: { '{t}': 1, '{dir}': 2, '{a}': 3 } },
        },
      ],
    }
    const written: string[] = []
    const answers: Answers = ({ effect }) => {
      if (effect.type === 'file.read') return answer('Write about $input_1')
      if (effect.type === 'model.generate')
        return answer('```json\n{"answer": {"a.txt": "one", "b.json": {"k": 1}}}\n```')
      if (effect.type !== 'file.write') throw new Error(effect.type)
      written.push(`${effect.path}: ${effect.content}`)
      return answer(`/base/${effect.path}`)
    }
    expect(resultOf(sketch, answers)).toBe(
      '["%{file_location}xyz(/base/out/a.txt)"]'.replace('xyz', idIn(sketch, answers)),
    )
    expect(written.slice(0, 2)).toEqual(['out/a.txt: one', 'out/b.json: {\n  "k": 1\n}'])
  })

  function idIn(sketch: PlanSketch, answers: Answers): string {
    const { run } = play(openSketch(sketch), answers)
    return /\}([0-9a-f]{3})\(/.exec(encodeValue(dataOf(run, '{b}')))?.[1] ?? ''
  }
})
