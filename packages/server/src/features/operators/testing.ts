import type { Registration } from '@slipway/protocol/bus/operators'
import { onTestFinished } from 'vitest'
import type { Database } from '#db/database'
import { Mappings, type MappingTerms } from '#features/mappings/mappings'
import { DatabaseSpine, type DatabaseSpineOptions } from '#features/spine/database-spine'
import type { LeasedJob, LeaseRequest } from '#features/spine/spine'
import type { Identity } from '#http/authenticate'
import { silentLogger } from '#observe/log'
import { allowedPlaces } from './allowed-places.ts'
import type { LinkEnd, OperatorLink } from './operators.ts'
import { Operators, type OperatorsDeps } from './operators.ts'

export const acme: Identity = { organisation: 'acme', subject: 'ann', scopes: ['admin'], isOperator: false }
export const other: Identity = { organisation: 'other', subject: 'bob', scopes: ['admin'], isOperator: false }
export const jobSchema = 'arqonbus.genesis.job.v1'
export const resultSchema = 'arqonbus.genesis.result.v1'

export interface OperatorBed {
  readonly spine: DatabaseSpine
  readonly operators: Operators
  readonly db: Database
  /** What all clocks say; the test moves it. */
  readonly clock: { time: number }
  /** Publishes so many jobs, one after the other; gives their ids. */
  readonly publish: (count: number, over?: { readonly topic?: string; readonly schema?: string }) => Promise<string[]>
}

/** Operators on a Spine, both closed with the test, and the database behind them. */
export function operatorBed(
  db: Database,
  over: Partial<OperatorsDeps> = {},
  bounds: DatabaseSpineOptions['bounds'] = {},
): OperatorBed {
  // What is opened first is closed last.
  onTestFinished(() => db[Symbol.asyncDispose]())
  const clock = { time: Date.UTC(2026, 0, 1) }
  const spine = new DatabaseSpine({
    db,
    log: silentLogger(),
    now: () => clock.time,
    random: () => 0.5,
    policy: { jobDays: 30, jobsPerQueue: 1000, deadDays: 90, messageDays: 7, messages: 1000 },
    leaseMs: 30_000,
    cancelGraceMs: 5_000,
    bounds,
  })
  onTestFinished(() => spine[Symbol.asyncDispose]())
  const operators = secondServer({ db, spine, clock }, over)
  const publish: OperatorBed['publish'] = async (count, { topic = 'genesis.jobs', schema = jobSchema } = {}) => {
    const ids: string[] = []
    for (let n = 0; n < count; n++)
      ids.push((await spine.jobs.publish('acme', { topic, schema, payload: bytes({ n }) })).jobId)
    return ids
  }
  return { spine, operators, db, clock, publish }
}

/** Gone with the test. */
export function testMappings(terms: Partial<MappingTerms> = {}): Mappings {
  const usual = { workers: 2, timeoutMs: 1_000, memoryBytes: 67_108_864, queue: 100 }
  const mappings = new Mappings({ terms: { ...usual, ...terms }, onReplaced: () => undefined })
  onTestFinished(() => mappings[Symbol.asyncDispose]())
  return mappings
}

/** Operators of another server on the same database; gone with the test. */
export function secondServer(
  { db, spine, clock }: Pick<OperatorBed, 'db' | 'spine' | 'clock'>,
  over: Partial<OperatorsDeps> = {},
): Operators {
  const mappings = over.mappings ?? testMappings()
  const operators = new Operators({
    db,
    spine,
    log: silentLogger(),
    now: () => clock.time,
    leaseMs: 30_000,
    staleMs: 30_000,
    quarantineAfterFaults: 3,
    mostOperators: 1_000,
    leastStage: 'prototype',
    proxies: { allowed: allowedPlaces({ hosts: [], networks: [] }), proxies: [] },
    env: () => undefined,
    mappings,
    ...over,
  })
  operators.start()
  onTestFinished(() => operators[Symbol.asyncDispose]())
  return operators
}

/** The end of a connection that a test holds, in the place of a socket. */
export class TestLink implements OperatorLink {
  readonly jobs: LeasedJob[] = []
  readonly cancels: { readonly jobId: string; readonly reason: string }[] = []
  closed: LinkEnd | null = null
  #changed = Promise.withResolvers<void>()

  deliver(job: LeasedJob): void {
    this.jobs.push(job)
    this.#tell()
  }

  cancelled(jobId: string, reason: string): void {
    this.cancels.push({ jobId, reason })
    this.#tell()
  }

  close(reason: LinkEnd): void {
    this.closed = reason
    this.#tell()
  }

  /** Waits until it has got what the test waits for. */
  async until(isThere: (link: this) => boolean): Promise<void> {
    while (!isThere(this)) await this.#changed.promise
  }

  async gets(count: number): Promise<readonly LeasedJob[]> {
    await this.until(link => link.jobs.length >= count)
    return this.jobs
  }

  #tell(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

export function registration(over: Partial<Registration> = {}): Registration {
  return { operatorId: 'genesis-1', operatorType: 'genesis', topics: ['genesis.jobs'], maxParallelJobs: 2, ...over }
}

export function heldOf({ id, fence }: LeasedJob): { readonly jobId: string; readonly fence: number } {
  return { jobId: id, fence }
}

export function bytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export const result = { schema: resultSchema, payload: bytes({ seed: 1 }) }

/** Whatever else of the topic is there, taken by somebody else. */
export function takeAll(spine: DatabaseSpine, over: Partial<LeaseRequest> = {}): Promise<LeasedJob[]> {
  return spine.jobs.lease({ topics: ['genesis.jobs'], operator: 'rival', organisation: 'acme', max: 100, ...over })
}
