import type { JobView } from '@slipway/protocol/bus/jobs'
import { AppError } from '@slipway/protocol/errors'
import type { Tx } from '#db/database'
import { applySteps, keyOf, lockKeys } from './job-ends.ts'
import { discarded, redriven, type Job } from './job-machine.ts'
import { listDead } from './job-read-store.ts'
import { lockJob, moveToEnd, selectBusy } from './job-store.ts'
import { jobView, unknownJob } from './job-view.ts'
import { assertRoom } from './publisher.ts'
import type { SpineParts } from './spine-parts.ts'
import type { DeadLetter, DeadLetters, JobListQuery, JobPage, JobQueue } from './spine.ts'

const usualPage = 50
const longestPage = 500

/** Jobs that have failed for good, until somebody redrives or discards them, or their time is over. */
export class DatabaseDeadLetters implements DeadLetters {
  readonly #parts: SpineParts
  readonly #jobs: JobQueue

  constructor(parts: SpineParts, jobs: JobQueue) {
    this.#parts = parts
    this.#jobs = jobs
  }

  async list(organisation: string, { topic, limit, cursor }: Omit<JobListQuery, 'state'> = {}): Promise<JobPage> {
    const page = Math.max(1, Math.min(limit ?? usualPage, longestPage))
    const range = { organisation, topic, limit: page, before: cursor ?? null }
    const { jobs, next } = await listDead(this.#parts.db.read, range)
    return { jobs: jobs.map(jobView), cursors: jobs.map(({ position }) => position), next }
  }

  async inspect(organisation: string, jobId: string): Promise<DeadLetter> {
    const job = await this.#jobs.get(organisation, jobId)
    if (job.state !== 'dead') throw notDead(job)
    const payload = await this.#jobs.payload(organisation, jobId)
    return { job, payload, attempts: await this.#jobs.attempts(organisation, jobId) }
  }

  async redrive(organisation: string, jobId: string): Promise<JobView> {
    const { db, now, outboxes, counters } = this.#parts
    return db.transaction(async tx => {
      const job = await this.#lockDead(tx, organisation, jobId)
      await assertRoom(tx, job, this.#parts)
      const change = redriven(job, now(), (await isBusy(tx, job)) ? 'blocked' : 'ready')
      await applySteps(tx, [change], this.#parts)
      await moveToEnd(tx, job.id)
      outboxes.of(tx).count(job, { open: 1, dead: -1 })
      tx.afterCommit(() => counters.add('redriven'))
      return jobView(change.after)
    })
  }

  async discard(organisation: string, jobId: string): Promise<JobView> {
    const { db, outboxes, counters } = this.#parts
    return db.transaction(async tx => {
      const job = await this.#lockDead(tx, organisation, jobId)
      const change = discarded(job)
      await applySteps(tx, [change], this.#parts)
      outboxes.of(tx).count(job, { dead: -1, finished: 1 })
      tx.afterCommit(() => counters.add('discarded'))
      return jobView(change.after)
    })
  }

  async #lockDead(tx: Tx, organisation: string, jobId: string): Promise<Job> {
    const job = await lockJob(tx, organisation, jobId)
    if (job === null) throw unknownJob(jobId)
    if (job.state !== 'dead') throw notDead(job)
    return job
  }
}

async function isBusy(tx: Tx, job: Job): Promise<boolean> {
  if (job.ordering_key === null) return false
  const key = keyOf(job, job.ordering_key)
  await lockKeys(tx, [key])
  return (await selectBusy(tx, [key])).length > 0
}

function notDead({ id, state }: { readonly id: string; readonly state: string }): AppError {
  return new AppError('job.state', `The job ${id} is ${state}, and no dead letter.`)
}
