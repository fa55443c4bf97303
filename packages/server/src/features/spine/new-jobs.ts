import type { JobState } from '@slipway/protocol/bus/jobs'
import type { NewRow } from '#db/columns'
import type { Tx } from '#db/database'
import type { JobTable } from '#db/tables/spine'
import type { ReadyJob } from './job-store.ts'

export type NewJobRow = NewRow<JobTable> & { readonly state: JobState }

/** A job before its transaction has written it. */
export interface NewJob {
  readonly row: NewJobRow
  readonly payload: Uint8Array
}

export interface Lease {
  readonly operator: string
  readonly now: number
  readonly until: number
  readonly dueAt: number
}

/** No job of the table comes so late. */
const firstPosition = 2 ** 52

/**
 * What a transaction publishes, until it is written. Whoever hands out jobs in the same transaction takes them from here,
 * so that a job which somebody waits for is written once, as leased.
 */
export class NewJobs {
  #jobs: NewJob[] = []

  add(jobs: readonly NewJob[]): void {
    this.#jobs.push(...jobs)
  }

  /** Those that are ready, behind all that the table has. */
  *ready(): Generator<ReadyJob> {
    for (const [index, { row, payload }] of this.#jobs.entries())
      if (row.state === 'ready') yield { ...row, payload, position: firstPosition + index }
  }

  /** Hands out one of `ready`; false for a job of the table. */
  lease({ position }: ReadyJob, { operator, now, until, dueAt }: Lease): boolean {
    const job = this.#jobs[position - firstPosition]
    if (job === undefined) return false
    const leased = { operator, leased_at: now, leased_until: until, due_at: dueAt }
    const { attempts, fence } = job.row
    const row: NewJobRow = { ...job.row, ...leased, state: 'leased', attempts: attempts + 1, fence: fence + 1 }
    this.#jobs[position - firstPosition] = { ...job, row }
    return true
  }

  /** Writes them in the order in which they were published. */
  async write(tx: Tx): Promise<void> {
    const jobs = this.#jobs
    this.#jobs = []
    await insertJobs(tx, jobs)
  }
}

export async function insertJobs(tx: Tx, jobs: readonly NewJob[]): Promise<void> {
  const rows = jobs.map(({ row }) => row)
  const payloads = jobs.map(({ row, payload }) => ({ job_id: row.id, payload }))
  await Promise.all([tx.insertAll('job', rows), tx.insertAll('job_payload', payloads)])
}
