import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { AppError } from '@slipway/protocol/errors'
import { expect, test } from 'vitest'
import { parseAgents } from './agents-file.ts'
import { createModels, type Models } from './models.ts'

const key = 'test-key-8fd2c1'

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

type Answer = (response: ServerResponse, attempt: number) => void

/** A provider on this machine that gives `answer` to every request and keeps what it was asked. */
async function provider(answer: Answer) {
  const received: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Record<string, unknown>
      received.push({ path: request.url ?? '', headers: request.headers, body })
      answer(response, received.length)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    address,
    received,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function send(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

const completion = {
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'test-model-2026',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 },
}

const message = {
  id: 'm1',
  type: 'message',
  role: 'assistant',
  model: 'claude-test-2026',
  content: [{ type: 'text', text: 'Hello' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 12, output_tokens: 3 },
}

/** Agent `a` of the provider at `address`, with retries that wait for milliseconds only. */
function modelsAt(address: string, lines: readonly string[] = [], options: { maxReplyBytes?: number } = {}): Models {
  const settings = {
    provider: 'openai-compatible',
    model: 'test-model',
    api_key_env: 'TEST_KEY',
    base_url: `${address}/v1`,
  }
  const text = [
    'default_agent: a',
    'agents:',
    '  a:',
    ...Object.entries(settings)
      .filter(([name]) => !lines.some(line => line.startsWith(`${name}:`)))
      .map(([name, value]) => `    ${name}: ${value}`),
    ...lines.map(line => `    ${line}`),
  ].join('\n')
  return createModels(parseAgents(text, 'agents.yaml'), {
    env: name => (name === 'TEST_KEY' ? key : undefined),
    retry: { firstDelayMs: 2, longestDelayMs: 4 },
    ...options,
  })
}

function ask(models: Models, request: { json?: boolean; signal?: AbortSignal; agent?: string } = {}) {
  return models.generate({
    agent: request.agent ?? 'a',
    prompt: 'Say hello.',
    json: request.json ?? false,
    signal: request.signal ?? new AbortController().signal,
  })
}

/** The failure as a caller sees it; whatever it is, the key is nowhere in it. */
async function failureOf(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    value => `no failure: ${JSON.stringify(value)}`,
    (reason: unknown) => reason,
  )
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(key)
  expect(error).toBeInstanceOf(AppError)
  return error as AppError
}

test('[MODEL-12] [MODEL-14] an OpenAI-compatible provider gets prompt and key, its answer comes back with tokens', async () => {
  await using other = await provider(response => send(response, 200, completion))
  expect(await ask(modelsAt(other.address))).toEqual({
    text: 'Hello',
    model: 'test-model-2026',
    provider: 'openai-compatible',
    inputTokens: 12,
    outputTokens: 3,
    attempts: 1,
  })
  const [request] = other.received
  expect(request?.path).toBe('/v1/chat/completions')
  expect(request?.headers.authorization).toBe(`Bearer ${key}`)
  expect(request?.body).toEqual({
    model: 'test-model',
    temperature: 0,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'Say hello.' },
    ],
  })
})

test('[MODEL-12] [MODEL-14] Anthropic gets prompt and key, its answer comes back with tokens', async () => {
  await using other = await provider(response => send(response, 200, message))
  expect(await ask(modelsAt(other.address, ['provider: anthropic', 'max_output_tokens: 500']))).toEqual({
    text: 'Hello',
    model: 'claude-test-2026',
    provider: 'anthropic',
    inputTokens: 12,
    outputTokens: 3,
    attempts: 1,
  })
  const [request] = other.received
  expect(request?.path).toBe('/v1/messages')
  expect(request?.headers['x-api-key']).toBe(key)
  expect(request?.body).toEqual({
    model: 'test-model',
    max_tokens: 500,
    temperature: 0,
    system: [{ type: 'text', text: 'You are a helpful assistant.' }],
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Say hello.' }] }],
  })
})

test('[MODEL-12] an agent may send no temperature and no key, and a provider may count no tokens', async () => {
  const { usage: _, ...uncounted } = completion
  await using other = await provider(response => send(response, 200, uncounted))
  const models = createModels(
    parseAgents(
      `default_agent: a\nagents: {a: {provider: ollama, model: m, base_url: "${other.address}/v1", temperature: null}}`,
      'agents.yaml',
    ),
  )
  expect(await ask(models)).toMatchObject({ text: 'Hello', provider: 'ollama', inputTokens: null, outputTokens: null })
  expect(other.received[0]?.headers.authorization).toBeUndefined()
  expect(other.received[0]?.body).not.toHaveProperty('temperature')
})

test('[MODEL-13] JSON mode is in the request only when JSON is wanted', async () => {
  await using other = await provider(response => send(response, 200, completion))
  await ask(modelsAt(other.address), { json: true })
  await ask(modelsAt(other.address), { json: false })
  expect(other.received[0]?.body).toMatchObject({
    response_format: { type: 'json_object' },
    messages: [{ content: 'You are a helpful assistant. Answer with a JSON object.' }, { content: 'Say hello.' }],
  })
  expect(other.received[1]?.body).not.toHaveProperty('response_format')
})

