import type { ModelProvider } from '../provider.ts'
import { callSdk, type SdkOptions } from './sdk-call.ts'

const home = 'https://api.anthropic.com/v1'

/** Anthropic's messages API. It has no JSON mode without a schema: the system text asks for JSON instead. */
export function anthropicProvider(options: SdkOptions): ModelProvider {
  return {
    name: 'anthropic',
    async generate(call) {
      const { createAnthropic } = await import('@ai-sdk/anthropic')
      const system = call.json ? `${call.system} Answer with one JSON object and nothing else.` : call.system
      return callSdk(
        { ...call, system, json: false },
        // Both are always given: the library would otherwise look for them in the environment by itself.
        fetch => createAnthropic({ apiKey: call.apiKey ?? '', baseURL: call.baseUrl ?? home, fetch })(call.model),
        options,
      )
    },
  }
}
