import type { ModelProvider } from '../provider.ts'
import { callSdk, type SdkOptions } from './sdk-call.ts'

/**
 * Any API with OpenAI's `/chat/completions`: OpenAI, DashScope, Ollama, vLLM and others, told apart by the call's base
 * URL. Such APIs refuse JSON mode unless the messages speak of JSON, so the system text does where the prompt does not.
 */
export function openaiCompatibleProvider(options: SdkOptions): ModelProvider {
  return {
    name: 'openai-compatible',
    async generate(call) {
      // Loaded by the first call: a server that makes none starts faster and stays smaller.
      const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible')
      const silent = call.json && !/json/i.test(call.prompt)
      const system = silent ? `${call.system} Answer with a JSON object.` : call.system
      return callSdk(
        { ...call, system },
        fetch =>
          createOpenAICompatible({
            name: 'provider',
            baseURL: call.baseUrl ?? '',
            fetch,
            ...(call.apiKey === null ? {} : { apiKey: call.apiKey }),
          }).chatModel(call.model),
        options,
      )
    },
  }
}