test('[MODEL-13] Anthropic, which has no JSON mode, is asked in the system text', async () => {
  await using other = await provider(response => send(response, 200, message))
  await ask(modelsAt(other.address, ['provider: anthropic']), { json: true })
  expect(other.received[0]?.body).toMatchObject({
    system: [{ text: 'You are a helpful assistant. Answer with one JSON object and nothing else.' }],
  })
})

test('[MODEL-15] [MODEL-16] a 429 with Retry-After is repeated and counted', async () => {
  await using other = await provider((response, attempt) =>
    attempt === 1
      ? send(response, 429, { error: { message: 'slow down' } }, { 'retry-after-ms': '5' })
      : send(response, 200, completion),
  )
  expect(await ask(modelsAt(other.address))).toMatchObject({ text: 'Hello', attempts: 2 })
})

test.each([
  ['120', 120_000],
  [new Date(Date.now() + 3_600_000).toUTCString(), expect.any(Number) as number],
])('[MODEL-16] a provider that wants a wait of %s is given up at once', async (header, retryAfterMs) => {
  await using other = await provider(response =>
    send(response, 429, { error: { message: 'quota' } }, { 'retry-after': header }),
  )
  const error = await failureOf(ask(modelsAt(other.address)))
  expect(error).toMatchObject({
    code: 'model.unavailable',
    retryable: true,
    details: { attempts: 1, status: 429, kind: 'limited', retryAfterMs, said: 'quota' },
  })
})

test.each([
  ['500s', 'broken', 500, (response: ServerResponse) => send(response, 500, { error: { message: 'oops' } })],
  ['a gateway page', 'broken', 502, (response: ServerResponse) => send(response, 502, '<h1>Bad gateway</h1>')],
  ['an answer that is no JSON', 'malformed', 200, (response: ServerResponse) => send(response, 200, '{"choices": [')],
  ['JSON that is no completion', 'malformed', 200, (response: ServerResponse) => send(response, 200, { hello: 1 })],
  ['an answer without choices', 'malformed', null, (r: ServerResponse) => send(r, 200, { ...completion, choices: [] })],
  ['a cut connection', 'unreachable', null, (response: ServerResponse) => response.destroy()],
])('[MODEL-15] %s are repeated to the limit', async (_, kind, status, answer) => {
  await using other = await provider(answer)
  const error = await failureOf(ask(modelsAt(other.address, ['max_retries: 2'])))
  expect(error).toMatchObject({ code: 'model.unavailable', retryable: true, details: { attempts: 3, kind, status } })
  expect(other.received).toHaveLength(3)
})

test('[MODEL-15] nobody at the address is a broken connection', async () => {
  const closed = await provider(() => undefined)
  await closed[Symbol.asyncDispose]()
  const error = await failureOf(ask(modelsAt(closed.address, ['max_retries: 1'])))
  expect(error).toMatchObject({
    code: 'model.unavailable',
    details: { attempts: 2, kind: 'unreachable', status: null },
  })
})

test('[MODEL-5] [MODEL-17] a refusal comes at once, with the status and without the key that the provider repeats', async () => {
  await using other = await provider(response =>
    send(response, 401, { error: { message: `Incorrect API key provided: ${key}.`, type: 'invalid_request_error' } }),
  )
  const error = await failureOf(ask(modelsAt(other.address)))
  expect(error).toMatchObject({
    code: 'model.refused',
    retryable: false,
    details: {
      agent: 'a',
      provider: 'openai-compatible',
      model: 'test-model',
      attempts: 1,
      status: 401,
      said: 'Incorrect API key provided: [key].',
    },
  })
  expect(error.message).toContain('status 401')
})

test('[MODEL-17] Anthropic refuses in its own form', async () => {
  await using other = await provider(response =>
    send(response, 400, { type: 'error', error: { type: 'invalid_request_error', message: 'prompt is too long' } }),
  )
  const error = await failureOf(ask(modelsAt(other.address, ['provider: anthropic'])))
  expect(error).toMatchObject({ code: 'model.refused', details: { status: 400, said: 'prompt is too long' } })
})

test.each(['openai-compatible', 'anthropic'])('[MODEL-17] %s follows no redirect with its key', async name => {
  await using thief = await provider(response => send(response, 200, completion))
  await using other = await provider(response => send(response, 307, '', { location: `${thief.address}/v1/x` }))
  const error = await failureOf(ask(modelsAt(other.address, [`provider: ${name}`])))
  expect(error).toMatchObject({ code: 'model.refused', details: { status: 307 } })
  expect(thief.received).toEqual([])
})

