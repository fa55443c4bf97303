import { randomBytes } from 'node:crypto'
import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import type { Tx } from '#db/database'
import { isStorageFault } from '#db/faults'
import { readCommand } from './commands.ts'
import { selectWaitingCommands } from './journal-store.ts'
import { claimRuns, extendLeases, releaseLeases, renewLease, selectOwners, type LeaseTerms } from './lease-store.ts'
import { faulted, openRun, type OpenedRun, type OpenRunDeps } from './open-run.ts'
import { Gate } from './gate.ts'
import type { DriveEnd } from './run-driver.ts'
import { findRun, lockRun, updateContent, updateRun, type RunRow } from './run-store.ts'
import { ValueReader } from './run-values.ts'
import { StepBoard } from './step-board.ts'

export interface DispatcherDeps extends OpenRunDeps {
  /** What is to be done every second beside the queue. */
  readonly chores: () => Promise<void>
}

interface Active {
  readonly row: RunRow
  /** Null while the run is being opened. */
  opened: OpenedRun | null
  /** Whether something was told of it in that time. */
  isTold: boolean
  readonly lost: AbortController
  readonly done: Promise<void>
  /** Whether it was said that nothing comes back. */
  isSilent: boolean
}

// Long enough for a disk to be cleared or a backup to end, short enough that nobody looks for what hangs.
const storageRetryMs = 2_000
const lookEveryMs = 1_000
const watchEveryMs = 100
// Reading journals keeps the processor busy. Of many at a time all would be late; one alone could hold up all others.
const reopenedAtOnce = 2
// How long the start of a server waits for the first of its runs, and how many turns it then leaves to its calls.
const longestHeadStartMs = 500
const turnsOfCalls = 8

/**
 * Drives the runs that this server holds the lease of. Runs wait in the database: every server takes as many as all of
 * them together may drive, keeps its leases alive, and takes over what another one has let go.
 */
