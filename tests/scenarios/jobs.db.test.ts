import { Buffer } from 'node:buffer'
import { api } from '@slipway/protocol/api'
import { expect, test } from 'vitest'
import { bytes, onServers, type JobBed } from '../testbed/job-bed.ts'
import { echoPlan, personPlan } from '../testbed/small-plans.ts'

const schema = 'arqonbus.genesis.job.v1'
const results = 'arqonbus.genesis.result.v1'

/** A policy's module: memory of one page, and a `policy_check` that gives 1. */
const refusesAll =
  '0061736d0100000001070160027f7f017f030201000504010101010719' +
  '02066d656d6f727902000c706f6c6963795f636865636b00000a0601040041010b'

const soon = { timeout: 20_000 }

function refOf(job: { readonly id: string; readonly fence: number }) {
  return { jobId: job.id, fence: job.fence, organisation: null }
}

async function kill(bed: JobBed, jobId: string, type = 'genesis'): Promise<void> {
  const job = await bed.lease(type)
  expect(job.id).toBe(jobId)
  await bed.spine.jobs.nack(refOf(job), { reason: 'No such gene.', isRetryable: false })
}

onServers('submitting', open => {
  test('[JOBS-1] [JOBS-6] [JOBS-9] a job is taken, worked on and answered', async () => {
    await using bed = await open()
    const { jobs } = bed.client
    const answer = await bed.post('/v1/jobs', { type: 'genesis', payload: { seed: 1 } })
    expect(answer).toMatchObject({ status: 202, json: { jobId: expect.any(String) as string } })
    const jobId = String(answer.json['jobId'])
    expect(await jobs.get(jobId)).toMatchObject({
      type: 'genesis',
      status: 'queued',
      state: 'ready',
      attempts: 0,
      schema,
    })
    await expect(jobs.result(jobId)).rejects.toMatchObject({ code: 'job.not_finished' })
    const job = await bed.lease('genesis')
    expect({ topic: job.topic, payload: Buffer.from(job.payload).toString() }).toEqual({
      topic: 'genesis.jobs',
      payload: '{"seed":1}',
    })
    await bed.spine.jobs.heartbeat(refOf(job), { progress: '{"percent":40}', lines: ['begun', 'half'] })
    expect(await jobs.get(jobId)).toMatchObject({
      status: 'running',
      attempts: 1,
      operator: 'worker',
      progress: { percent: 40 },
    })
    await bed.spine.jobs.ack(refOf(job), { schema: results, payload: bytes({ genes: [1, 2] }) })
    const result = { schema: results, payload: { genes: [1, 2] } }
    expect(await jobs.get(jobId)).toMatchObject({ status: 'succeeded', state: 'done', error: null, result })
    expect(await jobs.result(jobId)).toEqual({ jobId, status: 'succeeded', error: null, ...result })
    expect(await jobs.payload(jobId)).toEqual({ schema, payload: { seed: 1 } })
    expect(await jobs.attempts(jobId)).toMatchObject([{ n: 1, operator: 'worker', outcome: 'done' }])
    const first = await jobs.logs(jobId, { limit: 1 })
    expect(first).toMatchObject({ items: [{ n: 1, attempt: 1, text: 'begun' }], next: '1' })
    expect(await jobs.logs(jobId, { after: 1 })).toMatchObject({ items: [{ n: 2, text: 'half' }], next: null })
  })

  test('[JOBS-23] what a policy refuses is neither submitted nor put in a schedule', async () => {
    await using bed = await open()
    const module = Buffer.from(refusesAll, 'hex').toString('base64')
    await bed.client.call(api.putPolicy, { params: { name: 'none' }, body: { topics: 'genesis.jobs', module } })
    const job = { type: 'genesis', payload: { seed: 1 } }
    expect(await bed.post('/v1/jobs', job)).toMatchObject({ status: 403, json: { error: { code: 'policy.denied' } } })
    const { jobs, schedules } = bed.client
    await expect(schedules.put('daily', { cron: '@daily', job })).rejects.toMatchObject({ code: 'policy.denied' })
    expect([(await jobs.list()).items, await schedules.list()]).toEqual([[], []])
    await jobs.submit('physics', { payload: {}, schema })
  })

  test('[JOBS-1] what is no job is refused, and nothing is kept', async () => {
    await using bed = await open()
    const bad = [
      { type: 'system.control' },
      { type: 'has space' },
      { type: 'Genesis.1-a', schema: 'none' },
      { type: 'genesis', payload: 1, payloadBase64: 'AA==' },
      { type: 'genesis', payloadBase64: 'not base64!' },
      { type: 'genesis', priority: 101 },
      { type: '9lives' },
    ]
    for (const body of bad)
      expect(await bed.post('/v1/jobs', body)).toMatchObject({
        status: 400,
        json: { error: { code: 'input.invalid' } },
      })
    const deep = `{"type":"genesis","payload":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    expect((await bed.post('/v1/jobs', deep)).json).toMatchObject({ error: { code: 'input.invalid' } })
    expect((await bed.client.jobs.list()).items).toEqual([])
  })

  test('[JOBS-2] an idempotency key makes one job of two requests', async () => {
    await using bed = await open()
    const body = { type: 'genesis', payload: { a: 1 }, deadline: '2999-01-01T00:00:00Z', delaySeconds: 60 }
    const first = await bed.post('/v1/jobs', { ...body, idempotencyKey: 'k' })
    const second = await bed.post('/v1/jobs', body, { 'idempotency-key': 'k' })
    expect(second.json).toEqual(first.json)
    const other = await bed.post('/v1/jobs', { ...body, payload: { a: 2 } }, { 'idempotency-key': 'k' })
    expect(other).toMatchObject({ status: 409, json: { error: { code: 'job.conflict' } } })
    const otherType = await bed.post('/v1/jobs', { ...body, type: 'nvm' }, { 'idempotency-key': 'k' })
    expect(otherType.json).not.toEqual(first.json)
    const many = Array.from({ length: 8 }, () => bed.post('/v1/jobs', { type: 'many' }, { 'idempotency-key': 'm' }))
    expect(new Set((await Promise.all(many)).map(({ text }) => text)).size).toBe(1)
  })

  test('[JOBS-3] payloads arrive as they were written', async () => {
    await using bed = await open()
    const json = '{"b":1.0,"a":[12345678901234567890,-0,1e400],"__proto__":{"x":"\\u00fc"}}'
    const answer = await bed.post('/v1/jobs', `{"type":"genesis","payload": ${json} }`)
    const job = await bed.lease('genesis')
    expect(Buffer.from(job.payload).toString()).toBe(json.replace('\\u00fc', 'ü'))
    const shown = await fetch(`${bed.server.url}/v1/jobs/${String(answer.json['jobId'])}/payload`)
    expect(await shown.text()).toContain(json.replace('\\u00fc', 'ü'))
    const raw = Buffer.from([0xff, 0, 1])
    const own = 'arqonbus.genesis.raw.v2'
    const { jobId } = await bed.client.jobs.submit('raw', { payloadBase64: raw.toString('base64'), schema: own })
    const leased = await bed.lease('raw')
    expect({ bytes: Buffer.from(leased.payload), schema: leased.schema }).toEqual({ bytes: raw, schema: own })
    await bed.spine.jobs.ack(refOf(leased), { schema: own, payload: raw })
    expect(await bed.client.jobs.result(jobId)).toMatchObject({ schema: own, payloadBase64: raw.toString('base64') })
  })

  test('[JOBS-4] [JOBS-13] a full queue says when to come again', async () => {
    await using bed = await open({ settings: { spineMaxQueueJobs: 2 } })
    await bed.client.jobs.submit('genesis')
    await bed.client.jobs.submit('genesis')
    const refused = await bed.post('/v1/jobs', { type: 'genesis' })
    expect(refused).toMatchObject({ status: 429, json: { error: { code: 'queue.full' } } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    await bed.client.jobs.submit('nvm')
    expect(await bed.client.queues()).toEqual([
      { type: 'genesis', open: 2, finished: 0, dead: 0 },
      { type: 'nvm', open: 1, finished: 0, dead: 0 },
    ])
  })

  test('[JOBS-5] priority, order, delay, deadline and attempts are as asked', async () => {
    await using bed = await open()
    const { jobs } = bed.client
    const low = await jobs.submit('a', { payload: 'low' })
    const high = await jobs.submit('a', { payload: 'high', priority: 5, maxAttempts: 1 })
    expect([(await bed.lease('a')).id, (await bed.lease('a')).id]).toEqual([high.jobId, low.jobId])
    await jobs.submit('b', { orderingKey: 'x' })
    const later = await jobs.submit('b', { orderingKey: 'x' })
    expect(await jobs.get(later.jobId)).toMatchObject({ state: 'blocked', status: 'queued', orderingKey: 'x' })
    const delayed = await jobs.get((await jobs.submit('c', { delaySeconds: 3600 })).jobId)
    expect(delayed).toMatchObject({ state: 'delayed' })
    expect(Date.parse(delayed.notBefore ?? '') - Date.parse(delayed.createdAt)).toBe(3_600_000)
    const dated = await jobs.submit('d', { deadline: '2999-01-01T01:00:00+01:00' })
    expect(await jobs.get(dated.jobId)).toMatchObject({ deadline: '2999-01-01T00:00:00.000Z' })
    const past = await jobs.submit('d', { deadline: '2001-01-01T00:00:00Z' })
    await expect.poll(async () => (await jobs.get(past.jobId)).status, soon).toBe('expired')
  })

  test('[JOBS-22] what another organisation has is not there', async () => {
    await using bed = await open({ settings: { apiToken: 'the-token-of-the-operator' } })
    const body = JSON.stringify({ type: 'genesis' })
    const ask = (path: string, init: RequestInit, token: string) =>
      fetch(bed.server.url + path, {
        ...init,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      })
    const make = async (organisation: string): Promise<string> => {
      const asked = JSON.stringify({ name: 'x', organisation, scopes: ['read:jobs', 'write:jobs'] })
      const reply = await ask('/api/tokens', { method: 'POST', body: asked }, 'the-token-of-the-operator')
      return ((await reply.json()) as { token: string }).token
    }
    const [own, rival] = [await make('own'), await make('rival')]
    const { jobId } = (await (await ask('/v1/jobs', { method: 'POST', body }, own)).json()) as { jobId: string }
    for (const path of ['', '/result', '/payload', '/attempts', '/logs']) {
      expect((await ask(`/v1/jobs/${jobId}${path}`, {}, rival)).status).toBe(404)
      expect((await ask(`/v1/jobs/${jobId}${path}`, {}, own)).status).not.toBe(404)
    }
    expect((await ask(`/v1/jobs/${jobId}/cancel`, { method: 'POST' }, rival)).status).toBe(404)
    for (const path of ['/v1/jobs', '/v1/dead-letters', '/v1/queues'])
      expect(await (await ask(path, {}, rival)).text()).toBe('[]')
  })
})

onServers('the list of jobs', open => {
  test('[JOBS-7] [JOBS-15] pages of jobs and runs together, by type and status', async () => {
    await using bed = await open()
    const { client } = bed
    await client.deploy(echoPlan('echo'))
    const made: string[] = []
    for (let round = 0; round < 4; round++) {
      made.push((await client.jobs.submit('genesis')).jobId)
      made.push((await client.startRun('echo', { inputs: { spoken_word: 'a' } })).run_id)
    }
    const seen: string[] = []
    let after: string | undefined
    do {
      const page = await client.jobs.list({ limit: 3, after })
      seen.push(...page.items.map(({ jobId }) => jobId))
      after = page.next ?? undefined
      // What comes in between is before the first page.
      await client.jobs.submit('later')
    } while (after !== undefined)
    expect(new Set(seen)).toEqual(new Set(made))
    expect(seen).toHaveLength(made.length)
    expect((await client.jobs.list({ type: 'plan' })).items.map(({ type }) => type)).toEqual(Array(4).fill('plan'))
    expect((await client.jobs.list({ type: 'genesis' })).items).toHaveLength(4)
    const first = made[0] ?? ''
    await client.jobs.cancel(first)
    expect((await client.jobs.list({ status: 'cancelled' })).items.map(({ jobId }) => jobId)).toEqual([first])
    await expect.poll(async () => (await client.jobs.list({ status: 'succeeded' })).items.length, soon).toBe(4)
    expect((await bed.post('/v1/jobs', {})).status).toBe(400)
    expect((await fetch(`${bed.server.url}/v1/jobs?after=nonsense`)).status).toBe(400)
  })
})

onServers('what becomes of jobs', open => {
  test('[JOBS-8] a job is cancelled in its queue, and in the hands of an operator', async () => {
    await using bed = await open({ settings: { spineCancelGraceSeconds: 1 } })
    const { jobs } = bed.client
    const { jobId: queued } = await jobs.submit('genesis')
    expect(await jobs.cancel(queued, { reason: 'not needed' })).toMatchObject({
      status: 'cancelled',
      error: { message: 'not needed' },
    })
    expect(await jobs.cancel(queued)).toMatchObject({ status: 'cancelled', error: { message: 'not needed' } })
    const { jobId: worked } = await jobs.submit('genesis')
    const job = await bed.lease('genesis')
    expect(await jobs.cancel(worked)).toMatchObject({ status: 'running', isCancelling: true })
    expect(await bed.spine.jobs.heartbeat(refOf(job))).toMatchObject({ cancelAt: expect.any(Number) as number })
    await expect.poll(async () => (await jobs.get(worked)).status, soon).toBe('cancelled')
    expect(await jobs.result(worked)).toMatchObject({ status: 'cancelled', error: { code: 'cancelled' } })
    await expect(bed.spine.jobs.ack(refOf(job), { schema: results, payload: bytes(1) })).rejects.toMatchObject({
      code: 'lease.lost',
    })
    const { jobId: done } = await jobs.submit('genesis')
    await bed.spine.jobs.ack(refOf(await bed.lease('genesis')), { schema: results, payload: bytes(1) })
    await expect(jobs.cancel(done)).rejects.toMatchObject({ code: 'job.state' })
    await expect(jobs.cancel('nothing')).rejects.toMatchObject({ code: 'job.unknown' })
  })

  test('[JOBS-10] attempts, dead letter, redrive and discard', async () => {
    await using bed = await open()
    const { jobs, deadLetters } = bed.client
    const { jobId } = await jobs.submit('genesis', { payload: { a: 1 }, maxAttempts: 2 })
    const first = await bed.lease('genesis')
    await bed.spine.jobs.nack(refOf(first), { reason: 'Try again.', isRetryable: true })
    expect(await jobs.get(jobId)).toMatchObject({
      status: 'queued',
      attempts: 1,
      error: { code: 'attempt_failed', message: 'Try again.' },
    })
    await expect(deadLetters.get(jobId)).rejects.toMatchObject({ code: 'job.state' })
    await kill(bed, jobId)
    expect(await jobs.get(jobId)).toMatchObject({
      status: 'failed',
      state: 'dead',
      error: { message: 'No such gene.' },
    })
    expect((await deadLetters.list()).items.map(letter => letter.jobId)).toEqual([jobId])
    expect(await deadLetters.get(jobId)).toMatchObject({
      job: { jobId },
      schema,
      payload: { a: 1 },
      attempts: [
        { n: 1, outcome: 'failed', reason: 'Try again.' },
        { n: 2, outcome: 'failed' },
      ],
    })
    expect(await deadLetters.redrive(jobId)).toMatchObject({ status: 'queued', attempts: 0 })
    await expect(jobs.result(jobId)).rejects.toMatchObject({ code: 'job.not_finished' })
    await bed.spine.jobs.ack(refOf(await bed.lease('genesis')), { schema: results, payload: bytes('ok') })
    expect(await jobs.result(jobId)).toMatchObject({ status: 'succeeded', payload: 'ok' })
    const other = await jobs.submit('nvm')
    await kill(bed, other.jobId, 'nvm')
    expect((await deadLetters.list({ type: 'genesis' })).items).toEqual([])
    expect(await deadLetters.discard(other.jobId)).toMatchObject({ state: 'discarded', status: 'failed' })
    expect((await deadLetters.list()).items).toEqual([])
    await expect(deadLetters.redrive(other.jobId)).rejects.toMatchObject({ code: 'job.state' })
  })

  test('[JOBS-11] a schedule submits its job until it is deleted', async () => {
    await using bed = await open()
    const { schedules, jobs } = bed.client
    const job = { type: 'tick', payload: { n: 1 }, priority: 3 }
    const made = await schedules.put('each second', { cron: '* * * * * *', job })
    expect(made).toMatchObject({ name: 'each second', type: 'tick', timeZone: 'UTC', misfire: 'once' })
    const leased = await bed.lease('tick')
    expect({ text: Buffer.from(leased.payload).toString(), priority: leased.priority }).toEqual({
      text: '{"n":1}',
      priority: 3,
    })
    expect(await schedules.list()).toMatchObject([{ name: 'each second', lastJobId: expect.any(String) as string }])
    await schedules.put('each second', { cron: '0 0 1 1 *', timeZone: 'Europe/Berlin', job })
    expect(await schedules.list()).toMatchObject([{ cron: '0 0 1 1 *', timeZone: 'Europe/Berlin' }])
    await schedules.delete('each second')
    expect(await schedules.list()).toEqual([])
    await expect(schedules.delete('each second')).rejects.toMatchObject({ code: 'schedule.unknown' })
    const bad = [
      { cron: 'nonsense', job },
      { cron: '@daily', job: { type: 'plan' } },
    ]
    for (const body of bad) await expect(schedules.put('bad', body)).rejects.toMatchObject({ code: 'input.invalid' })
    expect((await jobs.list({ type: 'tick' })).items.length).toBeGreaterThan(0)
  })

  test('[JOBS-12] a schema holds once it is registered', async () => {
    await using bed = await open()
    const { schemas, jobs } = bed.client
    const shape = { type: 'object', required: ['seed'] }
    expect(await schemas.register(schema, shape)).toEqual({ id: schema, schema: shape })
    expect([await schemas.list(), await schemas.get(schema)]).toEqual([[schema], { id: schema, schema: shape }])
    await expect(jobs.submit('genesis', { payload: {} })).rejects.toMatchObject({ code: 'payload.invalid' })
    await jobs.submit('genesis', { payload: { seed: 1 } })
    await expect(schemas.register(schema, true)).rejects.toMatchObject({ code: 'schema.conflict' })
    await expect(schemas.get(results)).rejects.toMatchObject({ code: 'schema.unknown' })
  })
})

onServers('runs of plans as jobs', open => {
  test('[JOBS-14] [JOBS-15] a job of the type plan is a run, and a run is such a job', async () => {
    await using bed = await open()
    const { client } = bed
    await client.deploy(echoPlan('echo'))
    const body = { plan_id: 'echo', inputs: { spoken_word: [1] } }
    const text = '{"type": "plan", "payload": {"plan_id": "echo", "inputs": {"spoken_word": [[1.0]]}}}'
    const { jobId } = (await bed.post('/v1/jobs', text)).json as { jobId: string }
    await bed.finished(jobId)
    const result = await client.result(jobId)
    expect(JSON.stringify(result.final_concepts[0]?.data)).toContain('1.0')
    expect(await client.jobs.get(jobId)).toMatchObject({
      jobId,
      type: 'plan',
      status: 'succeeded',
      state: 'completed',
      attempts: 1,
      progress: { completed_count: 1 },
      result: { payload: result },
    })
    expect(await client.jobs.result(jobId)).toMatchObject({ status: 'succeeded', payload: result })
    expect((await client.jobs.logs(jobId)).items.length).toBeGreaterThan(0)
    expect(await client.jobs.attempts(jobId)).toMatchObject([{ n: 1, outcome: 'done' }])
    const { run_id: started } = await client.startRun('echo', { inputs: { spoken_word: 'b' }, idempotency_key: 'k' })
    const keyed = { plan_id: 'echo', inputs: { spoken_word: 'b' } }
    expect(await client.jobs.submit('plan', { payload: keyed, idempotencyKey: 'k' })).toEqual({ jobId: started })
    await expect(client.jobs.submit('plan', { payload: body, idempotencyKey: 'k' })).rejects.toMatchObject({
      code: 'run.conflict',
    })
    const bad = [{ payload: {} }, { payload: body, priority: 1 }, { payload: body, delaySeconds: 1 }, {}]
    for (const job of bad)
      await expect(client.jobs.submit('plan', job)).rejects.toMatchObject({ code: 'input.invalid' })
    await expect(client.jobs.payload(jobId)).rejects.toMatchObject({ code: 'job.state' })
  })

  test('[JOBS-15] [JOBS-8] one waits for a person, and is cancelled as a job', async () => {
    await using bed = await open()
    const { client } = bed
    await client.deploy(personPlan('ask'))
    const { jobId } = await client.jobs.submit('plan', { payload: { plan_id: 'ask', inputs: { question: 'Now?' } } })
    await expect.poll(async () => (await client.jobs.get(jobId)).status, soon).toBe('waiting')
    expect((await client.jobs.list({ status: 'waiting' })).items).toMatchObject([{ jobId }])
    await client.jobs.cancel(jobId, { reason: 'enough' })
    await expect.poll(async () => (await client.jobs.get(jobId)).status, soon).toBe('cancelled')
    expect(await client.run(jobId)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
    expect(await client.jobs.cancel(jobId)).toMatchObject({ status: 'cancelled' })
    expect((await client.jobs.list({ status: 'cancelled' })).items).toMatchObject([{ jobId }])
    expect((await client.jobs.list({ status: 'failed' })).items).toEqual([])
  })

  test('[JOBS-16] no operator gets between a run and the plan engine', async () => {
    await using bed = await open()
    const terms = { topics: ['plan.jobs'], operator: 'thief', organisation: null, max: 1 }
    await expect(bed.spine.jobs.lease(terms)).rejects.toMatchObject({ code: 'input.invalid' })
    const job = { topic: 'plan.jobs', schema, payload: bytes(1) }
    await expect(bed.spine.jobs.publish('default', job)).rejects.toMatchObject({ code: 'input.invalid' })
  })
})
