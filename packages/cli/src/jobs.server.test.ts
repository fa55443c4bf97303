import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { temporaryFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { bytes, openJobBed, type JobBed } from '../../../tests/testbed/job-bed.ts'
import { slipway, type CommandEnd, type CommandOptions } from '../../../tests/testbed/slipway.ts'
import { echoPlan } from '../../../tests/testbed/small-plans.ts'

type Run = (args: readonly string[], options?: CommandOptions) => Promise<CommandEnd>

function cliOf(bed: JobBed): Run {
  return (args, options = {}) => slipway(args, { ...options, env: { SLIPWAY_URL: bed.server.url } })
}

function refOf(job: { readonly id: string; readonly fence: number }) {
  return { jobId: job.id, fence: job.fence, organisation: null }
}

test('[CLI-34] a job is submitted, shown, followed and cancelled', async () => {
  await using bed = await openJobBed()
  await using folder = await temporaryFolder()
  const cli = cliOf(bed)
  const submitted = await cli(['jobs', 'submit', 'genesis', '-p', '{"seed": 1.0}', '--priority', '-3', '--key', 'k'])
  const jobId = submitted.stdout.trim()
  expect(submitted).toMatchObject({ code: 0, stderr: '' })
  expect((await bed.client.jobs.submit('genesis', { payload: { seed: 1 }, priority: -3 })).jobId).not.toBe(jobId)
  const listed = parseJson((await cli(['jobs', '--type', 'genesis', '--json'])).stdout)
  expect(listed).toMatchObject({ items: [{ priority: -3 }, { jobId, priority: -3 }], next: null })
  const job = await bed.lease('genesis')
  expect([job.id, Buffer.from(job.payload).toString()]).toEqual([jobId, '{"seed":1.0}'])
  const following = cli(['jobs', 'follow', jobId])
  await bed.spine.jobs.heartbeat(refOf(job), { lines: ['half of it \u001b[31m'], progress: '50 %' })
  expect((await cli(['jobs', 'result', jobId])).code).toBe(1)
  await bed.spine.jobs.ack(refOf(job), { schema: 'arqonbus.genesis.result.v1', payload: bytes({ ok: true }) })
  const followed = await following
  expect(followed).toMatchObject({ code: 0 })
  expect(followed.stdout).toContain('half of it')
  expect(followed.stdout).not.toContain('\u001b')
  expect(followed.stdout).toContain('"ok": true')
  expect((await cli(['jobs', 'show', jobId])).stdout).toMatch(/succeeded[^]*1 of 5[^]*worker/)
  const raw = join(folder.path, 'raw.bin')
  await writeFile(raw, Uint8Array.of(255, 0))
  const binary = ['jobs', 'submit', 'raw', '-p', `@${raw}`, '--schema', 'arqonbus.raw.bytes.v1', '--json']
  const { jobId: rawId } = parseJson((await cli(binary)).stdout) as { jobId: string }
  expect(await bed.client.jobs.payload(rawId)).toMatchObject({ payloadBase64: '/wA=' })
  expect(await cli(['jobs', 'cancel', rawId, '--reason', 'no'])).toMatchObject({ code: 0 })
  expect(await cli(['jobs', 'follow', rawId])).toMatchObject({ code: 1 })
  expect((await cli(['jobs', 'result', 'nothing'])).code).toBe(2)
})

test('[CLI-34] a run is submitted and followed as a job', async () => {
  await using bed = await openJobBed()
  await bed.client.deploy(echoPlan('echo'))
  const payload = '{"plan_id": "echo", "inputs": {"spoken_word": "said"}}'
  const done = await cliOf(bed)(['jobs', 'submit', 'plan', '-p', '@-', '--follow', '--json'], { input: payload })
  const frames = done.stdout.trim().split('\n').map(parseJson) as { type: string }[]
  expect({ code: done.code, first: frames[0]?.type, last: frames.at(-1)?.type }).toEqual({
    code: 0,
    first: 'status',
    last: 'result',
  })
})

test('[CLI-35] dead letters are shown, redriven and discarded', async () => {
  await using bed = await openJobBed()
  const cli = cliOf(bed)
  const { jobId } = await bed.client.jobs.submit('genesis', { payload: { seed: 7 } })
  const fail = async (): Promise<void> => {
    const job = await bed.lease('genesis')
    await bed.spine.jobs.nack(refOf(job), { reason: 'No such gene.', isRetryable: false })
  }
  await fail()
  expect((await cli(['dead-letters'])).stdout).toContain(jobId)
  expect((await cli(['dead-letters', 'show', jobId])).stdout).toMatch(/No such gene\.[^]*"seed": 7/)
  expect(await cli(['dead-letters', 'redrive', jobId])).toMatchObject({ code: 0, stdout: `${jobId} is queued.\n` })
  await fail()
  const discarded = parseJson((await cli(['dead-letters', 'discard', jobId, '--json'])).stdout)
  expect(discarded).toMatchObject([{ jobId, state: 'discarded' }])
  expect((await cli(['dead-letters', 'redrive', jobId])).code).toBe(1)
})

test('[CLI-36] schedules are made, listed and deleted', async () => {
  await using bed = await openJobBed()
  const cli = cliOf(bed)
  const create = ['schedules', 'create', 'nightly', '0 3 * * *', 'genesis', '-p', '1', '--time-zone', 'Europe/Berlin']
  expect((await cli(create)).stdout).toContain('nightly')
  expect(parseJson((await cli(['schedules', '--json'])).stdout)).toMatchObject([
    { name: 'nightly', type: 'genesis', cron: '0 3 * * *', timeZone: 'Europe/Berlin', misfire: 'once' },
  ])
  expect((await cli(['schedules', 'create', 'bad', 'nonsense', 'genesis'])).code).toBe(2)
  expect((await cli(['schedules', 'delete', 'nightly'])).code).toBe(0)
  expect((await cli(['schedules', 'delete', 'nightly'])).code).toBe(2)
})
