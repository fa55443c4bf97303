import fc from 'fast-check'
import { expect, test } from 'vitest'
import { onDatabases } from '#db/testing'
import type { LeaseRef } from './job-store.ts'
import { newJob, organisation, read, result, testSpine, want, type TestSpine } from './testing.ts'

const leaseMs = 100
const graceMs = 40
const waitMs = 60

/** The queue as one would explain it on paper. */
interface Entry {
  id: string
  place: number
  priority: number
  key: string | null
  state: string
  attempts: number
  maxAttempts: number
  fence: number
  runAt: number
  deadlineAt: number | null
  leaseEnd: number
  cancelAt: number | null
}

const isOver = ({ state }: Entry): boolean => ['done', 'dead', 'cancelled', 'expired', 'discarded'].includes(state)

class Model {
  readonly entries: Entry[] = []
  place = 0
  now = 0

  publish(
    fields: Pick<Entry, 'id' | 'priority' | 'key' | 'maxAttempts'>,
    delay: number,
    deadline: number | null,
  ): void {
    this.entries.push({
      ...fields,
      place: this.place++,
      state: delay > 0 ? 'delayed' : 'ready',
      attempts: 0,
      fence: 0,
      runAt: this.now + delay,
      deadlineAt: deadline === null ? null : this.now + deadline,
      leaseEnd: 0,
      cancelAt: null,
    })
  }

  /** One with an open job of its key before it only waits, whatever else it waits for. */
  shown(entry: Entry): string {
    return !isOver(entry) && entry.state !== 'leased' && this.before(entry) ? 'blocked' : entry.state
  }

  before(entry: Entry): boolean {
    return this.entries.some(
      other => entry.key !== null && other.key === entry.key && other.place < entry.place && !isOver(other),
    )
  }

  next(): Entry | undefined {
    return this.entries
      .filter(entry => this.shown(entry) === 'ready')
      .sort((a, b) => b.priority - a.priority || a.place - b.place)[0]
  }

  lease(): Entry | undefined {
    const entry = this.next()
    if (entry)
      Object.assign(entry, {
        state: 'leased',
        attempts: entry.attempts + 1,
        fence: entry.fence + 1,
        leaseEnd: this.now + leaseMs,
      })
    return entry
  }

  fail(entry: Entry, isRetryable = true): void {
    if (entry.cancelAt !== null) this.end(entry, 'cancelled')
    else if (!isRetryable || entry.attempts >= entry.maxAttempts) this.end(entry, 'dead')
    else Object.assign(entry, { state: 'delayed', runAt: this.now + waitMs })
  }

  giveBack(entry: Entry): void {
    if (entry.cancelAt !== null) this.end(entry, 'cancelled')
    else Object.assign(entry, { state: 'ready', attempts: entry.attempts - 1, runAt: this.now })
  }

  cancel(entry: Entry): void {
    if (entry.state === 'leased') entry.cancelAt ??= this.now + graceMs
    else this.end(entry, 'cancelled')
  }

  end(entry: Entry, state: string): void {
    Object.assign(entry, { state, cancelAt: null })
  }

  move(ms: number): void {
    this.now += ms
    for (const entry of this.entries) {
      const isLeased = entry.state === 'leased'
      if (isOver(entry)) continue
      if (entry.deadlineAt !== null && entry.deadlineAt <= this.now) this.end(entry, 'expired')
      else if (isLeased && entry.cancelAt !== null && entry.cancelAt <= this.now) this.end(entry, 'cancelled')
      else if (isLeased && entry.leaseEnd <= this.now) this.fail(entry)
      else if (entry.state === 'delayed' && entry.runAt <= this.now) entry.state = 'ready'
    }
  }

  redrive(entry: Entry): void {
    Object.assign(entry, { state: 'ready', attempts: 0, place: this.place++, runAt: this.now, deadlineAt: null })
  }
}

type Step =
  | {
      readonly do: 'publish'
      readonly priority: number
      readonly key: string | null
      readonly delay: number
      readonly deadline: number | null
      readonly maxAttempts: number
    }
  | { readonly do: 'lease' }
  | {
      readonly do: 'ack' | 'nack' | 'fail' | 'giveBack' | 'beat' | 'cancel' | 'redrive' | 'discard'
      readonly pick: number
      readonly late: boolean
    }
  | { readonly do: 'move'; readonly ms: number }

const onJob = fc.constantFrom('ack', 'nack', 'fail', 'giveBack', 'beat', 'cancel', 'redrive', 'discard')
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('publish' as const),
      priority: fc.integer({ min: -1, max: 1 }),
      key: fc.constantFrom(null, 'a', 'b'),
      delay: fc.constantFrom(0, 0, 50),
      deadline: fc.constantFrom(null, null, 120),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
    }),
    { weight: 2, arbitrary: fc.constant({ do: 'lease' as const }) },
    { weight: 3, arbitrary: fc.record({ do: onJob, pick: fc.nat(30), late: fc.boolean() }) },
    fc.record({ do: fc.constant('move' as const), ms: fc.constantFrom(1, 30, 60, 100) }),
  ),
  { maxLength: 60, size: 'max' },
)

