import type { Effect, EffectOutcome, EffectRequest } from '#run/effects'
import { literalEval } from '#value/literal-eval'
import { str } from '#value/python-repr'
import { isList, PyDict, type Value } from '#value/value'
import type { ConformanceCase } from './cases.ts'
import { normalText, type NormalForm } from './normal-form.ts'
import type { World } from './recording.ts'

type FileEffect = Extract<Effect, { readonly type: 'file.read' | 'file.exists' | 'file.write' }>
type ScriptEffect = Extract<Effect, { readonly type: 'script.call' | 'script.execute' }>

export interface WorldOptions extends NormalForm {
  readonly given: ConformanceCase
  /** The recorded result whose answers are given again; null when there is none. */
  readonly golden: PyDict | null
  readonly files: (effect: FileEffect) => EffectOutcome
  /** Runs scripts for real; null answers them from the recorded result. */
  readonly scripts: ((effect: ScriptEffect) => Promise<EffectOutcome>) | null
}

/**
 * Files for real, everything else from what was recorded. Where nothing was recorded at all, models and people answer
 * as the reference engine has them do when none is configured.
 */
export class ScriptedWorld implements World {
  /** Prompts that were not the recorded ones; the answer was given all the same. */
  readonly unexpectedPrompts: string[] = []
  readonly #options: WorldOptions
  readonly #asked = { models: 0, scripts: 0, people: 0, reads: 0, writes: 0 }

  constructor(options: WorldOptions) {
    this.#options = options
  }

  perform({ effect }: EffectRequest): EffectOutcome | Promise<EffectOutcome> {
    switch (effect.type) {
      case 'file.read':
      case 'file.exists':
      case 'file.write':
        return this.#options.files(effect)
      case 'model.generate':
        return this.#answerModel(effect.prompt)
      case 'script.call':
      case 'script.execute':
        return this.#options.scripts ? this.#options.scripts(effect) : this.#answerScript()
      case 'input.ask':
        return this.#answerQuestion(effect.interaction.options)
      case 'chat.read':
        return this.#readChat()
      case 'chat.write':
        return ok(substituted(this.#options.given.chatWriteResult, { '<n>': String(++this.#asked.writes) }))
      case 'chat.close':
        return ok(PyDict.from({ closed: true }))
      case 'canvas.execute':
        return ok(substituted(this.#options.given.canvasResult, { '<command_type>': str(effect.command) }))
    }
  }

  #answerModel(prompt: string): EffectOutcome {
    const place = this.#asked.models++
    const expected = this.#recorded('llm_calls', place)?.get('prompt')
    if (typeof expected === 'string' && normalText(prompt, this.#options) !== expected) {
      this.unexpectedPrompts.push(prompt)
    }
    if (this.#options.golden === null) return ok(`GENERATED[${prompt}]`)
    return this.#answer('llm_calls', place, 'response')
  }

  #answerQuestion(options: PyDict): EffectOutcome {
    const place = this.#asked.people++
    const { userAnswers } = this.#options.given
    if (userAnswers !== null)
      return place < userAnswers.length ? ok(userAnswers[place] ?? null) : missing('user_answers')
    if (this.#options.golden === null) return ok(options.get('non_interactive_default') ?? 'Default response')
    return this.#answer('user_inputs', place, 'answer')
  }

  #answerScript(): EffectOutcome {
    const call = this.#recorded('python_calls', this.#asked.scripts++)
    if (call === undefined) return missing('python_calls')
    const text = call.get('result_repr')
    // What Python wrote is exact about ints, floats, tuples and None; not everything can be read back from it.
    const exact = typeof text === 'string' ? literalEval(text) : undefined
    return ok(exact === undefined ? (call.get('result') ?? null) : exact)
  }

  #readChat(): EffectOutcome {
    const content = this.#options.given.chatMessages[this.#asked.reads++]
    return content === undefined ? missing('chat_messages') : ok(PyDict.from({ role: 'user', content }))
  }

  #answer(list: string, place: number, field: string): EffectOutcome {
    const answer = this.#recorded(list, place)?.get(field)
    return answer === undefined ? missing(list) : ok(answer)
  }

  #recorded(list: string, place: number): PyDict | undefined {
    const calls = this.#options.golden?.get(list)
    const call = isList(calls) ? calls[place] : undefined
    return call instanceof PyDict ? call : undefined
  }
}

function ok(value: Value): EffectOutcome {
  return { ok: true, value }
}

function missing(list: string): EffectOutcome {
  return { ok: false, error: { name: 'RuntimeError', message: `Nothing more is recorded in ${list}.` } }
}

/** A value with marks in its texts replaced. */
export function substituted(value: Value, texts: Readonly<Record<string, string>>): Value {
  if (typeof value === 'string') {
    return Object.entries(texts).reduce((text, [mark, replacement]) => text.replaceAll(mark, replacement), value)
  }
  if (isList(value)) return value.map(item => substituted(item, texts))
  if (!(value instanceof PyDict)) return value
  return PyDict.of([...value.entries()].map(([key, item]) => [key, substituted(item, texts)] as const))
}
