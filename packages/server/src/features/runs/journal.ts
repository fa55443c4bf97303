import type { Database } from '#db/database'
import type { EventDraft, EventLog } from '#features/events/events'
import {
  insertCalls,
  insertInput,
  insertSteps,
  updateRun,
  type CallRow,
  type InputRow,
  type RunChange,
  type StepRow,
} from './run-store.ts'

/** What one decision of a run puts on disk, all of it or nothing. */
export interface JournalEntry {
  readonly runId: string
  readonly calls?: readonly CallRow[]
  readonly steps?: readonly StepRow[]
  readonly inputs?: readonly InputRow[]
  readonly events?: readonly EventDraft[]
  readonly change?: RunChange
}

interface Waiting {
  readonly entry: JournalEntry
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

// Bounds one transaction, so that a flood of entries does not keep the others from reading.
const entriesPerCommit = 500

/**
 * Writes the entries of all runs, as many as wait in one transaction: with many runs under way the cost of getting a
 * commit to the disk is shared.
 */
export class Journal {
  readonly #db: Database
  readonly #events: EventLog
  #waiting: Waiting[] = []
  #flushing: Promise<void> | null = null
  /** Runs with an entry that could not be written, and why. */
  readonly #broken = new Map<string, unknown>()

  constructor(db: Database, events: EventLog) {
    this.#db = db
    this.#events = events
  }

  /**
   * Resolves once the entry is on disk. Entries of one run keep their order: behind one that could not be written, no
   * other of its run is, until `restart`.
   */
  append(entry: JournalEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Takes entries of a run again, for whoever goes on from what is on disk. */
  restart(runId: string): void {
    this.#broken.delete(runId)
  }

  /** Resolves once everything appended so far is written or has failed. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing
  }

  async #flush(): Promise<void> {
    // One turn of the loop, so that what other runs append in this turn shares the commit.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      await this.#writeAll(this.#waiting.splice(0, entriesPerCommit))
    }
    this.#flushing = null
  }

  async #writeAll(batch: readonly Waiting[]): Promise<void> {
    const sound = batch.filter(({ entry, reject }) => {
      if (!this.#broken.has(entry.runId)) return true
      reject(this.#broken.get(entry.runId))
      return false
    })
    if (sound.length === 0) return
    try {
      await this.#write(sound.map(waiting => waiting.entry))
      for (const waiting of sound) waiting.resolve()
    } catch (error) {
      // One entry that cannot be written must not take those of other runs with it.
      if (sound.length > 1) for (const waiting of sound) await this.#writeAll([waiting])
      else this.#refuse(sound, error)
    }
  }

  #refuse(waiting: readonly Waiting[], error: unknown): void {
    for (const { entry, reject } of waiting) {
      this.#broken.set(entry.runId, error)
      reject(error)
    }
  }

  #write(entries: readonly JournalEntry[]): Promise<void> {
    return this.#db.transaction(async tx => {
      await insertCalls(
        tx,
        entries.flatMap(entry => entry.calls ?? []),
      )
      await insertSteps(
        tx,
        entries.flatMap(entry => entry.steps ?? []),
      )
      for (const input of entries.flatMap(entry => entry.inputs ?? [])) await insertInput(tx, input)
      for (const { runId, change = {} } of entries) {
        if (Object.keys(change).length > 0) await updateRun(tx, runId, change)
      }
      await this.#events.append(
        tx,
        entries.flatMap(entry => entry.events ?? []),
      )
    })
  }
}