/** Does to both what the step says; they have to agree on whether it may be. */
async function take(step: Step, model: Model, { spine, clock }: TestSpine): Promise<void> {
  switch (step.do) {
    case 'publish': {
      const { priority, key, delay, deadline, maxAttempts } = step
      const { jobId } = await spine.jobs.publish(organisation, {
        ...newJob(model.place),
        priority,
        maxAttempts,
        delayMs: delay,
        backoff: { firstMs: 80, ceilingMs: 80 },
        ...(key === null ? {} : { orderingKey: key }),
        ...(deadline === null ? {} : { deadlineMs: deadline }),
      })
      return model.publish({ id: jobId, priority, key, maxAttempts }, delay, deadline)
    }
    case 'lease': {
      const expected = model.lease()
      const [job] = await spine.jobs.lease(want({ leaseMs }))
      expect(job && { id: job.id, fence: job.fence, attempt: job.attempt }).toEqual(
        expected && { id: expected.id, fence: expected.fence, attempt: expected.attempts },
      )
      return
    }
    case 'move':
      clock.move(step.ms)
      model.move(step.ms)
      await spine.settle()
      return
    default:
      return toJob(step, model, spine)
  }
}

async function toJob(step: Extract<Step, { pick: number }>, model: Model, spine: TestSpine['spine']): Promise<void> {
  const entry = model.entries[step.pick % Math.max(1, model.entries.length)]
  if (!entry) return
  const ref: LeaseRef = { jobId: entry.id, fence: step.late ? entry.fence - 1 : entry.fence, organisation }
  const isHeld = entry.state === 'leased' && !step.late
  const isDead = entry.state === 'dead'
  const says = (work: Promise<unknown>, may: boolean, then: () => void): Promise<void> =>
    work.then(
      () => {
        expect(may).toBe(true)
        then()
      },
      (error: unknown) => {
        expect({ may, error }).toMatchObject({ may: false, error: { name: 'AppError' } })
      },
    )
  switch (step.do) {
    case 'ack': {
      // The same once more is no mistake.
      const isAgain = entry.state === 'done' && !step.late
      return says(spine.jobs.ack(ref, result(entry.fence)), isHeld || isAgain, () => model.end(entry, 'done'))
    }
    case 'nack':
      return says(spine.jobs.nack(ref, { reason: 'r', isRetryable: true }), isHeld, () => model.fail(entry))
    case 'fail':
      return says(spine.jobs.nack(ref, { reason: 'r', isRetryable: false }), isHeld, () => model.fail(entry, false))
    case 'giveBack':
      return says(spine.jobs.giveBack(ref), isHeld, () => model.giveBack(entry))
    case 'beat':
      return says(spine.jobs.heartbeat(ref, { leaseMs }), isHeld, () => {
        entry.leaseEnd = model.now + leaseMs
      })
    case 'cancel':
      return says(spine.jobs.cancel(organisation, entry.id), entry.state === 'cancelled' || !isOver(entry), () => {
        if (!isOver(entry)) model.cancel(entry)
      })
    case 'redrive':
      return says(spine.deadLetters.redrive(organisation, entry.id), isDead, () => model.redrive(entry))
    case 'discard':
      return says(spine.deadLetters.discard(organisation, entry.id), isDead, () => model.end(entry, 'discarded'))
  }
}

async function compare(model: Model, { spine, db }: TestSpine): Promise<void> {
  const { jobs } = await spine.jobs.list(organisation, { limit: 500 })
  const seen = jobs.map(({ id, state, attempts, isCancelling }) => ({ id, state, attempts, isCancelling }))
  const newestFirst = model.entries.toSorted((a, b) => b.place - a.place)
  expect(seen).toEqual(
    newestFirst.map(entry => ({
      id: entry.id,
      state: model.shown(entry),
      attempts: entry.attempts,
      isCancelling: entry.cancelAt !== null,
    })),
  )
  const count = (test: (entry: Entry) => boolean): number => model.entries.filter(test).length
  const queues = await db.read
    .selectFrom('job_queue')
    .select(['open', 'finished', 'dead'])
    .where('topic', '!=', '')
    .execute()
  const dead = count(({ state }) => state === 'dead')
  if (model.entries.length > 0)
    expect(queues).toEqual([{ open: count(entry => !isOver(entry)), finished: count(isOver) - dead, dead }])
  // Each end but that of dead jobs happens once, and each is published.
  const results = await db.read
    .selectFrom('bus_message')
    .select(['job_id', 'status', 'payload'])
    .where('type', '=', 'job_result')
    .execute()
  for (const entry of model.entries) {
    const own = results.filter(({ job_id }) => job_id === entry.id)
    expect(own.filter(({ status }) => status !== 'dead')).toHaveLength(
      isOver(entry) && !['dead', 'discarded'].includes(entry.state) ? 1 : 0,
    )
    if (entry.state === 'done') expect(read(own.find(({ status }) => status === 'done')?.payload)).toBe(entry.fence)
  }
}

onDatabases('the Spine and its model', databases => {
  const runs = databases.dialect === 'sqlite' ? 60 : 6
  test('[SPINE-38] whatever is done in whatever order, both have the same jobs in the same states', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async sequence => {
        await using db = await databases.open()
        const bed = testSpine(db, { cancelGraceMs: graceMs })
        const model = new Model()
        for (const step of sequence) {
          await take(step, model, bed)
          await compare(model, bed)
        }
      }),
      { numRuns: runs },
    )
  })
})
