import { fillerOf, type Json } from './answer.ts'
import { readRequest } from './request.ts'

export const demoNote = 'slipway demo model: extractive, no language model'

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
