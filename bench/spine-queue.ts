import type { Entrant, Home, Played } from './contender.ts'

/** One of those who are measured with jobs: somebody publishes them, somebody else does them and gives a result. */
export interface QueueContender extends Entrant {
  /** Which processes of it take part. */
  readonly processes: string
  /** How the publisher gets to know a result. */
  readonly results: string
  /** Takes many jobs with one statement where it can, so that none of them is alone. */
  readonly isBatched: boolean
  /** Why it cannot be measured here, or null; for what it needs besides its store. */
  readonly missing?: () => string | null
  open(home: Home, options: QueueOptions): Promise<QueueSession>
}

export interface QueueOptions {
  /** Most jobs under way at a time. */
  readonly inFlight: number
}

/** What a process that publishes jobs, or does them, is told. */
export interface RoleSettings {
  readonly role: 'publisher' | 'operator'
  /** Where the queue is: of our server, or of a database. */
  readonly url: string
  /** For whom the server asks for one. */
  readonly token?: string | undefined
  readonly concurrency: number
  /** Most connections to a database. */
  readonly poolSize: number
  /** Jobs that are taken with one statement, where whoever is asked does that. */
  readonly batch: number
}

/** Running processes of a contender. */
export interface QueueSession extends AsyncDisposable {
  /**
   * Publishes jobs, as many at a time as it was opened for, and is through when the publisher has the result of each.
   * `latencies` are of each job, from publishing it to having its result.
   */
  play(jobs: number): Promise<Played>
  /** Processor time of the server so far, in ms; null for whoever does not say. */
  processorMs(): number | null
}
