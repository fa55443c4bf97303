import type { Logger } from 'pino'
import type { Database } from '#db/database'
import { SpineCounters, type SpineCounts } from '#observe/spine-counters'
import { spineFailed } from '#observe/spine-log'
import { DatabaseClock } from './database-clock.ts'
import { DatabaseDeadLetters } from './database-dead-letters.ts'
import { DatabaseJobs } from './database-jobs.ts'
import { DatabaseMessages } from './database-messages.ts'
import { GroupCommit } from './group-commit.ts'
import { isOver } from './job-machine.ts'
import { findJob } from './job-read-store.ts'
import { JobSchedules } from './job-schedules.ts'
import { MessageLog } from './message-log.ts'
import { Outboxes, type Tidings } from './outbox.ts'
import { PayloadSchemas } from './payload-schemas.ts'
import { usualBounds, type SpineBounds, type SpineParts } from './spine-parts.ts'
import { SpineRetention, type Removed, type SpinePolicy } from './spine-retention.ts'
import type { Spine } from './spine.ts'
import { Ticker } from './ticker.ts'

export interface DatabaseSpineOptions {
  readonly db: Database
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** In [0, 1). */
  readonly random?: (() => number) | undefined
  readonly bounds?: Partial<SpineBounds> | undefined
  readonly policy: SpinePolicy
  /** How long a lease is where the operator does not say. */
  readonly leaseMs: number
  /** How long whoever works on a cancelled job may still speak. */
  readonly cancelGraceMs: number
}

/** The Spine in the database alone: SQLite for one server, Postgres for any number. */
export class DatabaseSpine implements Spine {
  readonly jobs: DatabaseJobs
  readonly deadLetters: DatabaseDeadLetters
  readonly messages: DatabaseMessages
  readonly schemas: PayloadSchemas
  readonly schedules: JobSchedules
  readonly #parts: SpineParts
  readonly #clock: DatabaseClock
  readonly #commits: GroupCommit
  readonly #ticker: Ticker
  readonly #retention: SpineRetention

  constructor(options: DatabaseSpineOptions) {
    const { db, log, leaseMs, cancelGraceMs } = options
    const bounds = { ...usualBounds, ...options.bounds }
    this.#clock = new DatabaseClock(db, options.now)
    const outboxes = new Outboxes(db, tidings => this.#deliver(tidings))
    const messages = new MessageLog({
      db,
      outboxes,
      bounds: { messages: bounds.liveMessages, bytes: bounds.liveBytes },
      isOver: async (organisation, jobId) => {
        const job = await findJob(db.read, organisation, jobId)
        return job === null ? null : isOver(job.state)
      },
    })
    const { now } = this.#clock
    const random = options.random ?? Math.random
    this.#parts = { db, outboxes, messages, counters: new SpineCounters(), log, bounds, now, random }
    this.#commits = new GroupCommit(db)
    const parts = this.#parts
    const commits = this.#commits
    this.schemas = new PayloadSchemas(parts)
    this.jobs = new DatabaseJobs({ parts, commits, schemas: this.schemas, leaseMs, cancelGraceMs })
    this.messages = new DatabaseMessages({ parts, commits, schemas: this.schemas })
    this.deadLetters = new DatabaseDeadLetters(parts, this.jobs)
    this.schedules = new JobSchedules(parts, this.schemas, at => this.#ticker.expect(at))
    this.#ticker = new Ticker({ parts, chores: () => this.schedules.fire() })
    this.#retention = new SpineRetention(parts, options.policy)
  }

  start(): void {
    this.#clock.start()
    this.#clock
      .measure()
      .catch((error: unknown) => spineFailed(this.#parts.log, { doing: 'the clock', error }))
      .finally(() => this.#ticker.start())
    this.#retention.start()
  }

  counts(): SpineCounts {
    return this.#parts.counters.all()
  }

  /** Lets everything happen that is due, as a tick does; gives how many jobs it did something to. */
  async settle(): Promise<number> {
    const settled = await this.#ticker.settle()
    await this.schedules.fire()
    return settled
  }

  /** Removes everything that is to go now. */
  removeOver(): Promise<Removed> {
    return this.#retention.pass()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clock[Symbol.dispose]()
    this.jobs.close()
    await Promise.all([
      this.#retention[Symbol.asyncDispose](),
      this.#ticker[Symbol.asyncDispose](),
      this.#commits[Symbol.asyncDispose](),
    ])
    // Those that were looking for jobs meanwhile wait by now.
    this.jobs.close()
    this.#parts.outboxes[Symbol.dispose]()
  }

  #deliver(tidings: Tidings | 'everything'): void {
    // What was told is on disk: whoever fails at hearing it must not make that look like a failed commit.
    try {
      this.schemas.heard(tidings)
      this.#parts.messages.heard(tidings)
      if (tidings !== 'everything') this.#ticker.expect(tidings.dueAt)
      this.jobs.heard(tidings)
    } catch (error) {
      spineFailed(this.#parts.log, { doing: 'what was told', error })
    }
  }
}
