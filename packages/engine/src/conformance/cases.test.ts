import { describe, expect, test } from 'vitest'
import { PyDict, type Value } from '#value/value'
import type { Effect } from '#run/effects'
import { readCases } from './cases.ts'
import { compareRecordings } from './compare.ts'
import { ScriptedWorld } from './scripted-world.ts'

const least = { name: 'x', concepts: 'a/repos/c.json', inferences: 'a/repos/i.json' }

describe('case lists', () => {
  test('[CONFORM-4] what a case leaves out', () => {
    const [given] = readCases(JSON.stringify({ cases: [least] }))
    expect(given).toMatchObject({ baseDir: 'a/repos', golden: null, dialect: null, paradigms: null, maxCycles: 30 })
    expect(given).toMatchObject({ python: 'run', userAnswers: null, inputsFile: null, chatMessages: [] })
    expect(readCases(JSON.stringify([{ ...least, golden: 'g.json' }]))[0]?.python).toBe('replay')
  })

  test('[CONFORM-4] inputs by file, answers in the case', () => {
    const [given] = readCases(JSON.stringify([{ ...least, inputs: 'a/inputs.json', user_answers: ['yes', 2] }]))
    expect(given).toMatchObject({ inputsFile: 'a/inputs.json', userAnswers: ['yes', 2] })
    expect(given?.inputs.size).toBe(0)
    expect(readCases(JSON.stringify([{ ...least, user_answers: 'golden' }]))[0]?.userAnswers).toBeNull()
  })

  test('[CONFORM-4] a case without its repositories is refused', () => {
    expect(() => readCases('[{"name": "x"}]')).toThrow('A case lacks concepts.')
    expect(() => readCases('{"a": 1}')).toThrow('not a list')
  })
})

describe('a world without records', () => {
  const answersOf = (extra: object, golden: PyDict | null = null): ((effect: Effect) => unknown) => {
    const [given] = readCases(JSON.stringify([{ ...least, ...extra }]))
    if (given === undefined) throw new Error('There is no case.')
    const files = (): never => {
      throw new Error('No file is asked for.')
    }
    const world = new ScriptedWorld({ given, golden, baseDir: '/base', files, scripts: null })
    return effect => world.perform({ key: '1#1/1', effect } as Parameters<typeof world.perform>[0])
  }
  const question = (options: Record<string, Value> = {}): Effect => ({
    type: 'input.ask',
    interaction: { type: 'simple_text', prompt: 'Why?', options: PyDict.from(options) },
  })

  test('[CONFORM-5] models and people', () => {
    const ask = answersOf({})
    expect(ask({ type: 'model.generate', prompt: 'Hi', json: false })).toEqual({ ok: true, value: 'GENERATED[Hi]' })
    expect(ask(question())).toEqual({ ok: true, value: 'Default response' })
    expect(ask(question({ non_interactive_default: 'so' }))).toEqual({ ok: true, value: 'so' })
  })

  test('[CONFORM-5] answers that the case gives, each once', () => {
    const ask = answersOf({ user_answers: ['first'] })
    expect(ask(question())).toEqual({ ok: true, value: 'first' })
    expect(ask(question())).toMatchObject({ ok: false })
  })

  test('[CONFORM-5] a record that has ended is an error', () => {
    const ask = answersOf({}, PyDict.from({ llm_calls: [] }))
    expect(ask({ type: 'model.generate', prompt: 'Hi', json: false })).toMatchObject({ ok: false })
  })
})

describe('comparing', () => {
  const compare = (golden: Record<string, Value>, recorded: Record<string, Value>): string[] =>
    compareRecordings({
      golden: PyDict.from(golden),
      recorded: PyDict.from(recorded),
      baseDir: '/base',
      readFile: () => null,
      written: [],
    })
      .filter(({ ok }) => !ok)
      .map(({ level }) => level)

  const call = PyDict.from({ n: 1, prompt: 'a', response: 'b' })

  test('[CONFORM-3] what is not recorded', () => {
    expect(compare({}, { tracker: PyDict.from({ completion_order: ['1'] }), llm_calls: [call] })).toEqual([])
    expect(compare({ llm_calls: [PyDict.from({ response: 'b' })] }, { llm_calls: [call] })).toEqual([])
    expect(compare({ user_inputs: [PyDict.from({ answer: 1 })] }, { user_inputs: [new PyDict()] })).toEqual([])
  })

  test('[CONFORM-3] what is recorded', () => {
    expect(compare({ llm_calls: [PyDict.from({ prompt: 'x' })] }, { llm_calls: [call] })).toEqual(['prompts'])
    expect(compare({ llm_calls: [] }, { llm_calls: [call] })).toEqual(['prompts'])
    const tracker = PyDict.from({ completion_order: ['1'] })
    expect(compare({ tracker }, { tracker: PyDict.from({ completion_order: [] }) })).toContain('C completion order')
    expect(compare({ chat_reads: 2 }, { chat_reads: 1 })).toEqual(['people'])
  })
})
