import { OwnOperator, type Held } from '@slipway/sdk/own-operator'
import { openDatabase } from '@slipway/server/db/database'
import { Access } from '@slipway/server/features/access/access'
import { allowedPlaces } from '@slipway/server/features/operators/allowed-places'
import { Operators } from '@slipway/server/features/operators/operators'
import { testMappings } from '@slipway/server/features/operators/testing'
import { Shield } from '@slipway/server/features/shield/shield'
import { NatsRelay } from '@slipway/server/features/spine/adapters/nats-relay'
import type { DatabaseSpineOptions } from '@slipway/server/features/spine/database-spine'
import type { JobQueue, LeasedJob, LeaseRequest } from '@slipway/server/features/spine/spine'
import type { LeaseRef } from '@slipway/server/features/spine/job-store'
import { testSpine, type SteppedSpine, type TestSpine } from '@slipway/server/features/spine/testing'
import { silentLogger } from '@slipway/server/observe/log'
import { onTestFinished } from 'vitest'

const apiToken = 'token-of-the-operator'
const terms = {
  takesJson: false,
  maxFrameBytes: 2_097_152,
  maxWaitingBytes: 1_048_576,
  maxSockets: 100,
  socketsPerToken: 100,
  framesPerSecond: 100_000,
  topicFramesPerSecond: 100_000,
  idleMs: 60_000,
  policies: {
    required: false,
    timeoutMs: 1_000,
    memoryBytes: 16_777_216,
    moduleBytes: 1_048_576,
    workers: 1,
    queue: 100,
  },
}

/** A Spine on SQLite whose operators reach it over the broker alone; closed with the test. */
export async function relayedSpine(url: string, options: Partial<DatabaseSpineOptions> = {}): Promise<TestSpine> {
  const db = await openDatabase(':memory:')
  const { spine, clock } = testSpine(db, options)
  const log = silentLogger()
  const now = (): number => performance.timeOrigin + performance.now()
  const access = new Access({ db, log, apiToken, now })
  const operators = new Operators({
    db,
    spine,
    log,
    now,
    leaseMs: 30_000,
    staleMs: 30_000,
    quarantineAfterFaults: 0,
    mostOperators: 1_000,
    leastStage: 'prototype',
    proxies: { allowed: allowedPlaces({ hosts: [], networks: [] }), proxies: [] },
    env: () => undefined,
    mappings: testMappings(),
  })
  const shield = new Shield({ db, audit: access.audit, spine, operators, log, now, terms })
  const relay = new NatsRelay({
    pingMs: 10_000,
    url,
    replicas: 1,
    verifier: access.verifier,
    maxFrameBytes: terms.maxFrameBytes,
    maxWaitingBytes: terms.maxWaitingBytes,
    serve: (socket, request) => shield.serve(socket, request),
    log,
  })
  relay.start()
  const client = new OwnOperator(url, apiToken, { firstDelayMs: 10 })
  onTestFinished(async () => {
    await client[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
    await shield[Symbol.asyncDispose]()
    await operators[Symbol.asyncDispose]()
    await access[Symbol.asyncDispose]()
  })
  return { spine: relayed(spine, client), clock, db }
}

/** What operators say goes over the client, and all else to the Spine itself. */
function relayed(inner: SteppedSpine, client: OwnOperator): SteppedSpine {
  const { jobs } = inner
  const queue: JobQueue = {
    publish: (...given) => jobs.publish(...given),
    publishIn: (...given) => jobs.publishIn(...given),
    cancel: (...given) => jobs.cancel(...given),
    held: (...given) => jobs.held(...given),
    watchLeases: (...given) => jobs.watchLeases(...given),
    watchJob: (...given) => jobs.watchJob(...given),
    get: (...given) => jobs.get(...given),
    payload: (...given) => jobs.payload(...given),
    list: (...given) => jobs.list(...given),
    attempts: (...given) => jobs.attempts(...given),
    logs: (...given) => jobs.logs(...given),
    result: (...given) => jobs.result(...given),
    queues: (...given) => jobs.queues(...given),
    lease: request => lease(client, request),
    heartbeat: async (ref, beat) => {
      const { leasedUntil, cancelAt, reason } = await client.heartbeat(heldOf(ref), beat)
      return {
        leasedUntil: Number(leasedUntil),
        cancelAt: cancelAt === undefined ? null : Number(cancelAt),
        reason: reason === '' ? null : reason,
      }
    },
    ack: (ref, result) => client.ack(heldOf(ref), result),
    nack: async (ref, failure) => {
      const { state, runAt } = await client.nack(heldOf(ref), failure)
      return { state: state as LeasedState, runAt: runAt === undefined ? null : Number(runAt) }
    },
    giveBack: ref => client.giveBack(heldOf(ref)),
    append: (ref, pieces) => client.append(heldOf(ref), pieces),
  }
  return {
    jobs: queue,
    deadLetters: inner.deadLetters,
    messages: inner.messages,
    schemas: inner.schemas,
    schedules: inner.schedules,
    start: () => inner.start(),
    counts: () => inner.counts(),
    settle: () => inner.settle(),
    removeOver: () => inner.removeOver(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

function heldOf({ organisation, ...held }: LeaseRef): Held {
  return { ...held, ...(organisation !== null && { organisation }) }
}

type LeasedState = Awaited<ReturnType<JobQueue['nack']>>['state']

async function lease(client: OwnOperator, { organisation, ...request }: LeaseRequest): Promise<LeasedJob[]> {
  const jobs = await client.lease({ ...request, organisation: organisation ?? undefined })
  return jobs.map(job => ({
    id: job.id,
    fence: Number(job.fence),
    organisation: job.organisation,
    topic: job.topic,
    schema: job.schema,
    payload: job.payload,
    attempt: job.attempt,
    maxAttempts: job.maxAttempts,
    priority: job.priority,
    orderingKey: job.orderingKey === '' ? null : job.orderingKey,
    leasedUntil: Number(job.leasedUntil),
    deadlineAt: job.deadlineAt === undefined ? null : Number(job.deadlineAt),
    trace: Object.keys(job.trace).length === 0 ? null : job.trace,
    streamN: Number(job.streamN),
  }))
}