test('[MODEL-17] an answer that a filter emptied is a refusal', async () => {
  const filtered = {
    ...completion,
    choices: [{ index: 0, message: { role: 'assistant', content: null }, finish_reason: 'content_filter' }],
  }
  await using other = await provider(response => send(response, 200, filtered))
  expect(await failureOf(ask(modelsAt(other.address)))).toMatchObject({
    code: 'model.refused',
    details: { attempts: 1 },
  })
})

test('[MODEL-18] a provider that hangs is left after the time-out and not asked again', async () => {
  await using other = await provider(() => undefined)
  const error = await failureOf(ask(modelsAt(other.address, ['timeout_ms: 50'])))
  expect(error).toMatchObject({ code: 'model.timeout', retryable: true, details: { attempts: 1, timeoutMs: 50 } })
  expect(other.received).toHaveLength(1)
})

test('[MODEL-18] an answer that starts and never ends is left as well', async () => {
  await using other = await provider(response => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"id":')
  })
  expect(await failureOf(ask(modelsAt(other.address, ['timeout_ms: 50'])))).toMatchObject({ code: 'model.timeout' })
})

test('[MODEL-19] an abort under way rejects with its reason', async () => {
  const controller = new AbortController()
  const reason = new AppError('cancelled', 'The run was stopped')
  await using other = await provider(() => controller.abort(reason))
  expect(await failureOf(ask(modelsAt(other.address), { signal: controller.signal }))).toBe(reason)
})

test('[MODEL-19] an abort between attempts ends the wait, and no attempt follows', async () => {
  const controller = new AbortController()
  const reason = new AppError('cancelled', 'The run was stopped')
  await using other = await provider(response => {
    response.on('close', () => setTimeout(() => controller.abort(reason), 20))
    send(response, 503, { error: { message: 'busy' } }, { 'retry-after': '1' })
  })
  expect(await failureOf(ask(modelsAt(other.address), { signal: controller.signal }))).toBe(reason)
  await new Promise(resolve => setTimeout(resolve, 1200))
  expect(other.received).toHaveLength(1)
})

test('[MODEL-19] an aborted signal asks nobody', async () => {
  const reason = new AppError('cancelled', 'The run was stopped')
  await using other = await provider(response => send(response, 200, completion))
  expect(await failureOf(ask(modelsAt(other.address), { signal: AbortSignal.abort(reason) }))).toBe(reason)
  expect(other.received).toEqual([])
})

test('[MODEL-20] an answer larger than the limit is refused', async () => {
  const long = { ...completion, padding: 'x'.repeat(50_000) }
  await using other = await provider(response => send(response, 200, long))
  const error = await failureOf(ask(modelsAt(other.address, [], { maxReplyBytes: 10_000 })))
  expect(error).toMatchObject({ code: 'model.refused', details: { attempts: 1 } })
  expect(error.message).toContain('10000 bytes')
  expect(await ask(modelsAt(other.address, [], { maxReplyBytes: 100_000 }))).toMatchObject({ text: 'Hello' })
})

test('[MODEL-4] [MODEL-5] a missing key names its variable, and a listing only says whether it is there', async () => {
  const text = `
default_agent: claude
agents:
  claude: { provider: anthropic, model: claude-x, api_key_env: NOT_SET }
  local: { provider: ollama, model: m }
  set: { provider: openai, model: m, api_key_env: TEST_KEY }
`
  const environment = new Map([['TEST_KEY', key]])
  const models = createModels(parseAgents(text, 'agents.yaml'), {
    env: name => environment.get(name),
  })
  const error = await failureOf(ask(models, { agent: 'claude' }))
  expect(error).toMatchObject({ code: 'model.key_missing', details: { agent: 'claude', variable: 'NOT_SET' } })
  expect(error.message).toContain('NOT_SET')
  expect(models.agents()).toEqual([
    { name: 'claude', provider: 'anthropic', model: 'claude-x', key_present: false, is_default: true },
    { name: 'local', provider: 'ollama', model: 'm', key_present: null, is_default: false },
    { name: 'set', provider: 'openai', model: 'm', key_present: true, is_default: false },
    { name: 'demo', provider: 'demo', model: 'slipway-demo', key_present: null, is_default: false },
  ])
  environment.set('NOT_SET', key)
  expect(models.agents()[0]).toMatchObject({ key_present: true })
})

test('[MODEL-6] an unknown agent names the known ones', async () => {
  const error = await failureOf(ask(modelsAt('http://127.0.0.1:1'), { agent: 'b' }))
  expect(error).toMatchObject({ code: 'agent.unknown', message: expect.stringContaining('a, demo') as string })
})

test('[MODEL-3] [MODEL-21] the demo agent answers without key and network', async () => {
  const models = modelsAt('http://127.0.0.1:1')
  expect(models.has('demo')).toBe(true)
  expect(models.has('b')).toBe(false)
  expect(await ask(models, { agent: 'demo', json: true })).toMatchObject({
    text: expect.stringContaining('slipway demo model') as string,
    provider: 'demo',
    model: 'slipway-demo',
    attempts: 1,
  })
})
