import { randomUUID } from 'node:crypto'
import { parseJson } from '@slipway/kit/json'
import type { Database, Tx } from '#db/database'
import { NewJobs } from './new-jobs.ts'
import { addCounts, queueKey, type QueueCounts, type QueueRow } from './queue-store.ts'
import type { QueueName } from './job-store.ts'

/** A job that may be handed out now, as far as whoever waits for jobs minds. */
export interface Readiness {
  readonly id: string
  readonly organisation: string
  readonly topic: string
  readonly schema: string
}

/** What a commit of this or another server brought. */
export interface Tidings {
  readonly ready: readonly Readiness[]
  /** Topics in which jobs became ready on other servers. */
  readonly topics: readonly string[]
  /** Jobs whose lease should be looked at: they are being cancelled, or are over. */
  readonly leases: readonly string[]
  /** Jobs of which this server has changed something. */
  readonly changed: readonly string[]
  /** Subjects in which messages were committed on other servers. */
  readonly subjects: readonly string[]
  /** Organisations whose schemas have changed. */
  readonly schemas: readonly string[]
  /** When something is to happen by itself. */
  readonly dueAt: number | null
}

/** Listeners that may have missed something get `everything` instead. */
export type TidingsHandler = (tidings: Tidings | 'everything') => void

const channel = 'slipway_spine'
const longestNotice = 7_000

/** What one transaction has to tell, and the counts that it changes. */
export class Outbox {
  ready: Readiness[] = []
  readonly leases: string[] = []
  readonly changed: string[] = []
  readonly subjects = new Set<string>()
  readonly schemas = new Set<string>()
  readonly counts = new Map<string, QueueRow>()
  /** Jobs that are published here and not written yet. */
  readonly newJobs = new NewJobs()
  dueAt: number | null = null

  count(queue: QueueName, more: Partial<QueueCounts>): void {
    const key = queueKey(queue)
    const { organisation, topic } = queue
    const row = this.counts.get(key) ?? { organisation, topic, open: 0, finished: 0, dead: 0 }
    this.counts.set(key, {
      ...row,
      open: row.open + (more.open ?? 0),
      finished: row.finished + (more.finished ?? 0),
      dead: row.dead + (more.dead ?? 0),
    })
  }

  due(at: number | null): void {
    if (at !== null && (this.dueAt === null || at < this.dueAt)) this.dueAt = at
  }
}

/** Gives each transaction its outbox, and delivers it after the commit: here, and to other servers. */
export class Outboxes implements Disposable {
  readonly #db: Database
  readonly #deliver: TidingsHandler
  readonly #open = new WeakMap<Tx, Outbox>()
  readonly #name = randomUUID()
  readonly #listener: Disposable | null

  constructor(db: Database, deliver: TidingsHandler) {
    this.#db = db
    this.#deliver = deliver
    // One server works on a SQLite file.
    this.#listener = db.dialect === 'sqlite' ? null : db.listen(channel, notice => this.#heard(notice))
  }

  of(tx: Tx): Outbox {
    const known = this.#open.get(tx)
    if (known) return known
    const outbox = new Outbox()
    this.#open.set(tx, outbox)
    tx.beforeCommit('jobs', () => outbox.newJobs.write(tx))
    tx.beforeCommit('counts', () => this.#write(tx, outbox))
    tx.afterCommit(() => this.#deliver({ ...outbox, topics: [], subjects: [], schemas: [...outbox.schemas] }))
    return outbox
  }

  [Symbol.dispose](): void {
    this.#listener?.[Symbol.dispose]()
  }

  async #write(tx: Tx, outbox: Outbox): Promise<void> {
    const counted = outbox.counts.size > 0 ? addCounts(tx, [...outbox.counts.values()]) : undefined
    const notice = this.#listener === null ? null : this.#notice(outbox)
    await Promise.all([counted, notice === null ? undefined : this.#db.notify(tx, channel, notice)])
  }

  #notice({ ready, leases, subjects, schemas, dueAt }: Outbox): string | null {
    const topics = [...new Set(ready.map(({ topic }) => topic))]
    if (topics.length + leases.length + subjects.size + schemas.size === 0) return null
    const told = { topics, leases, subjects: [...subjects], schemas: [...schemas], dueAt }
    const text = `${this.#name} ${JSON.stringify(told)}`
    return Buffer.byteLength(text) > longestNotice ? `${this.#name} ` : text
  }

  #heard(notice: string | null): void {
    const end = notice?.indexOf(' ') ?? -1
    if (notice === null || end < 0) return this.#deliver('everything')
    if (notice.slice(0, end) === this.#name) return
    this.#deliver(readNotice(notice.slice(end + 1)))
  }
}

function readNotice(text: string): Tidings | 'everything' {
  if (text === '') return 'everything'
  // Only servers of this database write here.
  const told = parseJson(text) as Omit<Tidings, 'ready' | 'changed'>
  return { ...told, ready: [], changed: [] }
}
