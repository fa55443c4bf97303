import { AppError } from '@slipway/protocol/errors'
import type { Database, Tx } from '#db/database'
import type { EventDraft, EventLog } from '#features/events/events'
import { insertInput, type InputRow } from './input-store.ts'
import {
  markCommand,
  writePositions,
  writeSnapshot,
  type AppliedCommand,
  type CallRow,
  type PositionRow,
  type SnapshotRow,
  type StepRow,
  type ValueRow,
} from './journal-store.ts'
import { updateContent, updateRun, type ContentChange, type RunChange } from './run-store.ts'

/** What one decision of a run puts on disk, all of it or nothing. */
export interface JournalEntry {
  /** Where the run stands with this entry, and the lease under which it may be written. */
  readonly position: PositionRow
  readonly values?: readonly ValueRow[]
  readonly calls?: readonly CallRow[]
  readonly commands?: readonly AppliedCommand[]
  readonly steps?: readonly StepRow[]
  readonly inputs?: readonly InputRow[]
  readonly events?: readonly EventDraft[]
  readonly snapshot?: SnapshotRow | null
  readonly change?: RunChange
  readonly content?: ContentChange
  /** Last part of the same transaction. */
  readonly also?: (tx: Tx) => Promise<void>
}

interface Waiting {
  readonly runId: string
  readonly entry: JournalEntry | null
  readonly work: (tx: Tx) => Promise<void>
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
   * other of its run is, until `restart`. Rejects with `run.lost` when another server drives the run by now.
   */
  append(entry: JournalEntry): Promise<void> {
    return this.#add(entry.position.id, entry, () => Promise.resolve())
  }

  /** Runs `work` in the next commit, which it shares with entries of runs; one that fails does not take them with it. */
  async commit<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let result: { readonly value: T } | null = null
    await this.#add('', null, async tx => {
      result = { value: await work(tx) }
    })
    return (result as unknown as { readonly value: T }).value
  }

  /** Takes entries of a run again, for whoever goes on from what is on disk. */
  restart(runId: string): void {
    this.#broken.delete(runId)
  }

  /** Resolves once everything appended so far is written or has failed. */
  async settled(): Promise<void> {
    while (this.#flushing) await this.#flushing
  }

  #add(runId: string, entry: JournalEntry | null, work: (tx: Tx) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ runId, entry, work, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  async #flush(): Promise<void> {
    // One turn of the loop, so that what other runs append in this turn shares the commit.
    await new Promise(resolve => setImmediate(resolve))
    while (this.#waiting.length > 0) await this.#writeAll(this.#waiting.splice(0, entriesPerCommit))
    this.#flushing = null
  }

  async #writeAll(batch: readonly Waiting[]): Promise<void> {
    const sound = batch.filter(({ runId, reject }) => {
      if (!this.#broken.has(runId)) return true
      reject(this.#broken.get(runId))
      return false
    })
    if (sound.length === 0) return
    try {
      await this.#write(sound)
      for (const waiting of sound) waiting.resolve()
    } catch (error) {
      // One entry that cannot be written must not take those of other runs with it.
      if (sound.length > 1) for (const waiting of sound) await this.#writeAll([waiting])
      else this.#refuse(sound, error)
    }
  }

  #refuse(waiting: readonly Waiting[], error: unknown): void {
    for (const { runId, entry, reject } of waiting) {
      if (entry !== null) this.#broken.set(runId, error)
      reject(error)
    }
  }

  #write(batch: readonly Waiting[]): Promise<void> {
    const entries = batch.flatMap(({ entry }) => entry ?? [])
    return this.#db.transaction(async tx => {
      for (const { work } of batch) await work(tx)
      await this.#checkLeases(tx, entries)
      await tx.insertMissing(
        'run_value',
        entries.flatMap(entry => entry.values ?? []),
      )
      await tx.insertAll(
        'run_call',
        entries.flatMap(entry => entry.calls ?? []),
      )
      await tx.insertAll(
        'run_step',
        entries.flatMap(entry => entry.steps ?? []),
      )
      for (const entry of entries) await writeRare(tx, entry)
      await this.#events.append(
        tx,
        entries.flatMap(entry => entry.events ?? []),
      )
    })
  }

  // The first write of a transaction, so that on Postgres nobody else takes over a run while its entry is written.
  async #checkLeases(tx: Tx, entries: readonly JournalEntry[]): Promise<void> {
    if (entries.length === 0) return
    const positions = new Map<string, PositionRow>()
    for (const { position } of entries) {
      const before = positions.get(position.id)?.before ?? position.before
      positions.set(position.id, { ...position, before })
    }
    const written = await writePositions(tx, [...positions.values()])
    if (written === positions.size) return
    throw new AppError('run.lost', 'Another server has taken over a run that this one was driving.')
  }
}

async function writeRare(tx: Tx, entry: JournalEntry): Promise<void> {
  const runId = entry.position.id
  for (const input of entry.inputs ?? []) await insertInput(tx, input)
  for (const command of entry.commands ?? []) await markCommand(tx, command)
  if (entry.snapshot) await writeSnapshot(tx, entry.snapshot)
  if (entry.change && Object.keys(entry.change).length > 0) await updateRun(tx, runId, entry.change)
  if (entry.content && Object.keys(entry.content).length > 0) await updateContent(tx, runId, entry.content)
  await entry.also?.(tx)
}
