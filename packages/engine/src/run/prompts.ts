import { leaves } from '#reference/access'
import { elementAction } from '#reference/combine'
import { SKIP, type Reference } from '#reference/reference'
import { decodeSign, encodeSign } from '#reference/sign'
import type { Effect, EffectOutcome } from './effects.ts'
import type { Item } from './program.ts'
import type { RunState } from './state.ts'

/** Puts a text in the place of the prompt that a step reads. */
export interface PromptReader {
  /** A concept's value as the step sees it. */
  readonly reference: (concept: number, reference: Reference | null) => Reference | null
  /** The outcome of an effect that reads the prompt; null for every other effect. */
  readonly answer: (effect: Effect) => EffectOutcome | null
}

const LOCATIONS: ReadonlySet<string> = new Set(['prompt_location', 'prompt'])
const SCRIPTS: ReadonlySet<string> = new Set(['script_location', 'generated_script_path'])

/**
 * A prompt is named by a sign in the function concept or among the values, and read from a file; then the file's text
 * is answered. Otherwise the function concept itself holds the instruction, or the bare name of its file.
 */
export function promptReader(state: RunState, item: Item): PromptReader | null {
  if (state.modifications.length === 0) return null
  const prompt = state.modifications.find(({ flowIndex }) => flowIndex === item.flowIndex)?.prompt ?? null
  if (prompt === null) return null
  const paths = new Set([item.fn, ...item.values].flatMap(concept => locationsIn(state.references[concept] ?? null)))
  const isInstruction = paths.size === 0
  if (isInstruction) paths.add(prompt)
  return {
    reference: (concept, reference) =>
      isInstruction && concept === item.fn && reference !== null ? withText(reference, prompt) : reference,
    answer: effect => answerFor(effect, { paths, prompt }),
  }
}

function locationsIn(reference: Reference | null): string[] {
  if (reference === null) return []
  return leaves(reference).flatMap(cell => {
    const sign = typeof cell === 'string' ? decodeSign(cell) : null
    return sign !== null && LOCATIONS.has(sign.norm ?? '') ? [sign.signifier] : []
  })
}

function withText(reference: Reference, text: string): Reference {
  return elementAction(cell => (typeof cell === 'string' && cell !== SKIP ? cellWith(cell, text) : cell), [reference])
}

function cellWith(cell: string, text: string): string {
  const sign = decodeSign(cell)
  if (sign === null) return text
  return SCRIPTS.has(sign.norm ?? '') ? cell : encodeSign(text, sign.norm, sign.id ?? '000')
}

function answerFor(
  effect: Effect,
  { paths, prompt }: { readonly paths: ReadonlySet<string>; readonly prompt: string },
): EffectOutcome | null {
  if (effect.type === 'file.read' && paths.has(effect.path)) return { ok: true, value: prompt }
  if (effect.type === 'file.exists' && paths.has(effect.path)) return { ok: true, value: true }
  return null
}
