import type { ModelProvider } from '../provider.ts'

/**
 * The model that is always there: no key, no network, the same answer to the same prompt. It picks sentences, counts
 * words and fills the JSON that a prompt asks for, for any prompt; it understands nothing. Answers say what they come
 * from, except where a single word or a list was asked for: there the reply's model name does.
 */
export function demoProvider(): ModelProvider {
  return {
    name: 'demo',
    async generate(call) {
      const { demoAnswer } = await import('./demo/demo-answer.ts')
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
