import { unreachable } from '@slipway/kit/unreachable'
import { parseJson } from '@slipway/kit/json'
import type { Effect, EffectError, EffectOutcome } from '@slipway/engine/run/effects'
import { decodeValue, encodeValue, toPlain } from '@slipway/engine/value/codec'

const valuePrefix = '{"value":'

/** An outcome as the journal keeps it: nothing of the value is lost. */
export function encodeOutcome(outcome: EffectOutcome): string {
  return outcome.ok ? `${valuePrefix}${encodeValue(outcome.value)}}` : JSON.stringify({ error: outcome.error })
}

/** Reads what `encodeOutcome` wrote. */
export function decodeOutcome(text: string): EffectOutcome {
  if (text.startsWith(valuePrefix)) return { ok: true, value: decodeValue(text.slice(valuePrefix.length, -1)) }
  return { ok: false, error: (parseJson(text) as { error: EffectError }).error }
}

/** What a call was asked, as the trace shows it: plain JSON text. */
export function describeInputs(effect: Effect): string {
  return JSON.stringify(inputsOf(effect))
}

function inputsOf(effect: Effect): Record<string, unknown> {
  switch (effect.type) {
    case 'model.generate':
      return { prompt: effect.prompt, json: effect.json }
    case 'script.call':
      return { path: effect.path, function: effect.functionName, args: toPlain(effect.args) }
    case 'script.execute':
      return { path: effect.path, globals: toPlain(effect.globals) }
    case 'file.read':
    case 'file.exists':
      return { path: effect.path }
    case 'file.write':
      return { path: effect.path, content: effect.content }
    case 'input.ask':
      return { ...effect.interaction, options: toPlain(effect.interaction.options) }
    case 'chat.read':
    case 'chat.close':
      return {}
    case 'chat.write':
      return { message: toPlain(effect.message) }
    case 'canvas.execute':
      return { command: toPlain(effect.command), params: toPlain(effect.params) }
    default:
      return unreachable(effect)
  }
}