export class Dispatcher implements AsyncDisposable {
  readonly #deps: DispatcherDeps
  readonly #terms: LeaseTerms
  readonly #active = new Map<string, Active>()
  readonly #stop = new AbortController()
  readonly #ended = new Set<Promise<void>>()
  readonly #reopening = new Gate(reopenedAtOnce)
  readonly #firstCaughtUp = Promise.withResolvers<void>()
  #claiming: Promise<void> | null = null
  #claimAgain = false
  /** Servers that are gone, whose runs the next claim takes over. */
  readonly #left: string[] = []
  /** Whether runs were left waiting for want of room when this server last looked. */
  #isMoreWaiting = false
  #ticker: NodeJS.Timeout | null = null
  #watching: Promise<void> | null = null
  #lastExtended = 0
  #listener: Disposable | null = null

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
    this.#terms = {
      owner: `${process.pid}-${randomBytes(6).toString('hex')}`,
      leaseMs: deps.leaseMs,
      dialect: deps.db.dialect,
    }
  }

  /**
   * Takes up the runs that nobody drives, and looks for such runs from now on. Resolves when the first of them makes its
   * calls, or after a moment.
   */
  async start(): Promise<void> {
    const { db } = this.#deps
    // Before the first lease: those of a server that nobody sees are anybody's.
    await db.join(this.#terms.owner)
    this.#listener = db.listen('slipway_runs', runId => this.#hear(runId))
    // Often enough that a lease never ends while its server lives.
    this.#ticker = setInterval(() => void this.#tick(), Math.min(lookEveryMs, this.#terms.leaseMs / 4))
    this.#ticker.unref()
    // Nobody else works on a SQLite file.
    if (db.dialect === 'postgres') this.#watching = this.#watch()
    await this.#takeOver(await this.#gone())
    if (this.#active.size === 0) return
    const late = new AbortController()
    await Promise.race([this.#firstCaughtUp.promise, sleep(longestHeadStartMs, late.signal).catch(() => undefined)])
    late.abort()
    // A call is out after so many turns, however long those are.
    for (let turn = 0; turn < turnsOfCalls; turn++) await sleep(2)
  }

  board(runId: string): StepBoard | null {
    return this.#active.get(runId)?.opened?.board ?? null
  }

  /** Whether this server drives so many runs that it can take no other. */
  get isFull(): boolean {
    return this.#active.size >= this.#deps.maxConcurrentRuns
  }

  get isStopping(): boolean {
    return this.#stop.signal.aborted
  }

  /** Takes runs that wait, as part of the caller's transaction, and drives them once that is on disk; gives their ids. */
  async claimIn(tx: Tx, gone: readonly string[] = []): Promise<ReadonlySet<string>> {
    if (this.#stop.signal.aborted) return new Set()
    const { runs, isFull } = await claimRuns(tx, { ...this.#terms, limit: this.#deps.maxConcurrentRuns, gone })
    tx.afterCommit(() => {
      this.#isMoreWaiting = isFull
      for (const row of runs.toSorted((a, b) => a.position - b.position)) this.#begin(row)
    })
    return new Set(runs.map(({ id }) => id))
  }

  /** Takes runs that wait; resolves when they are under way. Calls at the same time share the work. */
  claim(): Promise<void> {
    if (this.#claiming) {
      this.#claimAgain = true
      return this.#claiming
    }
    this.#claiming = this.#claimAll().finally(() => (this.#claiming = null))
    return this.#claiming
  }

  /** Resolves once this server does not drive the run any more. */
  async settled(runId: string): Promise<void> {
    await this.#active.get(runId)?.done
  }

  /** Lets go of the runs under way; they go on elsewhere, or here at the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ticker) clearInterval(this.#ticker)
    this.#listener?.[Symbol.dispose]()
    this.#stop.abort(new AppError('server.stopping', 'The server is stopping.'))
    await this.#watching
    await this.#claiming?.catch(() => undefined)
    while (this.#ended.size > 0) await Promise.allSettled([...this.#ended])
    await this.#deps.journal.settled()
    await this.#deps.db.transaction(tx => releaseLeases(tx, [this.#terms.owner])).catch(() => undefined)
  }

  async #claimAll(): Promise<void> {
    do {
      this.#claimAgain = false
      const gone = this.#left.splice(0)
      await this.#deps.journal
        .commit(tx => this.claimIn(tx, gone))
        .then(
          () => undefined,
          (error: unknown) => this.#complain(error),
        )
    } while (this.#claimAgain && !this.#stop.signal.aborted)
  }

  #hear(runId: string | null): void {
    const active = runId === null ? [...this.#active.keys()] : [runId]
    for (const id of active) this.#look(id).catch((error: unknown) => this.#complain(error))
    if (runId === null || !this.#active.has(runId)) void this.claim()
  }

  /** Looks what was asked of a run that this server drives. */
  async #look(runId: string): Promise<void> {
    const active = this.#active.get(runId)
    if (active) active.isTold = true
    const opened = active?.opened
    if (!opened) return
    const { read } = this.#deps.db
    const row = await findRun(read, runId)
    if (!row) return
    const waiting = await selectWaitingCommands(read, runId)
    const values = new ValueReader(read, row.family)
    await values.load(waiting.map(({ command }) => command))
    opened.driver.take(waiting.map(({ id, command }) => ({ id, ...readCommand(command, values) })))
    if (row.status === 'pausing') opened.driver.pause()
    await this.#deps.people.look(runId)
  }

  async #tick(): Promise<void> {
    try {
      if (performance.now() - this.#lastExtended > this.#terms.leaseMs / 3) await this.#extend()
      this.#tellSilent()
      await this.#deps.chores()
      await this.claim()
    } catch (error) {
      this.#complain(error)
    }
  }

  /** Takes over the runs of servers that are gone as soon as they are. */
  async #watch(): Promise<void> {
    const { signal } = this.#stop
    let missed: readonly string[] = []
    while (!signal.aborted) {
      try {
        await sleep(watchEveryMs, signal)
        const gone = await this.#gone()
        // One whose connection was cut, and nothing else, is back by the next time.
        const sure = gone.filter(owner => missed.includes(owner))
        missed = gone
        if (sure.length > 0) await this.#takeOver(sure)
      } catch (error) {
        // Whoever looks for runs every second says that the database is gone.
        if (!isStorageFault(error)) this.#complain(error)
      }
    }
  }

  async #gone(): Promise<string[]> {
    const { db } = this.#deps
    return db.gone(await selectOwners(db.read, this.#terms.owner))
  }

  async #takeOver(gone: readonly string[]): Promise<void> {
    if (gone.length > 0) this.#deps.log.info({ gone }, 'runs taken over from servers that are gone')
    this.#left.push(...gone)
    await this.claim()
  }

  /** Keeps the leases, and lets go of runs that another server has taken over meanwhile. */
  async #extend(): Promise<void> {
    this.#lastExtended = performance.now()
    const ids = [...this.#active.keys()]
    if (ids.length === 0) return
    // In the commits of entries: in one of its own, each could hold the row of a run that the other waits for.
    const held = await this.#deps.journal.commit(tx => extendLeases(tx, ids, this.#terms))
    const kept = new Map(held.map(({ id, lease }) => [id, lease]))
    for (const id of ids) {
      const active = this.#active.get(id)
      if (active && kept.get(id) !== active.row.lease && !(await this.#isReleased(active)))
        active.lost.abort(new AppError('run.lost', `Another server has taken over the run ${id}.`))
    }
  }

  // A run that has just ended here has no lease any more either.
  async #isReleased({ row }: Active): Promise<boolean> {
    const now = await findRun(this.#deps.db.read, row.id)
    return now?.lease === row.lease
  }

  #tellSilent(): void {
    for (const [runId, active] of this.#active) {
      const silence = active.opened?.driver.silence() ?? null
      const isSilent = silence !== null && silence.ms > this.#deps.stalledAfterMs
      if (isSilent && !active.isSilent) {
        const seconds = Math.round(silence.ms / 1000)
        this.#deps.log.warn({ runId, seconds, flowIndexes: silence.flowIndexes }, 'run stalled')
        active.opened?.driver.tell({
          event: 'execution:stalled',
          data: { seconds, waits_for: silence.flowIndexes },
        })
      }
      active.isSilent = isSilent
    }
  }

  #begin(row: RunRow): void {
    if (this.#active.has(row.id)) return
    const lost = new AbortController()
    const done = this.#drive(row, lost.signal)
      .then(end => {
        // One that rests may have been left to be taken up again.
        if (end !== 'over') this.#isMoreWaiting = true
      })
      .catch((cause: unknown) => this.#failed(row, cause))
      .catch((cause: unknown) => this.#later(row, cause))
      .finally(() => {
        this.#active.delete(row.id)
        this.#ended.delete(done)
        if (this.#isMoreWaiting && !this.#stop.signal.aborted) void this.claim()
      })
    this.#ended.add(done)
    this.#active.set(row.id, { row, opened: null, isTold: false, lost, done, isSilent: false })
  }

  async #drive(row: RunRow, lost: AbortSignal): Promise<DriveEnd> {
    const signal = AbortSignal.any([this.#stop.signal, lost])
    // Nothing is to be read of a new run.
    using turn = row.started_at === null ? null : await this.#reopening.enter()
    signal.throwIfAborted()
    await using opened = await openRun(row, this.#deps)
    const active = this.#active.get(row.id)
    if (active) active.opened = opened
    // Something may have been asked while it was being opened.
    if (active?.isTold === true) await this.#look(row.id)
    void opened.driver.caughtUp.then(() => {
      turn?.[Symbol.dispose]()
      this.#firstCaughtUp.resolve()
    })
    return await opened.driver.drive(signal)
  }

  async #failed(row: RunRow, cause: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return
    if (cause instanceof AppError && cause.code === 'run.lost') {
      this.#deps.log.warn({ runId: row.id }, 'run taken over by another server')
      return
    }
    if (isStorageFault(cause)) throw cause
    this.#deps.log.error({ runId: row.id, err: cause }, 'run ended by a fault of the server')
    await this.#fail(row, cause)
  }

  async #fail(row: RunRow, cause: unknown): Promise<void> {
    const { journal, events, now, db } = this.#deps
    const board = this.#active.get(row.id)?.opened?.board ?? new StepBoard([])
    const { change, content, event } = faulted(cause, { board, now })
    journal.restart(row.id)
    await db.transaction(async tx => {
      const current = await lockRun(tx, row.id, db.dialect)
      if (current?.lease !== row.lease) return
      const seq = current.seq + 1
      await updateRun(tx, row.id, { ...change, seq, owner: null, lease_until: null })
      await updateContent(tx, row.id, content)
      await events.append(tx, [{ organisation: row.organisation, runId: row.id, seq, ts: now(), ...event }])
    })
  }

  // A full disk or a database that is gone is no fault of the run: it goes on from its journal when that is over.
  #later(row: RunRow, cause: unknown): void {
    this.#deps.log.error({ runId: row.id, err: cause }, 'run not written')
    if (!isStorageFault(cause)) return
    const again = this.#takeUpAgain(row).catch(() => undefined)
    this.#ended.add(again)
    void again.finally(() => this.#ended.delete(again))
  }

  async #takeUpAgain(row: RunRow): Promise<void> {
    for (;;) {
      await sleep(storageRetryMs, this.#stop.signal)
      try {
        const renewed = await this.#deps.db.transaction(tx => renewLease(tx, row, this.#terms))
        if (renewed) this.#begin(renewed)
        return
      } catch (error) {
        if (!isStorageFault(error)) throw error
      }
    }
  }

  #complain(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#deps.log.error({ err: error }, 'the queue of runs could not be read')
  }
}
