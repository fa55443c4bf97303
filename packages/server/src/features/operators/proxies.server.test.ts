import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseJson } from '@slipway/kit/json'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '#db/database'
import { readRetryAfter } from './adapters/guarded-http.ts'
import { parseProxies } from './operators.ts'
import { acme, bytes, jobSchema, operatorBed, resultSchema, type OperatorBed } from './testing.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

interface Service {
  readonly origin: string
  readonly host: string
  readonly seen: Seen[]
}

type Answer = (request: Seen, response: ServerResponse) => void

const answerJson =
  (value: unknown, status = 200): Answer =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

/** Somebody's HTTP service, gone with the test. */
async function service(answer: Answer): Promise<Service> {
  const seen: Seen[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const text = Buffer.concat(parts).toString()
      const { method = '', url = '', headers } = request
      const one = { method, url, headers, body: text === '' ? null : parseJson(text) }
      seen.push(one)
      answer(one, response)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { origin: `http://${host}`, host, seen }
}

const entry = (origin: string, further = ''): string => `
  - id: genesis-distiller-1
    organisation: acme
    type: genesis
    topic: genesis.jobs
    schemas: [${jobSchema}]
    result_schema: ${resultSchema}
    url: ${origin}/distill
    ${further.trim().replaceAll('\n', '\n    ')}
`

async function bedWith(
  { host, origin }: Pick<Service, 'host' | 'origin'>,
  further = '',
  env: Record<string, string> = {},
): Promise<OperatorBed> {
  const file = `allow: { hosts: ["${host}"] }\nproxies:${entry(origin, further)}`
  const proxies = parseProxies(file, 'operators.yaml')
  const bed = operatorBed(await openDatabase(':memory:'), { proxies, env: name => env[name] })
  await bed.operators.openProxies()
  return bed
}

async function submit({ spine }: OperatorBed, payload: unknown, maxAttempts = 1): Promise<string> {
  const job = { topic: 'genesis.jobs', schema: jobSchema, payload: bytes(payload), maxAttempts }
  return (await spine.jobs.publish('acme', job)).jobId
}

async function ended(
  { spine }: OperatorBed,
  jobId: string,
): Promise<{ state: string; reason: string | null; result: unknown }> {
  const signal = AbortSignal.timeout(20_000)
  for await (const delivery of spine.messages.followJob({ organisation: 'acme', jobId, after: 0, signal })) {
    if (delivery.type !== 'message' || delivery.message.type !== 'job_result') continue
    const { state, reason } = await spine.jobs.get('acme', jobId)
    return { state, reason, result: parseJson(new TextDecoder().decode(delivery.message.payload)) }
  }
  throw new Error('There was no result.')
}

const mappings = `
version: "2"
max_parallel_jobs: 4
body: '{ "imageData": imageData, "width": width, "height": height, "assetType": assetType ? assetType : "NoisyCheckerboard" }'
result: '{ "job_id": $job.id, "seed": $ }'
headers: { x-caller: slipway }
auth: { variable: DISTILLER_TOKEN }
`

describe('proxies', () => {
  test('[OPERATOR-18] [OPERATOR-19] makes the request of a job and the result of the answer', async () => {
    const distiller = await service(answerJson({ rule: 90 }))
    const bed = await bedWith(distiller, mappings, { DISTILLER_TOKEN: 'hidden-secret' })
    const jobId = await submit(bed, { job_id: 'mine', imageData: 'data:,x', width: 2, height: 3 })
    expect(await ended(bed, jobId)).toMatchObject({ state: 'done', result: { job_id: jobId, seed: { rule: 90 } } })
    expect(distiller.seen).toMatchObject([
      {
        method: 'POST',
        url: '/distill',
        headers: {
          'idempotency-key': jobId,
          authorization: 'Bearer hidden-secret',
          'x-caller': 'slipway',
          'content-type': 'application/json',
        },
        body: { imageData: 'data:,x', width: 2, height: 3, assetType: 'NoisyCheckerboard' },
      },
    ])
    const shown = JSON.stringify([
      await bed.operators.get(acme, 'genesis-distiller-1'),
      await bed.spine.jobs.get('acme', jobId),
    ])
    expect(shown).not.toContain('hidden-secret')
    expect(await bed.operators.list(acme)).toMatchObject([
      { kind: 'proxy', status: 'online', max_parallel_jobs: 4, version: '2' },
    ])
  })

  test('[OPERATOR-18] hands payload and answer over as they are without mappings, and parameters in the address', async () => {
    const echo = await service((request, response) =>
      answerJson({ got: request.body, url: request.url })(request, response),
    )
    const plain = await bedWith(echo)
    expect(await ended(plain, await submit(plain, { n: 1 }))).toMatchObject({
      result: { got: { n: 1 }, url: '/distill' },
    })
    const asked = await bedWith(echo, `method: GET\nquery: '{"q": text, "n": 3}'`)
    expect(await ended(asked, await submit(asked, { text: 'a b&c' }))).toMatchObject({
      result: { got: null, url: '/distill?q=a+b%26c&n=3' },
    })
  })

  test.each([
    [
      'a host that is not allowed',
      'proxies:' + entry('http://example.org'),
      /example.org does not stand in allow.hosts/,
    ],
    [
      'an expression that is none',
      'allow: {hosts: [a.org]}\nproxies:' + entry('http://a.org', "body: '{'"),
      /body: .*no JSONata/,
    ],
    ['a name that nobody knows', 'allow: {hosts: [a.org]}\nproxies:' + entry('http://a.org', 'retires: 3'), /retires/],
    ['two of one id', 'allow: {hosts: [a.org]}\nproxies:' + entry('http://a.org') + entry('http://a.org'), /is taken/],
    ['a password in the address', 'allow: {hosts: [a.org]}\nproxies:' + entry('http://u:p@a.org'), /user name/],
    [
      'a header of the server',
      'allow: {hosts: [a.org]}\nproxies:' + entry('http://a.org', 'headers: {Host: b.org}'),
      /Host/,
    ],
    ['what is no YAML', 'proxies: [', /operators.yaml/],
  ])('[OPERATOR-18] refuses %s', (_what, text, message) => {
    expect(() => parseProxies(text, 'operators.yaml')).toThrow(message)
  })

  test('[OPERATOR-19] refuses to start without the value of a variable', async () => {
    await expect(bedWith({ host: 'a.org', origin: 'http://a.org' }, mappings)).rejects.toThrow(/DISTILLER_TOKEN/)
  })

  test.each([
    ['400', answerJson({ at: 'http://inner' }, 400), 'dead', 1, /status 400/],
    [
      'a redirect',
      (_request, response) => void response.writeHead(302, { location: '/x' }).end(),
      'dead',
      1,
      /redirects/,
    ],
    ['429', answerJson({}, 429), 'delayed', 1, /status 429/],
    ['503', answerJson({}, 503), 'delayed', 1, /status 503/],
    ['a broken connection', (_request, response) => void response.destroy(), 'delayed', 1, /cannot be reached/],
    ['silence', () => undefined, 'delayed', 1, /did not answer in 200 ms/],
  ])('[OPERATOR-20] [OPERATOR-22] after %s', async (_what, answer, state, calls, reason) => {
    const failing = await service(answer)
    const bed = await bedWith(failing, 'timeout_ms: 200\nfailures: 100')
    const jobId = await submit(bed, {}, 2)
    await expect.poll(async () => (await bed.spine.jobs.get('acme', jobId)).state, { timeout: 10_000 }).toBe(state)
    const job = await bed.spine.jobs.get('acme', jobId)
    expect(job.reason).toMatch(reason)
    expect(job.reason).not.toMatch(/127\.0\.0\.1|inner/)
    expect(failing.seen).toHaveLength(calls)
  })

  test.each([
    ['seconds', 429, '120', 119, 121],
    ['a date', 503, 'in two minutes', 115, 121],
    ['more than is allowed', 503, '86400', 199, 201],
    ['a date that has passed', 503, 'Sun, 06 Nov 1994 08:49:37 GMT', 0, 61],
    ['nonsense', 429, '-1', 0, 61],
    ['something else than 429 and 503', 500, '120', 0, 61],
  ])('[OPERATOR-30] waits as `Retry-After` says: %s', async (_what, status, header, least, most) => {
    const date = (): string => new Date(Date.now() + 120_000).toUTCString()
    const busy = await service((_request, response) => {
      response.writeHead(status, { 'retry-after': header === 'in two minutes' ? date() : header }).end()
    })
    const bed = await bedWith(busy, 'longest_wait_ms: 200000\nfailures: 100')
    const jobId = await submit(bed, {}, 2)
    await expect.poll(async () => (await bed.spine.jobs.get('acme', jobId)).state, { timeout: 10_000 }).toBe('delayed')
    const { runAt } = await bed.spine.jobs.get('acme', jobId)
    const waitSeconds = (runAt - bed.clock.time) / 1000
    expect(waitSeconds).toBeGreaterThanOrEqual(least)
    expect(waitSeconds).toBeLessThanOrEqual(most)
  })

  test('[OPERATOR-30] reads every form of the date', () => {
    const now = Date.UTC(1994, 10, 6, 8, 49, 7)
    for (const text of [
      'Sun, 06 Nov 1994 08:49:37 GMT',
      'Sunday, 06-Nov-94 08:49:37 GMT',
      'Sun Nov  6 08:49:37 1994',
      ' 30 ',
    ])
      expect(readRetryAfter(text, now)).toBe(30_000)
    for (const text of ['', '1.5', '1e3', 'tomorrow', '2026-01-01', undefined])
      expect(readRetryAfter(text, now)).toBeNull()
  })

  test('[OPERATOR-20] a service that is not there is a failure that may be repeated', async () => {
    const bed = await bedWith({ host: '127.0.0.1:9', origin: 'http://127.0.0.1:9' }, 'failures: 100')
    const jobId = await submit(bed, {}, 2)
    await expect.poll(async () => (await bed.spine.jobs.get('acme', jobId)).state).toBe('delayed')
    expect((await bed.spine.jobs.get('acme', jobId)).reason).toBe('The service cannot be reached (ECONNREFUSED).')
  })

  test('[OPERATOR-21] a name of the list that stands for a private address is not called', async () => {
    const inner = await service(answerJson({}))
    const port = new URL(inner.origin).port
    const bed = await bedWith({ host: `localhost:${port}`, origin: `http://localhost:${port}` })
    expect(await ended(bed, await submit(bed, {}))).toMatchObject({
      state: 'dead',
      reason: 'The name of the service stands for a private address.',
    })
    expect(inner.seen).toEqual([])
  })

  test('[OPERATOR-22] an answer that is too long or not of the schema ends the job', async () => {
    const large = await service(answerJson({ text: 'x'.repeat(5_000) }))
    const bounded = await bedWith(large, 'max_response_bytes: 1000')
    expect(await ended(bounded, await submit(bounded, {}))).toMatchObject({
      state: 'dead',
      reason: /1000 bytes/,
    })
    const odd = await service(answerJson({ seed: 'none' }))
    const checked = await bedWith(odd)
    await checked.spine.schemas.register('acme', resultSchema, { properties: { seed: { type: 'number' } } })
    expect(await ended(checked, await submit(checked, {}, 3))).toMatchObject({
      state: 'dead',
      reason: /refused/,
    })
    expect(odd.seen).toHaveLength(1)
  })

  test('[OPERATOR-23] takes no jobs while its health check fails, and takes them up again', async () => {
    let isWell = true
    const moody = await service((request, response) =>
      request.url === '/health'
        ? answerJson({}, isWell ? 200 : 503)(request, response)
        : answerJson({ ok: 1 })(request, response),
    )
    const bed = await bedWith(moody, `failures: 2\nhealth: { url: "${moody.origin}/health", every_ms: 100 }`)
    expect(await ended(bed, await submit(bed, {}))).toMatchObject({ state: 'done' })
    isWell = false
    const status = async (): Promise<unknown> => (await bed.operators.list(acme))[0]?.status
    await expect.poll(status, { timeout: 10_000 }).toBe('failing')
    const waiting = await submit(bed, {})
    isWell = true
    expect(await ended(bed, waiting)).toMatchObject({ state: 'done' })
    expect(await status()).toBe('online')
    const { history } = await bed.operators.get(acme, 'genesis-distiller-1')
    expect(history.map(({ event }) => event)).toEqual(['healthy', 'failing', 'registered'])
  })

  test('[OPERATOR-23] without a health check the next job finds out', async () => {
    let failures = 0
    const moody = await service((request, response) =>
      failures++ < 2 ? answerJson({}, 500)(request, response) : answerJson({ ok: 1 })(request, response),
    )
    const bed = await bedWith(moody, 'failures: 2\nretry_after_ms: 300\nmax_parallel_jobs: 1')
    await submit(bed, {})
    await submit(bed, {})
    await expect.poll(async () => (await bed.operators.list(acme))[0]?.status, { timeout: 10_000 }).toBe('failing')
    const next = await submit(bed, {})
    expect(moody.seen).toHaveLength(2)
    expect(await ended(bed, next)).toMatchObject({ state: 'done' })
  })

  test('[OPERATOR-24] ends the request of a job that is cancelled', async () => {
    const gone = Promise.withResolvers<void>()
    const slow = await service((_request, response) => void response.on('close', gone.resolve))
    const bed = await bedWith(slow)
    const jobId = await submit(bed, {})
    await expect.poll(() => slow.seen.length).toBe(1)
    await bed.spine.jobs.cancel('acme', jobId)
    await gone.promise
    expect(await ended(bed, jobId)).toMatchObject({ state: 'cancelled' })
  })
})
