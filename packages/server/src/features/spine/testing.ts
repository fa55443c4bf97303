import { parseJson } from '@slipway/kit/json'
import { onTestFinished } from 'vitest'
import type { Database } from '#db/database'
import { silentLogger } from '#observe/log'
import { DatabaseSpine, type DatabaseSpineOptions } from './database-spine.ts'
import type { Delivery } from './message-log.ts'
import type { LeaseRef } from './job-store.ts'
import type { LeasedJob, LeaseRequest, Spine } from './spine.ts'

export const organisation = 'acme'
export const topic = 'genesis.jobs'
export const jobSchema = 'arqonbus.genesis.job.v1'
export const resultSchema = 'arqonbus.genesis.result.v1'

/** A clock that tests move. */
export class TestClock {
  time = Date.UTC(2026, 0, 1)
  readonly now = (): number => this.time
  move(ms: number): void {
    this.time += ms
  }
}

/** A Spine that does what is due when the test says so. */
export type SteppedSpine = Spine & Pick<DatabaseSpine, 'settle' | 'removeOver'>

export interface TestSpine {
  readonly spine: SteppedSpine
  readonly clock: TestClock
  readonly db: Database
}

/** A Spine on the database whose time the test moves, without anything that happens by itself; closed with the test. */
export function testSpine(db: Database, options: Partial<DatabaseSpineOptions> = {}): TestSpine {
  const clock = new TestClock()
  const spine = new DatabaseSpine({
    db,
    log: silentLogger(),
    now: clock.now,
    random: () => 0.5,
    policy: { jobDays: 30, jobsPerQueue: 1000, deadDays: 90, messageDays: 7, messages: 1000 },
    leaseMs: 30_000,
    cancelGraceMs: 5_000,
    ...options,
  })
  onTestFinished(() => spine[Symbol.asyncDispose]())
  return { spine, clock, db }
}

/**
 * Resolves once a new Spine hears other servers. Up to then it may have missed something, and its readers look into the
 * log once more. To be called before anything else is waited for.
 */
export async function listening(db: Database): Promise<void> {
  if (db.dialect === 'sqlite') return
  const { promise, resolve } = Promise.withResolvers<void>()
  using _listener = db.listen('slipway_spine', () => resolve())
  await promise
}

export function bytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

export function read(payload: Uint8Array | undefined): unknown {
  return payload === undefined ? undefined : parseJson(Buffer.from(payload).toString())
}

export function newJob(value: unknown = {}): { topic: string; schema: string; payload: Uint8Array } {
  return { topic, schema: jobSchema, payload: bytes(value) }
}

export function result(value: unknown = 'ok'): { schema: string; payload: Uint8Array } {
  return { schema: resultSchema, payload: bytes(value) }
}

export function want(over: Partial<LeaseRequest> = {}): LeaseRequest {
  return { topics: [topic], operator: 'worker', organisation: null, max: 1, ...over }
}

export function refOf(job: LeasedJob): LeaseRef {
  return { jobId: job.id, fence: job.fence, organisation: job.organisation }
}

/** Leases one job that has to be there. */
export async function leaseOne(spine: Pick<Spine, 'jobs'>, over: Partial<LeaseRequest> = {}): Promise<LeasedJob> {
  const [job] = await spine.jobs.lease(want(over))
  if (job === undefined) throw new Error('There was no job to lease.')
  return job
}

export async function take(deliveries: AsyncIterable<Delivery>, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = []
  for await (const delivery of deliveries) {
    taken.push(delivery)
    if (taken.length === count) break
  }
  return taken
}
