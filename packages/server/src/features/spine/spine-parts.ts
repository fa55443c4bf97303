import type { Logger } from 'pino'
import type { Database } from '#db/database'
import type { SpineCounters } from '#observe/spine-counters'
import type { MessageLog } from './message-log.ts'
import type { Outboxes } from './outbox.ts'

/** Every bound of the Spine. */
export interface SpineBounds {
  /** Jobs of one organisation in one topic that are not over. */
  readonly jobsPerQueue: number
  /** Jobs of all together that are not over. */
  readonly jobs: number
  /** Pieces that are kept of one stream, the newest. */
  readonly streamPieces: number
  /** Lines that are kept of the log of one job, the newest. */
  readonly logLines: number
  /** What one live reader may have waiting before it is cut. */
  readonly liveMessages: number
  readonly liveBytes: number
  /** Requests that may wait for a commit, and leases that may wait for work. */
  readonly waiting: number
}

export const usualBounds: SpineBounds = {
  jobsPerQueue: 100_000,
  jobs: 1_000_000,
  streamPieces: 10_000,
  logLines: 1_000,
  liveMessages: 1_000,
  liveBytes: 16_777_216,
  waiting: 20_000,
}

/** What the parts of the Spine share. */
export interface SpineParts {
  readonly db: Database
  readonly outboxes: Outboxes
  readonly messages: MessageLog
  readonly counters: SpineCounters
  readonly log: Logger
  readonly bounds: SpineBounds
  /** Whole milliseconds since 1970, by the clock that all servers of the database share. */
  readonly now: () => number
  /** In [0, 1). */
  readonly random: () => number
}
