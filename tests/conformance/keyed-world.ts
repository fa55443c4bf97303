import { createHash } from 'node:crypto'
import type { ConformanceCase } from '@slipway/engine/conformance/cases'
import { canonicalText, normalText, normalValue, type NormalForm } from '@slipway/engine/conformance/normal-form'
import { substituted } from '@slipway/engine/conformance/scripted-world'
import type { Effect, EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { literalEval } from '@slipway/engine/value/literal-eval'
import { str } from '@slipway/engine/value/python-repr'
import { isList, PyDict, type Value } from '@slipway/engine/value/value'

export interface KeyedWorldOptions extends NormalForm {
  readonly given: ConformanceCase
  readonly golden: PyDict
  readonly files: (effect: FileEffect) => EffectOutcome
}

type FileEffect = Extract<Effect, { readonly type: 'file.read' | 'file.exists' | 'file.write' }>
type ScriptEffect = Extract<Effect, { readonly type: 'script.call' | 'script.execute' }>

/** Answers by what is asked instead of by when, so that calls may be made in any order. */
export class KeyedWorld {
  readonly #options: KeyedWorldOptions
  readonly #responses = new Map<string, Value[]>()
  readonly #results = new Map<string, Value[]>()
  #reads = 0
  #people = 0
  #writes = 0

  constructor(options: KeyedWorldOptions) {
    this.#options = options
    for (const call of calls(options.golden, 'llm_calls')) {
      remember(this.#responses, str(call.get('prompt') ?? null), call.get('response') ?? null)
    }
    for (const call of calls(options.golden, 'python_calls')) {
      const text = call.get('result_repr')
      const exact = typeof text === 'string' ? literalEval(text) : undefined
      const result = exact === undefined ? (call.get('result') ?? null) : exact
      const inputs = canonicalText(call.get('inputs') ?? null)
      remember(this.#results, `${str(call.get('script_sha256') ?? null)} ${inputs}`, result)
      remember(this.#results, inputs, result)
    }
  }

  perform({ effect }: EffectRequest): EffectOutcome {
    const { given, golden } = this.#options
    switch (effect.type) {
      case 'file.read':
      case 'file.exists':
      case 'file.write':
        return this.#options.files(effect)
      case 'model.generate':
        return answer(this.#responses.get(normalText(effect.prompt, this.#options)), 'the prompt')
      case 'script.call':
      case 'script.execute':
        return this.#answerScript(effect)
      case 'input.ask':
        return answer([calls(golden, 'user_inputs')[this.#people++]?.get('answer') ?? null], 'the question')
      case 'chat.read': {
        const content = given.chatMessages[this.#reads++] ?? null
        return { ok: true, value: PyDict.from({ role: 'user', content }) }
      }
      case 'chat.write':
        return { ok: true, value: substituted(given.chatWriteResult, { '<n>': String(++this.#writes) }) }
      case 'chat.close':
        return { ok: true, value: null }
      case 'canvas.execute':
        return { ok: true, value: substituted(given.canvasResult, { '<command_type>': str(effect.command) }) }
    }
  }

  #answerScript(effect: ScriptEffect): EffectOutcome {
    const inputs = effect.type === 'script.call' ? effect.args : effect.globals
    const text = canonicalText(normalValue(inputs, this.#options))
    const sha = createHash('sha256').update(effect.code).digest('hex')
    return answer(this.#results.get(`${sha} ${text}`) ?? this.#results.get(text), effect.path)
  }
}

function calls(golden: PyDict, key: string): PyDict[] {
  const found = golden.get(key)
  return isList(found) ? found.filter(call => call instanceof PyDict) : []
}

function remember(map: Map<string, Value[]>, key: string, value: Value): void {
  map.set(key, [...(map.get(key) ?? []), value])
}

function answer(values: readonly Value[] | undefined, what: string): EffectOutcome {
  const [value] = values ?? []
  if (value !== undefined) return { ok: true, value }
  return { ok: false, error: { name: 'LookupError', message: `Nothing is recorded for ${what}.` } }
}
