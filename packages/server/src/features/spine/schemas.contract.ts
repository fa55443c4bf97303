import { expect, test } from 'vitest'
import type { OpenSpine } from './spine.contract.ts'
import { bytes, jobSchema, leaseOne, newJob, organisation, read, refOf, result, resultSchema } from './testing.ts'

const shape = { type: 'object', properties: { width: { type: 'integer', minimum: 1 } }, required: ['width'] }
const minute = 60_000

/** What every implementation of schemas and schedules promises. */
export function schemasContract(open: OpenSpine): void {
  test('[SPINE-29] payloads of a registered schema are checked wherever they come', async () => {
    const { spine, db } = await open()
    const invalid = { code: 'payload.invalid' }
    await spine.jobs.publish(organisation, newJob('anything'))
    await spine.jobs.ack(refOf(await leaseOne(spine)), result())
    for (const id of [jobSchema, resultSchema]) await spine.schemas.register(organisation, id, shape)
    await expect(spine.jobs.publish(organisation, newJob({ width: 0 }))).rejects.toMatchObject({
      ...invalid,
      details: { schema: jobSchema, problems: ['/width must be >= 1'] },
    })
    await expect(spine.jobs.publish(organisation, { ...newJob(), payload: Buffer.from([0xff]) })).rejects.toMatchObject(
      invalid,
    )
    await expect(db.transaction(tx => spine.jobs.publishIn(tx, organisation, [newJob({})]))).rejects.toMatchObject(
      invalid,
    )
    const message = { topic: 'a.b', type: 'event', schema: jobSchema, payload: bytes({}) } as const
    await expect(spine.messages.publish(organisation, message)).rejects.toMatchObject(invalid)
    await spine.jobs.publish(organisation, newJob({ width: 1 }))
    const job = await leaseOne(spine)
    await expect(spine.jobs.ack(refOf(job), result({}))).rejects.toMatchObject(invalid)
    await expect(spine.jobs.ack({ ...refOf(job), organisation: null }, result({}))).rejects.toMatchObject(invalid)
    await expect(spine.jobs.append(refOf(job), { schema: jobSchema, payloads: [bytes({})] })).rejects.toMatchObject(
      invalid,
    )
    await spine.jobs.ack(refOf(job), result({ width: 2 }))
    await spine.jobs.publish('other', newJob({ width: 0 }))
  })

  test('[SPINE-29] what is registered does not change', async () => {
    const { spine } = await open()
    await spine.schemas.register(organisation, jobSchema, { type: 'object', minProperties: 1 })
    await spine.schemas.register(organisation, jobSchema, { minProperties: 1, type: 'object' })
    await expect(spine.schemas.register(organisation, jobSchema, { type: 'object' })).rejects.toMatchObject({
      code: 'schema.conflict',
    })
    expect(await spine.schemas.get(organisation, jobSchema)).toEqual({ type: 'object', minProperties: 1 })
    expect(await spine.schemas.list(organisation)).toEqual([jobSchema])
    await expect(spine.schemas.get(organisation, resultSchema)).rejects.toMatchObject({ code: 'schema.unknown' })
  })

  test('[SPINE-30] what is no schema, or could be costly, is refused; patterns run in linear time', async () => {
    const { spine } = await open()
    const register = (schema: unknown, id = 'arqonbus.a.b.v1') => spine.schemas.register(organisation, id, schema)
    const costly = [
      { properties: { next: { $ref: '#' } } },
      { pattern: '(a)\\1' },
      { pattern: '(' },
      { pattern: '(a{1000}){10}' },
    ]
    for (const schema of [{ type: 'nothing' }, 'text', { minimum: 'a' }, ...costly])
      await expect(register(schema)).rejects.toMatchObject({ code: 'schema.invalid' })
    await expect(register({}, 'my.schema')).rejects.toMatchObject({ code: 'schema.invalid' })
    expect(await spine.schemas.list(organisation)).toEqual([])
    await register({ allOf: [{ type: 'string', pattern: '^(a+)+$' }, { pattern: 'a' }] }, jobSchema)
    await spine.jobs.publish(organisation, newJob('aaaa'))
    await expect(spine.jobs.publish(organisation, newJob(`${'a'.repeat(10_000)}b`))).rejects.toMatchObject({
      code: 'payload.invalid',
    })
  })

  test('[SPINE-31] a schedule publishes at its times in its time zone', async () => {
    const { spine, clock } = await open()
    clock.time = Date.parse('2026-03-28T06:59:00Z')
    const put = await spine.schedules.put({
      organisation,
      name: 'morning',
      cron: '0 8 * * *',
      timeZone: 'Europe/Berlin',
      job: newJob('tick'),
    })
    expect(new Date(put.nextAt).toISOString()).toBe('2026-03-28T07:00:00.000Z')
    clock.move(minute)
    await spine.settle()
    await spine.settle()
    const job = await leaseOne(spine)
    expect(read(job.payload)).toBe('tick')
    expect(await spine.jobs.lease({ topics: [job.topic], operator: 'w', organisation, max: 1 })).toEqual([])
    // The clocks go forward in the night.
    const [view] = await spine.schedules.list(organisation)
    expect(new Date(view?.nextAt ?? 0).toISOString()).toBe('2026-03-29T06:00:00.000Z')
    expect(view).toMatchObject({ lastJobId: job.id, timeZone: 'Europe/Berlin' })
    await expect(spine.schedules.delete('other', 'morning')).rejects.toMatchObject({ code: 'schedule.unknown' })
    await spine.schedules.delete(organisation, 'morning')
    expect(await spine.schedules.list(organisation)).toEqual([])
  })

  test('[SPINE-31] a time that is none or never comes is refused', async () => {
    const { spine } = await open()
    for (const times of [{ cron: 'soon' }, { cron: '0 0 30 2 *' }, { cron: '* * * * *', timeZone: 'Moon/Sea' }])
      await expect(spine.schedules.put({ organisation, name: 'n', job: newJob(), ...times })).rejects.toMatchObject({
        code: 'input.invalid',
      })
  })

  test('[SPINE-32] what was missed is published once, or not at all', async () => {
    const { spine, clock } = await open()
    clock.time = Date.parse('2026-01-01T00:00:30Z')
    const put = (name: string, misfire: 'once' | 'skip') =>
      spine.schedules.put({ organisation, name, cron: '*/5 * * * *', misfire, job: newJob(name) })
    await put('once', 'once')
    await put('skip', 'skip')
    clock.move(17 * minute)
    await spine.settle()
    const jobs = await spine.jobs.lease({ topics: ['genesis.jobs'], operator: 'w', organisation, max: 9 })
    expect(jobs.map(({ payload }) => read(payload))).toEqual(['once'])
    for (const { nextAt } of await spine.schedules.list(organisation))
      expect(new Date(nextAt).toISOString()).toBe('2026-01-01T00:20:00.000Z')
    clock.time = Date.parse('2026-01-01T00:20:30Z')
    await spine.settle()
    expect(await spine.jobs.lease({ topics: ['genesis.jobs'], operator: 'w', organisation, max: 9 })).toHaveLength(2)
    expect(spine.counts()).toMatchObject({ scheduled: 3, misfired: 1 })
  })
}
