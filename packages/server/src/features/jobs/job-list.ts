import { AppError } from '@slipway/protocol/errors'
import type { Job } from '@slipway/protocol/jobs'

/** Jobs of one kind, newest first. */
export interface Source {
  readonly jobs: readonly Job[]
  /** Of each of them, where the list goes on behind it. */
  readonly cursors: readonly string[]
  /** Where the list goes on; null at its end. There may be more even where there are fewer jobs than asked for. */
  readonly next: string | null
}

export type ReadSource = (cursor: string | null, limit: number) => Promise<Source>

export interface ListedJobs {
  readonly jobs: readonly Job[]
  readonly next: string | null
}

export const emptySource: ReadSource = () => Promise.resolve({ jobs: [], cursors: [], next: null })

const start = 's'
const end = 'e'

/**
 * A page of two lists as one, newest first. Its cursor says of each list where it goes on, so that neither loses or
 * repeats one when others are added.
 */
export async function mergedPage(
  read: readonly [ReadSource, ReadSource],
  { limit, after }: { readonly limit: number; readonly after: string | undefined },
): Promise<ListedJobs> {
  const cursors = readCursor(after)
  const [first, second] = await Promise.all([taken(read[0], cursors[0], limit), taken(read[1], cursors[1], limit)])
  const jobs: Job[] = []
  while (jobs.length < limit && !first.isShort && !second.isShort) {
    const source = newer(first, second)
    const job = source.take()
    if (job === undefined) break
    jobs.push(job)
  }
  const next = [first.cursor, second.cursor]
  return { jobs, next: next.every(cursor => cursor === end) ? null : next.join('.') }
}

class Taken {
  readonly #from: string
  readonly #source: Source
  #count = 0

  constructor(from: string, source: Source) {
    this.#from = from
    this.#source = source
  }

  get head(): Job | undefined {
    return this.#source.jobs[this.#count]
  }

  /** Nothing is left of what was read, and there may be more: nobody knows how new that is. */
  get isShort(): boolean {
    return this.head === undefined && this.#source.next !== null
  }

  take(): Job | undefined {
    const job = this.head
    if (job !== undefined) this.#count++
    return job
  }

  get cursor(): string {
    const { jobs, cursors, next } = this.#source
    if (this.#count === jobs.length) return next ?? end
    return cursors[this.#count - 1] ?? this.#from
  }
}

function newer(first: Taken, second: Taken): Taken {
  if (first.head === undefined) return second
  if (second.head === undefined) return first
  return second.head.createdAt > first.head.createdAt ? second : first
}

async function taken(read: ReadSource, cursor: string, limit: number): Promise<Taken> {
  if (cursor === end) return new Taken(end, await emptySource(null, limit))
  return new Taken(cursor, await read(cursor === start ? null : cursor, limit))
}

function readCursor(after: string | undefined): readonly [string, string] {
  if (after === undefined) return [start, start]
  const [, first, second] = /^(s|e|\d{1,15})\.(s|e|\d{1,15})$/.exec(after) ?? []
  if (first === undefined || second === undefined)
    throw new AppError('input.invalid', '`after` is not a place in the list. Use the one of the `Link` header.')
  return [first, second]
}
