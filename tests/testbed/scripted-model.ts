import type { Models } from '@slipway/server/features/models/models'

export interface ScriptedModel {
  readonly models: Models
  /** Every prompt that was asked, in order. */
  readonly prompts: string[]
  /** Lets the answers that wait, and all later ones, through. */
  readonly release: () => void
}

/** A model that answers each prompt with `{"result": …}`; with `held` only once it is released. */
export function scriptedModel(
  answer: (prompt: string, call: number) => unknown,
  { held = false }: { readonly held?: boolean } = {},
): ScriptedModel {
  const prompts: string[] = []
  let release = (): void => undefined
  const gate = held ? new Promise<void>(resolve => (release = resolve)) : Promise.resolve()
  const generate: Models['generate'] = async ({ prompt, signal }) => {
    const call = prompts.push(prompt)
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    })
    aborted.catch(() => undefined)
    await Promise.race([gate, aborted])
    const text = JSON.stringify({ result: answer(prompt, call) })
    return { text, model: 'scripted', provider: 'test', inputTokens: 10, outputTokens: 5, attempts: 1 }
  }
  return {
    models: { defaultAgent: 'demo', has: () => true, agents: () => [], generate },
    prompts,
    release: () => release(),
  }
}
