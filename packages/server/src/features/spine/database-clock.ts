import type { Database } from '#db/database'
import { readDatabaseTime } from './clock-store.ts'

const measureEveryMs = 30_000
// What took longer says too little.
const longestAnswerMs = 1_000

/**
 * The clock that all servers of one database share, in whole milliseconds since 1970. On Postgres it is the database's,
 * which is asked now and then, and gone by in between; SQLite has one server, and its clock is the database's.
 */
export class DatabaseClock implements Disposable {
  readonly #db: Database
  readonly #own: () => number
  #offsetMs = 0
  #timer: NodeJS.Timeout | null = null

  constructor(db: Database, own: () => number) {
    this.#db = db
    this.#own = own
  }

  readonly now = (): number => Math.round(this.#own() + this.#offsetMs)

  start(): void {
    if (this.#db.dialect === 'sqlite' || this.#timer !== null) return
    // Where the database does not answer, what was measured last goes on, and the next time asks again.
    this.#timer = setInterval(() => void this.measure().catch(() => undefined), measureEveryMs)
    this.#timer.unref()
  }

  /** Compares the server's clock with the database's. Rejects where that does not answer. */
  async measure(): Promise<void> {
    if (this.#db.dialect === 'sqlite') return
    const asked = this.#own()
    const time = await readDatabaseTime(this.#db.read)
    const answered = this.#own()
    if (answered - asked <= longestAnswerMs) this.#offsetMs = time - (asked + answered) / 2
  }

  [Symbol.dispose](): void {
    if (this.#timer) clearInterval(this.#timer)
  }
}
