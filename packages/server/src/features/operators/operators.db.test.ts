import { parseJson } from '@slipway/kit/json'
import { expect, test, vi } from 'vitest'
import { onDatabases } from '#db/testing'
import { silentLogger } from '#observe/log'
import type { OperatorFilter } from './operators.ts'
import {
  acme,
  bytes,
  heldOf,
  jobSchema,
  operatorBed,
  other,
  registration,
  result,
  secondServer,
  takeAll,
  TestLink,
} from './testing.ts'

onDatabases('operators', databases => {
  test('[OPERATOR-1] registers what an operator says of itself, and refuses what is no registration', async () => {
    const { operators } = operatorBed(await databases.open())
    await operators.connect(acme, registration({ version: '1.2', hardwareProfile: 'gpu' }), new TestLink())
    expect(await operators.list(acme)).toMatchObject([
      {
        operator_id: 'genesis-1',
        operator_type: 'genesis',
        version: '1.2',
        hardware_profile: 'gpu',
        max_parallel_jobs: 2,
        topics: ['genesis.jobs'],
        status: 'online',
        stage: 'prototype',
        kind: 'native',
      },
    ])
    const wrong = registration({ operatorId: 'x y', topics: ['genesis.results'] })
    await expect(operators.connect(acme, wrong, new TestLink())).rejects.toMatchObject({ code: 'input.invalid' })
    const reader = { ...acme, scopes: ['read:jobs', 'write:jobs'] as const }
    await expect(operators.connect(reader, registration({ operatorId: 'b' }), new TestLink())).rejects.toMatchObject({
      code: 'auth.forbidden',
    })
    expect(await operators.list(acme)).toHaveLength(1)
  })

  test('[OPERATOR-2] hands over jobs of its organisation, topics and schemas alone', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    const [wanted] = await publish(1)
    await publish(1, { topic: 'nvm.jobs' })
    await publish(1, { schema: 'arqonbus.genesis.job.v2' })
    await spine.jobs.publish('other', { topic: 'genesis.jobs', schema: jobSchema, payload: bytes({}) })
    const link = new TestLink()
    const session = await operators.connect(
      acme,
      registration({ maxParallelJobs: 9, supportedSchemas: [jobSchema] }),
      link,
    )
    const jobs = await link.gets(1)
    const [second] = await publish(1)
    await link.gets(2)
    expect(jobs.map(({ id }) => id)).toEqual([wanted, second])
    await session.close('left')
  })

  test('[OPERATOR-3] hands over no more at a time than it takes, and the next when one has ended', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    await publish(5)
    const [first] = await link.gets(2)
    expect(await spine.jobs.held('acme', 'genesis-1')).toBe(2)
    if (!first) throw new Error('There is no job.')
    await session.ack(heldOf(first), result)
    await link.gets(3)
    expect(await spine.jobs.held('acme', 'genesis-1')).toBe(2)
    expect(link.jobs).toHaveLength(3)
  })

  test('[OPERATOR-3] counts the jobs of an earlier connection and of another server', async () => {
    const bed = operatorBed(await databases.open())
    const [before, after] = [new TestLink(), new TestLink()]
    const session = await bed.operators.connect(acme, registration(), before)
    await bed.publish(4)
    const [first] = await before.gets(2)
    await session.close('lost')
    const again = await secondServer(bed).connect(acme, registration(), after)
    expect(await bed.spine.jobs.lease({ ...lease, max: 2 })).toEqual([])
    expect(after.jobs).toEqual([])
    if (!first) throw new Error('There is no job.')
    await again.ack(heldOf(first), result)
    await after.gets(1)
    expect(await bed.spine.jobs.held('acme', 'genesis-1')).toBe(2)
    // The lease of the other one ends: its slot is free.
    bed.clock.time += 31_000
    await again.heartbeat(heldOf(after.jobs[0] ?? first)).catch(() => undefined)
    await bed.spine.settle()
    await after.gets(2)
  })

  test('[OPERATOR-3] jobs that an operator has no room for go to one that waits', async () => {
    const { spine, publish } = operatorBed(await databases.open())
    await publish(1)
    await spine.jobs.lease({ ...lease, slots: 1 })
    const rival = takeAll(spine, { waitMs: 60_000 })
    const full = spine.jobs.lease({ ...lease, slots: 1, waitMs: 60_000 })
    await publish(1)
    expect(await full).toEqual([])
    expect(await rival).toHaveLength(1)
  })

  test('[OPERATOR-4] a new connection closes the one before, on another server too', async () => {
    const bed = operatorBed(await databases.open())
    const links = [new TestLink(), new TestLink(), new TestLink()] as const
    await bed.operators.connect(acme, registration(), links[0])
    await bed.operators.connect(acme, registration(), links[1])
    await links[0].until(({ closed }) => closed === 'replaced')
    await secondServer(bed).connect(acme, registration(), links[2])
    await links[1].until(({ closed }) => closed === 'replaced')
    expect(links[2].closed).toBeNull()
    expect(await bed.operators.list(acme)).toMatchObject([{ status: 'online' }])
  })

  test('[OPERATOR-5] [OPERATOR-6] goes on with the jobs that it had, and with nobody else’s', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    const [jobId = ''] = await publish(1)
    const [job] = await link.gets(1)
    if (!job) throw new Error('There is no job.')
    await session.close('lost')
    await expect(session.ack(heldOf(job), result)).rejects.toMatchObject({ code: 'operator.offline' })
    const rival = await operators.connect(
      acme,
      registration({ operatorId: 'rival', topics: ['nvm.jobs'] }),
      new TestLink(),
    )
    await expect(rival.ack(heldOf(job), result)).rejects.toMatchObject({ code: 'lease.lost' })
    await expect(rival.heartbeat(heldOf(job))).rejects.toMatchObject({ code: 'lease.lost' })
    const again = await operators.connect(acme, registration(), new TestLink())
    expect(await again.heartbeat({ ...heldOf(job), progress: 'half' })).toMatchObject({ cancelAt: null })
    expect(await again.append(heldOf(job), { schema: jobSchema, payloads: [bytes(1)] })).toBe(2)
    await expect(again.ack({ jobId, fence: job.fence + 1 }, result)).rejects.toMatchObject({ code: 'lease.lost' })
    await again.ack(heldOf(job), result)
    expect(await spine.jobs.get('acme', jobId)).toMatchObject({ state: 'done', attempts: 1, progress: 'half' })
    await again.ack(heldOf(job), result)
    const another = { ...result, payload: bytes('another') }
    await expect(again.ack(heldOf(job), another)).rejects.toMatchObject({ code: 'lease.lost' })
  })

  test('[OPERATOR-7] tells of a cancelled job, and of one that was lost', async () => {
    const { operators, publish, spine, clock } = operatorBed(await databases.open())
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    const [first = '', second = ''] = await publish(2)
    await link.gets(2)
    await spine.jobs.cancel('acme', first, 'Nobody needs it.')
    await link.until(({ cancels }) => cancels.length === 1)
    expect(link.cancels).toEqual([{ jobId: first, reason: 'Nobody needs it.' }])
    clock.time += 31_000
    await session.heartbeat(null)
    await spine.settle()
    await link.until(({ cancels }) => cancels.some(({ jobId }) => jobId === second))
    expect(await spine.jobs.get('acme', first)).toMatchObject({ state: 'cancelled' })
  })

  test('[OPERATOR-8] gives back what it has when it leaves, and keeps it when the connection breaks', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    const [jobId = ''] = await publish(1)
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    await link.gets(1)
    await session.close('left')
    expect(await spine.jobs.get('acme', jobId)).toMatchObject({ state: 'ready', attempts: 0 })
    const next = new TestLink()
    const again = await operators.connect(acme, registration(), next)
    await next.gets(1)
    await again.close('lost')
    expect(await spine.jobs.get('acme', jobId)).toMatchObject({ state: 'leased', operator: 'genesis-1' })
    expect(await operators.list(acme)).toMatchObject([{ status: 'offline', jobs: 1 }])
  })

  test('[OPERATOR-9] [OPERATOR-15] drains: no further job, and the end behind the last one', async () => {
    const { operators, publish } = operatorBed(await databases.open())
    await publish(1)
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    const [job] = await link.gets(1)
    if (!job) throw new Error('There is no job.')
    expect(await operators.drain(acme, 'genesis-1')).toMatchObject({ status: 'draining' })
    await publish(1)
    await expect(operators.forget(acme, 'genesis-1')).rejects.toMatchObject({ code: 'operator.online' })
    expect(link.closed).toBeNull()
    await session.ack(heldOf(job), result)
    await link.until(({ closed }) => closed === 'drained')
    expect(link.jobs).toHaveLength(1)
    await expect.poll(() => operators.list(acme)).toMatchObject([{ status: 'offline' }])
    await expect(operators.drain(acme, 'genesis-1')).rejects.toMatchObject({ code: 'operator.offline' })
    const own = new TestLink()
    await (await operators.connect(acme, registration(), own)).drain()
    await operators.drain(acme, 'genesis-1').catch(() => undefined)
  })

  test('[OPERATOR-10] gives none to an operator in quarantine until it is released', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    await publish(1)
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    const [job] = await link.gets(1)
    if (!job) throw new Error('There is no job.')
    const view = await operators.quarantine(acme, 'genesis-1', 'It answers nonsense.')
    expect(view).toMatchObject({ status: 'quarantined', quarantine: { by: 'ann', reason: 'It answers nonsense.' } })
    await session.ack(heldOf(job), result)
    await session.close('left')
    const next = new TestLink()
    await operators.connect(acme, registration(), next)
    const [jobId = ''] = await publish(1)
    expect(await takeAll(spine)).toHaveLength(1)
    expect(next.jobs).toEqual([])
    await expect(operators.release(other, 'genesis-1')).rejects.toMatchObject({ code: 'operator.unknown' })
    expect(await operators.release(acme, 'genesis-1')).toMatchObject({ status: 'online', quarantine: null })
    const [further = ''] = await publish(1)
    await next.gets(1)
    expect(next.jobs.map(({ id }) => id)).toEqual([further])
    expect(jobId).not.toBe(further)
  })

  test('[OPERATOR-11] repeated failures bring it into quarantine, and a success begins anew', async () => {
    const { operators, publish } = operatorBed(await databases.open())
    await publish(8)
    const link = new TestLink()
    const session = await operators.connect(acme, registration({ maxParallelJobs: 1 }), link)
    const fail = async (isRetryable: boolean): Promise<void> => {
      const job = (await link.gets(ended + 1))[ended++]
      if (job) await session.nack(heldOf(job), { reason: 'No memory.', isRetryable })
    }
    let ended = 0
    await fail(true)
    await fail(true)
    await fail(false)
    const good = (await link.gets(ended + 1))[ended++]
    if (good) await session.ack(heldOf(good), result)
    expect(await operators.list(acme)).toMatchObject([{ faults: 0, status: 'online' }])
    await fail(true)
    await fail(true)
    expect(await operators.list(acme)).toMatchObject([{ faults: 2, status: 'online' }])
    await fail(true)
    expect(await operators.list(acme)).toMatchObject([
      {
        faults: 3,
        status: 'quarantined',
        quarantine: { by: 'server', reason: expect.stringContaining('No memory.') as string },
      },
    ])
  })

  test('[OPERATOR-32] leases that end together without an answer are one failure', async () => {
    const bed = operatorBed(await databases.open())
    await bed.publish(6)
    const link = new TestLink()
    await bed.operators.connect(acme, registration({ maxParallelJobs: 6 }), link)
    await link.gets(6)
    bed.clock.time += 31_000
    await bed.spine.settle()
    await link.until(({ cancels }) => cancels.length >= 6)
    await expect.poll(() => bed.operators.list(acme)).toMatchObject([{ faults: 1, status: 'online' }])
  })

  test('[OPERATOR-31] one that another server took for lost may come back', async () => {
    const bed = operatorBed(await databases.open())
    const link = new TestLink()
    await bed.operators.connect(acme, registration(), link)
    const later = { ...bed, clock: { time: bed.clock.time + 70_000 } }
    await secondServer(later).look()
    await link.until(({ closed }) => closed !== null)
    expect(link.closed).toBe('stale')
    const again = new TestLink()
    await bed.operators.connect(acme, registration(), again)
    expect(await bed.operators.list(acme)).toMatchObject([{ status: 'online' }])
    expect(again.closed).toBeNull()
  })

  test('[OPERATOR-12] loses an operator that is not heard of, also one of a server that is gone', async () => {
    const bed = operatorBed(await databases.open())
    const [silent, loud] = [new TestLink(), new TestLink()]
    await bed.operators.connect(acme, registration(), silent)
    const session = await bed.operators.connect(acme, registration({ operatorId: 'loud' }), loud)
    bed.clock.time += 29_000
    await session.heartbeat(null)
    await bed.operators.look()
    expect(silent.closed).toBeNull()
    bed.clock.time += 2_000
    await bed.operators.look()
    expect(silent.closed).toBe('stale')
    expect(loud.closed).toBeNull()
    expect(await bed.operators.list(acme)).toMatchObject([{ status: 'offline' }, { status: 'online' }])
    // Another server finds the other one silent, as if this one were gone.
    bed.clock.time += 60_000
    await secondServer(bed).look()
    expect(await bed.operators.list(acme, { status: 'offline' })).toHaveLength(2)
  })

  test('[OPERATOR-13] keeps and publishes every change with who did it', async () => {
    const { operators, spine } = operatorBed(await databases.open())
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    await operators.quarantine(acme, 'genesis-1', 'A test.')
    await operators.release(acme, 'genesis-1')
    await session.close('left')
    const told = ['registered', 'quarantined', 'released', 'disconnected']
    const { history } = await operators.get(acme, 'genesis-1')
    expect(history.map(({ event }) => event)).toEqual(told.toReversed())
    expect(history[2]).toMatchObject({ by: 'ann', reason: 'A test.' })
    const published: unknown[] = []
    const follow = {
      organisation: 'acme',
      topics: ['system.control.operators'],
      after: 0,
      signal: new AbortController().signal,
    }
    for await (const delivery of spine.messages.follow(follow)) {
      if (delivery.type === 'message') published.push(parseJson(new TextDecoder().decode(delivery.message.payload)))
      if (published.length === told.length) break
    }
    expect(published).toEqual(history.toReversed())
  })

  test('[OPERATOR-14] shows an organisation its own operators', async () => {
    const { operators } = operatorBed(await databases.open())
    await operators.connect(acme, registration(), new TestLink())
    await operators.connect(acme, registration({ operatorId: 'nvm-1', topics: ['nvm.jobs'] }), new TestLink())
    expect((await operators.list(acme)).map(({ operator_id }) => operator_id)).toEqual(['genesis-1', 'nvm-1'])
    expect((await operators.list(acme, { topic: 'nvm.jobs' })).map(({ operator_id }) => operator_id)).toEqual(['nvm-1'])
    expect(await operators.list(other)).toEqual([])
    await expect(operators.get(other, 'nvm-1')).rejects.toMatchObject({ code: 'operator.unknown' })
  })

  test('[OPERATOR-14] lists in pages, whatever is left out', async () => {
    const { operators } = operatorBed(await databases.open())
    for (const id of ['d', 'a', 'c', 'b', 'e'])
      await operators.connect(
        acme,
        registration({ operatorId: id, topics: [id < 'd' ? 'genesis.jobs' : 'nvm.jobs'] }),
        new TestLink(),
      )
    await operators.connect(other, registration({ operatorId: 'bb' }), new TestLink())
    const ids = async (filter: OperatorFilter & { readonly limit: number }): Promise<unknown> => {
      const { operators: found, next } = await operators.page(acme, filter)
      return [found.map(({ operator_id: id }) => id), next]
    }
    expect(await ids({ limit: 2 })).toEqual([['a', 'b'], 'b'])
    expect(await ids({ limit: 2, after: 'b' })).toEqual([['c', 'd'], 'd'])
    expect(await ids({ limit: 2, after: 'd' })).toEqual([['e'], null])
    expect(await ids({ limit: 2, topic: 'nvm.jobs' })).toEqual([['d', 'e'], null])
    expect(await ids({ limit: 1, topic: 'nvm.jobs' })).toEqual([['d'], 'd'])
    expect(await ids({ limit: 3, topic: 'genesis.jobs' })).toEqual([['a', 'b', 'c'], null])
    expect(await ids({ limit: 2, status: 'offline' })).toEqual([[], null])
  })

  test('[OPERATOR-29] an organisation has so many operators and no more; those that are known come back', async () => {
    const { operators } = operatorBed(await databases.open(), { mostOperators: 2 })
    const connect = (id: string, by = acme) => operators.connect(by, registration({ operatorId: id }), new TestLink())
    const session = await connect('a')
    await connect('b')
    await expect(connect('c')).rejects.toMatchObject({ code: 'operator.limit' })
    await connect('c', other)
    await session.close('left')
    await connect('a').then(again => again.close('left'))
    await operators.forget(acme, 'a')
    await connect('c')
    expect((await operators.list(acme)).map(({ operator_id: id }) => id)).toEqual(['b', 'c'])
  })

  test('[OPERATOR-9] a drained connection whose end cannot be written is closed all the same, and that is logged', async () => {
    const db = await databases.open()
    const log = silentLogger()
    const logged = vi.spyOn(log, 'error')
    let isBroken = false
    const broken = new Proxy(db, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (name === 'transaction' && isBroken) return () => Promise.reject(new Error('The disk is gone.'))
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value
      },
    })
    const bed = operatorBed(db)
    const operators = secondServer({ ...bed, db: broken }, { log })
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    // Another server drains it; this one only hears of it.
    isBroken = true
    await bed.operators.drain(acme, session.operatorId)
    await link.until(({ closed }) => closed !== null)
    expect(link.closed).toBe('drained')
    await expect
      .poll(() => logged.mock.calls.map(([fields]) => fields))
      .toContainEqual(expect.objectContaining({ doing: 'leaving', error: new Error('The disk is gone.') }))
    isBroken = false
  })

  test('[OPERATOR-15] forgets one that is not connected', async () => {
    const { operators } = operatorBed(await databases.open())
    const session = await operators.connect(acme, registration(), new TestLink())
    await session.close('left')
    expect(await operators.forget(acme, 'genesis-1')).toEqual({ operator_id: 'genesis-1' })
    expect(await operators.list(acme)).toEqual([])
  })

  test('[OPERATOR-16] refuses a result that is not what its schema says, and leaves the job to the operator', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    await spine.schemas.register('acme', result.schema, { type: 'object', required: ['seed'] })
    await publish(1)
    const link = new TestLink()
    const session = await operators.connect(acme, registration(), link)
    const [job] = await link.gets(1)
    if (!job) throw new Error('There is no job.')
    const wrong = { schema: result.schema, payload: bytes({}) }
    await expect(session.ack(heldOf(job), wrong)).rejects.toMatchObject({ code: 'payload.invalid' })
    await session.ack(heldOf(job), result)
    expect(await spine.jobs.get('acme', job.id)).toMatchObject({ state: 'done' })
  })

  test('[OPERATOR-17] a server that stops closes connections and leaves the jobs to their operators', async () => {
    const { operators, publish, spine } = operatorBed(await databases.open())
    const [jobId = ''] = await publish(1)
    const link = new TestLink()
    await operators.connect(acme, registration(), link)
    await link.gets(1)
    await operators[Symbol.asyncDispose]()
    expect(link.closed).toBe('stopping')
    expect(await spine.jobs.get('acme', jobId)).toMatchObject({ state: 'leased' })
    await expect(operators.connect(acme, registration(), new TestLink())).rejects.toMatchObject({
      code: 'server.stopping',
    })
  })
})

const lease = { topics: ['genesis.jobs'], operator: 'genesis-1', organisation: 'acme', max: 1, slots: 2 }
