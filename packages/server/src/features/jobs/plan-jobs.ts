import { AppError, type ErrorCode } from '@slipway/protocol/errors'
import type { Attempt, Content, Job, JobDetails, JobOutcome } from '@slipway/protocol/jobs'
import { RunId, type RunDetails } from '@slipway/protocol/runs'
import type { EventLog } from '#features/events/events'
import type { Runs } from '#features/runs/runs'
import type { FollowJob, Frames, JobKind, JobRef, LogPage, LogRange, SourceQuery } from './job-kind.ts'
import type { Source } from './job-list.ts'
import { runFrames } from './run-stream.ts'
import { attemptsOfRun, jobOfRun, runResultSchema, runStatesOf, statusOfRun } from './run-view.ts'

const mostPages = 10

/** Runs of plans as jobs: everything said of them is what the run says. */
export class PlanJobs implements JobKind {
  readonly #runs: Runs
  readonly #events: EventLog

  constructor(runs: Runs, events: EventLog) {
    this.#runs = runs
    this.#events = events
  }

  async has({ by, jobId }: JobRef): Promise<boolean> {
    return RunId.safeParse(jobId).success && this.#runs.exists({ by, runId: jobId })
  }

  async list({ by, status, cursor, limit }: SourceQuery): Promise<Source> {
    const statuses = status && runStatesOf(status)
    const found: { job: Job; cursor: string }[] = []
    let next: string | null = cursor
    // A run's row does not say apart why it has failed, so that others may be among those that are read.
    for (let pages = 0; pages < mostPages && found.length < limit; pages++) {
      const page = await this.#runs.list(by, { statuses, limit, after: next ?? undefined })
      for (const [index, run] of page.runs.entries()) {
        if (status !== undefined && statusOfRun(run) !== status) continue
        if (found.length < limit) found.push({ job: jobOfRun(run), cursor: page.cursors[index] ?? '' })
      }
      next = found.length < limit ? page.next : (found.at(-1)?.cursor ?? page.next)
      if (page.next === null) break
    }
    return { jobs: found.map(({ job }) => job), cursors: found.map(entry => entry.cursor), next }
  }

  async get(job: JobRef): Promise<JobDetails> {
    const view = jobOfRun(await this.#run(job))
    return view.status === 'succeeded' ? { ...view, result: await this.#result(job) } : view
  }

  async cancel(job: JobRef, reason: string): Promise<Job> {
    const run = await this.#run(job)
    if (statusOfRun(run) === 'cancelled') return jobOfRun(run)
    return jobOfRun(await asJob(() => this.#runs.stop(runRef(job), reason)))
  }

  async outcome(job: JobRef): Promise<JobOutcome> {
    const run = await this.#run(job)
    if (run.completed_at === null)
      throw new AppError('job.not_finished', `The run is ${run.status}. Its result is there once it is over.`)
    const { status, error } = jobOfRun(run)
    return { jobId: job.jobId, status, error, ...(await this.#result(job)) }
  }

  async payload(job: JobRef): Promise<Content> {
    await this.#run(job)
    throw new AppError(
      'job.state',
      `The job ${job.jobId} is a run. What it was given is under /api/runs/${job.jobId}/references.`,
    )
  }

  async attempts(job: JobRef): Promise<Attempt[]> {
    return attemptsOfRun(await this.#run(job))
  }

  async logs(job: JobRef, range: LogRange): Promise<LogPage> {
    const { items, next } = await asJob(() => this.#runs.inspector.logs(runRef(job), range))
    return { lines: items.map(({ seq, at, message }) => ({ n: seq, ts: at, attempt: 1, text: message })), next }
  }

  follow(job: JobRef, { after, signal }: FollowJob): Frames {
    const { organisation } = job.by
    const isOver = (): Promise<boolean> => this.#runs.isOver(runRef(job))
    const seen = Number(after.split('.')[0])
    const events = this.#events.followRun({ organisation, runId: job.jobId, after: seen, signal }, isOver)
    return runFrames(events, { job: () => this.get(job), outcome: () => this.outcome(job) })
  }

  #run(job: JobRef): Promise<RunDetails> {
    return asJob(() => this.#runs.get(runRef(job)))
  }

  /** A run that was stopped before it began has none. */
  async #result(job: JobRef): Promise<Content> {
    try {
      return { schema: runResultSchema, payload: await this.#runs.result(runRef(job)) }
    } catch (error) {
      if (error instanceof AppError && error.code === 'run.not_finished')
        return { schema: runResultSchema, payload: null }
      throw error
    }
  }
}

function runRef({ by, jobId }: JobRef): { readonly by: JobRef['by']; readonly runId: string } {
  return { by, runId: jobId }
}

const codes: Readonly<Partial<Record<ErrorCode, ErrorCode>>> = {
  'run.unknown': 'job.unknown',
  'run.state': 'job.state',
}

/** Errors of runs under the names of those of jobs. */
async function asJob<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof AppError ? codes[error.code] : undefined
    if (code === undefined) throw error
    throw new AppError(code, (error as AppError).message, { cause: error, details: (error as AppError).details })
  }
}
