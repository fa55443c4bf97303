import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** What was told to others, by kind, and whether it was on disk by then. */
export type Order = Readonly<Record<'accepted run' | 'finished run' | 'answer in a later prompt', Tally>>

export interface Tally {
  readonly checked: number
  /** Told before a sync that followed the last write that carried it. */
  readonly violations: number
  /** Told, but never seen in a write to the write-ahead log: nothing can be said. */
  readonly unknown: number
}

interface Sought {
  /** Words of which each run and each answer has one of its own. */
  readonly runs: readonly string[]
  readonly answers: readonly string[]
}

/**
 * Reads a trace of `strace -f -yy` line by line. What a word belongs to is on disk when a write to the write-ahead log
 * that carries the word was followed by a sync of that log that had ended; only then may the word go to a socket as an
 * acknowledgement.
 */
export async function checkOrder(file: string, sought: Sought): Promise<Order> {
  const reader = new TraceReader(sought)
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) reader.read(line)
  return reader.order()
}

const WORD = /run_[\w-]{8,}|answer-\d+-[0-9a-f]{12}/g
const SOCKET = /^(?:write|writev|sendto|sendmsg)\(\d+<(?:TCP|socket)/
const LOG_WRITE = /^(?:pwrite64|pwritev|write|writev)\(\d+<[^>]*-wal>/
const LOG_SYNC = /^(?:fsync|fdatasync)\(\d+<[^>]*-wal>/

class TraceReader {
  readonly #runs: ReadonlySet<string>
  readonly #answers: ReadonlySet<string>
  /** Number of the last write to the log that carried a word. */
  readonly #written = new Map<string, number>()
  readonly #tallies = new Map<keyof Order, { checked: number; violations: number; unknown: number }>()
  /** Syncs under way by thread, with the number of writes that came before their start. */
  readonly #syncing = new Map<string, number>()
  #writes = 0
  /** Writes up to this number are on disk. */
  #synced = 0

  constructor({ runs, answers }: Sought) {
    this.#runs = new Set(runs)
    this.#answers = new Set(answers)
  }

  read(line: string): void {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (LOG_WRITE.test(call)) this.#onWrite(call)
    else if (LOG_SYNC.test(call)) this.#onSync(thread, call)
    else if (/^<\.\.\. (?:fsync|fdatasync) resumed>/.test(call)) this.#onSyncEnd(thread)
    else if (SOCKET.test(call)) this.#onSocket(call)
  }

  order(): Order {
    const tally = (kind: keyof Order): Tally => this.#tallies.get(kind) ?? { checked: 0, violations: 0, unknown: 0 }
    return {
      'accepted run': tally('accepted run'),
      'finished run': tally('finished run'),
      'answer in a later prompt': tally('answer in a later prompt'),
    }
  }

  #onWrite(call: string): void {
    this.#writes++
    for (const [word] of call.matchAll(WORD)) this.#written.set(word, this.#writes)
  }

  #onSync(thread: string, call: string): void {
    if (call.includes('<unfinished')) this.#syncing.set(thread, this.#writes)
    else this.#synced = this.#writes
  }

  #onSyncEnd(thread: string): void {
    this.#synced = Math.max(this.#synced, this.#syncing.get(thread) ?? 0)
    this.#syncing.delete(thread)
  }

  #onSocket(call: string): void {
    const isAccepted = call.includes('HTTP/1.1 201')
    const isEnd = call.includes('run:completed') || call.includes('run:failed')
    for (const word of new Set(Array.from(call.matchAll(WORD), ([found]) => found))) {
      if (this.#answers.has(word) && call.includes('/chat/completions')) this.#check('answer in a later prompt', word)
      if (this.#runs.has(word) && isAccepted) this.#check('accepted run', word)
      if (this.#runs.has(word) && isEnd) this.#check('finished run', word)
    }
  }

  #check(kind: keyof Order, word: string): void {
    const tally = this.#tallies.get(kind) ?? { checked: 0, violations: 0, unknown: 0 }
    this.#tallies.set(kind, tally)
    const write = this.#written.get(word)
    tally.checked++
    if (write === undefined) tally.unknown++
    else if (write > this.#synced) tally.violations++
  }
}
