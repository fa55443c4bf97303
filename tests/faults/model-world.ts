import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { sleep } from '@slipway/kit/abort'
import { parseJson } from '@slipway/kit/json'
import type { Random } from './random.ts'

/** Null never answers. */
export type Answerer = (prompt: string, json: boolean) => string | null

/** A prompt that reached the model, and between which of the marks that were set. */
export interface AskedPrompt {
  readonly slot: number
  readonly prompt: string
  readonly era: number
}

/**
 * Models behind an address that outlives every server. Each run is given a slot, an agent of its own, so that it is
 * known who asked.
 */
export interface ModelWorld extends AsyncDisposable {
  /** The `config/agents.yaml` that names the slots. */
  readonly agentsFile: string
  readonly asked: readonly AskedPrompt[]
  /** Prompts that were waiting for their answers at the same time, at most. */
  readonly mostAtOnce: number
  /** A new slot that `answer` answers. */
  takeSlot(answer: Answerer): number
  agentOf(slot: number): string
  /** Sets a mark: what is asked from now on was asked after it. Gives the number of the mark. */
  mark(): number
}

export interface WorldOptions {
  readonly slots: number
  readonly random: Random
  /** The shortest and the longest time that an answer takes. */
  readonly delayMs: readonly [number, number]
  /** How long a server waits for an answer. */
  readonly timeoutMs?: number | undefined
}

export async function openModelWorld({ slots, random, delayMs, timeoutMs }: WorldOptions): Promise<ModelWorld> {
  const answerers: Answerer[] = []
  const asked: AskedPrompt[] = []
  let era = 0
  let atOnce = 0
  let mostAtOnce = 0
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy())
  })
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const slot = Number(/^\/slots\/(\d+)\//.exec(request.url ?? '')?.[1])
    const { prompt, json } = readCall(await text(request))
    asked.push({ slot, prompt, era })
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    response.on('close', () => atOnce--)
    const answer = answerers[slot]?.(prompt, json) ?? null
    if (answer === null) return
    await sleep(random.between(...delayMs))
    response.setHeader('content-type', 'application/json')
    response.end(completion(answer))
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('A TCP server has no port')
  const agents = Array.from({ length: slots }, (_, slot) => [
    agentOf(slot),
    {
      provider: 'openai-compatible',
      base_url: `http://127.0.0.1:${address.port}/slots/${slot}/v1`,
      model: 'recorded',
      max_retries: 0,
      ...(timeoutMs !== undefined && { timeout_ms: timeoutMs }),
    },
  ])
  return {
    agentsFile: JSON.stringify({ agents: Object.fromEntries(agents) as unknown, default_agent: agentOf(0) }),
    asked,
    get mostAtOnce() {
      return mostAtOnce
    },
    takeSlot: answer => {
      if (answerers.length >= slots) throw new Error('All slots are taken.')
      return answerers.push(answer) - 1
    },
    agentOf,
    mark: () => ++era,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function agentOf(slot: number): string {
  return `slot-${slot}`
}

interface Call {
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly response_format?: { readonly type: string }
}

function readCall(body: string): { readonly prompt: string; readonly json: boolean } {
  const call = parseJson(body) as Call
  const prompt = call.messages.findLast(({ role }) => role === 'user')?.content ?? ''
  return { prompt, json: call.response_format?.type === 'json_object' }
}

function completion(content: string): string {
  const message = { role: 'assistant', content }
  return JSON.stringify({
    id: 'recorded',
    object: 'chat.completion',
    created: 0,
    model: 'recorded',
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  })
}
