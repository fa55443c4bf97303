import type { ModelProvider } from '../provider.ts'
import { fillerOf, type Json } from './demo/answer.ts'
import { readRequest } from './demo/request.ts'

export const demoNote = 'slipway demo model: extractive, no language model'

/**
 * The model that is always there: no key, no network, the same answer to the same prompt. It picks sentences, counts
 * words and fills the JSON that a prompt asks for, for any prompt; it understands nothing. Answers say what they come
 * from, except where a single word or a list was asked for: there the reply's model name does.
 */
export function demoProvider(): ModelProvider {
  return {
    name: 'demo',
    // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous, this adapter is not
    async generate(call) {
      call.signal.throwIfAborted()
      return {
        text: demoAnswer(call.prompt, { json: call.json }),
        model: call.model,
        inputTokens: null,
        outputTokens: null,
      }
    },
  }
}

/** The demo model's answer, as text; with `json` always JSON. */
export function demoAnswer(prompt: string, { json }: { readonly json: boolean }): string {
  const request = readRequest(prompt, { json })
  const filler = fillerOf(request)
  if (request.shape !== null) return JSON.stringify(marked(filler.fill(request.shape, '')), null, 2)
  return filler.bareWord() ?? `[${demoNote}]\n\n${filler.summary(5)}`
}

function marked(answer: Json): Json {
  if (answer === null || typeof answer !== 'object' || isList(answer)) return answer
  return { ...answer, ['note' in answer ? 'model_note' : 'note']: demoNote }
}

function isList(answer: Json): answer is readonly Json[] {
  return Array.isArray(answer)
}
