import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '#db/database'
import type { OperatorsDeps, OperatorSession } from './operators.ts'
import {
  acme,
  heldOf,
  jobSchema,
  operatorBed,
  registration,
  result,
  resultSchema,
  TestLink,
  type OperatorBed,
} from './testing.ts'

const asked = {
  topic: 'genesis.jobs',
  schema: jobSchema,
  samples: [{ n: 1 }, { n: 2 }],
  load_jobs: 20,
  timeout_seconds: 20,
}

/** An operator that does everything at once, and comes back when its connection breaks. */
async function diligent({ operators }: OperatorBed, over: Parameters<typeof registration>[0] = {}): Promise<TestLink> {
  const link = new TestLink()
  let session: OperatorSession | null = null
  let isOver = false
  onTestFinished(() => {
    isOver = true
  })
  const early: Parameters<TestLink['deliver']>[0][] = []
  const work = async (job: Parameters<TestLink['deliver']>[0]): Promise<void> => {
    for (let isTold: boolean | undefined = false; !isTold && !isOver;) {
      isTold = await session?.ack(heldOf(job), result).then(
        () => true,
        (error: unknown) => !(error instanceof AppError && error.code === 'operator.offline'),
      )
      if (!isTold) await sleep(10)
    }
  }
  const connect = async (): Promise<void> => {
    session = await operators.connect(acme, registration(over), {
      deliver: job => (session === null ? void early.push(job) : void work(job)),
      cancelled: (jobId, reason) => link.cancelled(jobId, reason),
      close: reason => {
        link.close(reason)
        if (reason === 'stale' && !isOver) setTimeout(() => void connect(), 10)
      },
    })
    for (const job of early.splice(0)) await work(job)
  }
  await connect()
  return link
}

async function openBed(over: Partial<OperatorsDeps> = {}): Promise<OperatorBed> {
  const bed = operatorBed(await openDatabase(':memory:'), over)
  bed.spine.start()
  await bed.spine.schemas.register('acme', jobSchema, { type: 'object' })
  await bed.spine.schemas.register('acme', resultSchema, { type: 'object', required: ['seed'] })
  return bed
}

test('[OPERATOR-25] below the stage of the server an operator waits', async () => {
  const bed = await openBed({ leastStage: 'staging' })
  const link = new TestLink()
  await bed.operators.connect(acme, registration(), link)
  const [jobId] = await bed.publish(1)
  expect(await bed.operators.list(acme)).toMatchObject([{ stage: 'prototype', status: 'waiting' }])
  expect(link.jobs).toEqual([])
  const view = await bed.operators.promote(acme, 'genesis-1', { stage: 'staging', reason: 'It runs.' })
  expect(view).toMatchObject({ stage: 'staging', status: 'online' })
  expect((await link.gets(1)).map(({ id }) => id)).toEqual([jobId])
  await bed.operators.promote(acme, 'genesis-1', { stage: 'prototype', reason: 'It does not.' })
  await bed.publish(1)
  expect(link.jobs).toHaveLength(1)
  const { history } = await bed.operators.get(acme, 'genesis-1')
  expect(history.map(({ event }) => event)).toEqual(['demoted', 'promoted', 'registered'])
})

test('[OPERATOR-26] [OPERATOR-27] [OPERATOR-28] to production with evidence alone, and of this configuration', async () => {
  const bed = await openBed()
  await diligent(bed)
  const promote = (stage: 'staging' | 'production') =>
    bed.operators.promote(acme, 'genesis-1', { stage, reason: 'Ready.' })
  await expect(promote('production')).rejects.toMatchObject({ code: 'operator.evidence' })
  await expect(bed.operators.check(acme, 'genesis-1', asked)).rejects.toMatchObject({ code: 'operator.evidence' })
  await promote('staging')
  await expect(promote('production')).rejects.toThrow(/schema, load, fault/)
  const evidence = await bed.operators.check(acme, 'genesis-1', asked)
  expect(evidence).toMatchObject([
    { check: 'schema', passed: true, jobs: 2, by: 'ann' },
    { check: 'load', passed: true, jobs: 20 },
    { check: 'fault', passed: true, jobs: 5 },
  ])
  expect(await promote('production')).toMatchObject({ stage: 'production' })
  const { history, evidence: kept } = await bed.operators.get(acme, 'genesis-1')
  expect(kept).toHaveLength(3)
  expect(history[0]).toMatchObject({ event: 'promoted', by: 'ann', reason: 'staging to production: Ready.' })
  expect(history.filter(({ event }) => event === 'checked')).toHaveLength(3)
  await diligent(bed, { version: '2' })
  expect(await bed.operators.get(acme, 'genesis-1')).toMatchObject({ stage: 'staging' })
  await expect(promote('production')).rejects.toMatchObject({ code: 'operator.evidence' })
})

test('[OPERATOR-26] what an operator does wrong is found', async () => {
  const bed = await openBed()
  const link = new TestLink()
  const session = await bed.operators.connect(acme, registration(), {
    deliver: job => void session.nack(heldOf(job), { reason: 'Never.', isRetryable: false }).catch(() => undefined),
    cancelled: () => undefined,
    close: reason => link.close(reason),
  })
  await bed.operators.promote(acme, 'genesis-1', { stage: 'staging', reason: 'A test.' })
  const found = await bed.operators.check(acme, 'genesis-1', { ...asked, timeout_seconds: 1 })
  expect(found.map(({ passed }) => passed)).toEqual([false, false, false])
  expect(found[0]?.reason).toContain('Never.')
  await expect(bed.operators.promote(acme, 'genesis-1', { stage: 'production', reason: 'x' })).rejects.toMatchObject({
    code: 'operator.evidence',
  })
})
