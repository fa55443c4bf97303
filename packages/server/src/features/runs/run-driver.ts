import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EffectRequest } from '@slipway/engine/run/effects'
import type { RunEnd } from '@slipway/engine/run/records'
import type { Progress, Run as EngineRun } from '@slipway/engine/run/run'
import type { EventDraft } from '#features/events/events'
import { decodeOutcome } from './call-record.ts'
import type { RecordedCommand, WaitingCommand } from './commands.ts'
import type { EntryWriter, FinishedCall, WrittenPosition } from './entry-writer.ts'
import type { InputRow } from './input-store.ts'
import type { Journal, JournalEntry } from './journal.ts'
import { isRead, type PerformedCall, type RunEffects } from './run-effects.ts'
import { toRunEvent, type RunEventDraft } from './run-events.ts'
import { updateRunIf, type ContentChange, type RunChange } from './run-store.ts'
import type { Tx } from '#db/database'
import type { StepBoard } from './step-board.ts'
import { WaitingCalls, type CallKind } from './waiting-calls.ts'

/** An entry of the journal that a replay hands back to the engine. */
export type RecordedEntry =
  | { readonly type: 'call'; readonly n: number; readonly key: string; readonly outcome: string }
  | ({ readonly type: 'command'; readonly n: number } & RecordedCommand)

export interface RunDriverOptions {
  readonly organisation: string
  readonly runId: string
  readonly engine: EngineRun
  readonly effects: RunEffects
  readonly journal: Journal
  readonly writer: EntryWriter
  /** Where the run stands on disk; all zero for a new one. */
  readonly position: WrittenPosition
  /** Entries of the journal that the engine begins with: those in its snapshot. */
  readonly consumed: number
  /** What is to be replayed: the entries behind the snapshot that the engine begins with, in their order. */
  readonly recorded: readonly RecordedEntry[]
  /** Nothing of it is on disk but what it begins with. */
  readonly isNew: boolean
  /** It was paused or waited, and goes on because somebody said so, not because a server ended under it. */
  readonly isResumed: boolean
  /** Keys of calls that were under way when a server ended. */
  readonly interrupted: ReadonlySet<string>
  readonly board: StepBoard
  /** Cycles between two snapshots, at least. */
  readonly snapshotEvery: number
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
  /** What a finished run leaves behind: its status, result and last event. */
  readonly closing: (end: RunEnd, cancelledAs: string | null) => Closing
  /**
   * The last write of a drive: gives a run that rests its state, unless something was asked of it meanwhile, and settles
   * what is left of one that is over.
   */
  readonly settle: (tx: Tx, end: DriveEnd, openKeys: readonly string[]) => Promise<void>
}

export interface Closing {
  readonly change: RunChange
  readonly content: ContentChange
  readonly event: RunEventDraft
}

/** How a drive ended: the run is over, or keeps no worker until somebody does something. */
export type DriveEnd = 'over' | 'paused' | 'waiting'

// Calls of one run that are under way at the same time; the rest wait their turn.
const maxCallsUnderWay = 32
const replayedPerTurn = 50
const progressEveryMs = 500
const mostUnwritten = 64

/**
 * Drives one run: asks the engine what to do, performs it, and puts the outcome and the next decision on disk.
 *
 * R1. An outcome or a command is on disk, together with what the engine decided on it, before anything that follows from
 *     it leaves the process; so an answered call is never made again. What was only read is put on disk with what
 *     is made of it.
 * R2. Outcomes and commands are handed over one at a time in the order of their numbers, so a replay decides the same.
 * R3. Records and events of the engine are numbered, and each is written once, with the entry that led to it.
 */
export class RunDriver {
  readonly #options: RunDriverOptions
  readonly #requested = new Map<string, EffectRequest>()
  readonly #arrived: FinishedCall[] = []
  #commands: WaitingCommand[] = []
  readonly #seenCommands = new Set<string>()
  readonly #stop = new AbortController()
  readonly #waiting: WaitingCalls
  /** Calls that the run has a worker for; those that wait for a person's answer alone are none. */
  #underWay = 0
  /** Those of them that only read. */
  #reading = 0
  /** What outcomes and decisions have yielded since the last commit. */
  #unwritten: JournalEntry[] = []
  #end: RunEnd | null = null
  #held: Progress['held'] = null
  #cancelledAs: string | null = null
  #isPausing = false
  #failure: { readonly cause: unknown } | null = null
  /** Whoever waits for something to happen, and whether something has since they last looked. */
  #wake: (() => void) | null = null
  #isStirred = false
  #lastWrite: Promise<void> = Promise.resolve()
  #progressTold = 0
  #lastMove: number
  #consumed: number
  readonly #caughtUp = Promise.withResolvers<void>()

  constructor(options: RunDriverOptions) {
    this.#consumed = options.consumed
    this.#options = options
    this.#waiting = new WaitingCalls(request => options.effects.kindOf(request, options.interrupted.has(request.key)))
    this.#lastMove = options.now()
  }

  /** Resolves once the drive has done again what is on disk and begins something new, and at the latest with its end. */
  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise
  }

  /** Lets the calls under way end and begins no others; questions to people stay open. */
  pause(): void {
    this.#isPausing = true
    this.#stir()
  }

  /** Takes up what people have asked for; what it has taken up already is ignored. */
  take(commands: readonly WaitingCommand[]): void {
    for (const command of commands) {
      if (this.#seenCommands.has(command.id)) continue
      this.#seenCommands.add(command.id)
      this.#commands.push(command)
    }
    this.#stir()
  }

  /** The calls under way, and for how many milliseconds nothing has come back; null when nothing is under way. */
  silence(): { readonly ms: number; readonly flowIndexes: readonly string[] } | null {
    if (this.#underWay === 0) return null
    const flowIndexes = new Set([...this.#requested.values()].map(({ flowIndex }) => flowIndex))
    return { ms: this.#options.now() - this.#lastMove, flowIndexes: [...flowIndexes] }
  }

  /** Tells watchers something outside of a decision. */
  tell(event: RunEventDraft): void {
    if (this.#stop.signal.aborted) return
    this.#unwritten.push(this.#options.writer.entry({ events: [this.#number(event)] }))
    this.#stir()
  }

  /** As `tell`, with a question that goes on disk together with it; resolves once it is there. */
  async announce(event: RunEventDraft, input: InputRow | null = null): Promise<void> {
    this.#stop.signal.throwIfAborted()
    this.#unwritten.push(
      this.#options.writer.entry({ inputs: input === null ? [] : [input], events: [this.#number(event)] }),
    )
    await this.#commit()
  }

  /**
   * Resolves when the run is over, paused or waits for people, and that is on disk. Rejects with the signal's reason when
   * it is to continue another time, and with anything else when the server itself is at fault; nothing of the run is
   * being written any more then.
   */
  async drive(signal: AbortSignal): Promise<DriveEnd> {
    signal.throwIfAborted()
    const onAbort = (): void => {
      this.#stop.abort(signal.reason)
      this.#stir()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#unwritten.push(this.#opening())
      await this.#replay()
      while (!this.#isDone()) await this.#turn(signal)
      return await this.#close()
    } catch (cause) {
      this.#stop.abort(cause)
      await this.#lastWrite
      throw cause
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#caughtUp.resolve()
    }
  }

  /** What is told before the first decision. */
  #opening(): JournalEntry {
    const { runId, board, now, writer, isNew } = this.#options
    const startedAt = Math.round(now())
    const running = { status: 'running', held: null } as const
    return writer.entry({
      events: this.#openingEvents(startedAt).map(event => this.#number(event)),
      change: isNew ? { started_at: startedAt } : {},
      content: isNew ? { node_statuses: JSON.stringify(board.statuses()) } : {},
      // What was asked of the run since it was taken up stands.
      also: async tx => void (await updateRunIf(tx, { runId, from: ['pending', 'running'] }, running)),
    })
  }

  #openingEvents(startedAt: number): RunEventDraft[] {
    const { board, position, isNew, isResumed, interrupted } = this.#options
    if (isNew)
      return [
        { event: 'run:started', data: { started_at: new Date(startedAt).toISOString() } },
        { event: 'node:statuses', data: { statuses: board.statuses(), total_count: board.size } },
      ]
    if (this.#isPausing) return []
    if (isResumed) return [{ event: 'execution:resumed', data: {} }]
    return [{ event: 'run:recovered', data: { answered_calls: position.entries, repeated_calls: [...interrupted] } }]
  }

  async #replay(): Promise<void> {
    const { engine, recorded } = this.#options
    const commands = recorded.filter(entry => entry.type === 'command')
    this.#limit(commands.shift())
    await this.#advance()
    for (const [index, entry] of recorded.entries()) {
      if (entry.type === 'call') this.#handBack(entry)
      else {
        if (engine.command(entry.command) !== null)
          throw new Error(`The plan no longer takes the command ${entry.n} of the journal.`)
        this.#noteCommand(entry)
        this.#limit(commands.shift())
      }
      await this.#advance()
      // A long journal is read in parts, between which everybody else gets a turn.
      if (index % replayedPerTurn === 0) await nextTurn()
      if (this.#stop.signal.aborted) return
    }
    this.#dropUnawaited()
  }

  #handBack({ key, outcome }: Extract<RecordedEntry, { type: 'call' }>): void {
    if (!this.#requested.delete(key))
      throw new Error(`The plan no longer asks for ${key}, which the journal has an answer to.`)
    this.#consumed++
    this.#options.engine.resolve(key, decodeOutcome(outcome))
  }

  // What was not started when the next command came is not started before it in a replay either. A run that is only
  // opened for a command or a pause goes no further than it was.
  #limit(next: RecordedEntry | undefined): void {
    const staysThere = this.#isPausing || this.#commands.length > 0
    const starts = next?.type === 'command' ? next.starts : staysThere ? this.#options.position.starts : null
    this.#options.engine.limitStarts(starts)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#failure !== null) throw this.#failure.cause
    if (this.#commands.length > 0) return this.#carryOut()
    this.#options.engine.limitStarts(this.#isPausing ? this.#options.engine.starts : null)
    await this.#advance()
    await this.#takeFinished()
    for (const request of this.#takeWaiting('read')) void this.#perform(request)
    // Outcomes of reads cost nothing to have again: they go on disk with what is made of them.
    if (this.#reading > 0 && this.#unwritten.length < mostUnwritten) return this.#stirred()
    if (this.#isDone()) return
    const begun = this.#beginWaiting()
    await this.#commit()
    this.#stop.signal.throwIfAborted()
    for (const request of begun) void this.#perform(request)
    this.#caughtUp.resolve()
    if (!this.#isDone()) await this.#stirred()
  }

  async #takeFinished(): Promise<void> {
    const { engine, writer } = this.#options
    const finished = this.#arrived.splice(0).filter(({ request }) => this.#requested.has(request.key))
    if (finished.length > 0) this.#lastMove = this.#options.now()
    for (const call of finished) {
      this.#unwritten.push(writer.callEntry(call, event => this.#number(event)))
      this.#requested.delete(call.request.key)
      this.#consumed++
      engine.resolve(call.request.key, call.call.outcome)
      await this.#advance()
      if (this.#end !== null) break
    }
  }

  /** Applies what people asked for, at a moment at which the engine computes nothing. */
  async #carryOut(): Promise<void> {
    const { engine, writer } = this.#options
    engine.limitStarts(engine.starts)
    await this.#advance()
    for (const waiting of this.#commands.splice(0)) {
      const starts = engine.starts
      const refusal = engine.command(waiting.command)?.message ?? null
      const told = waiting.command.type === 'cancel' ? [stopped(waiting.command.reason)] : []
      const events = (refusal === null ? told : [refused(waiting.id, refusal)]).map(event => this.#number(event))
      this.#unwritten.push(writer.commandEntry({ id: waiting.id, starts, refusal, events }))
      if (refusal !== null) continue
      this.#noteCommand(waiting)
      this.#end = null
      this.#held = null
      this.#dropUnawaited()
      await this.#advance()
    }
    const breakpoints = JSON.stringify(engine.breakpoints)
    this.#unwritten.push(writer.entry({ change: { breakpoints } }))
    await this.#commit()
  }

  #noteCommand({ cancelAs }: Pick<WaitingCommand, 'cancelAs'>): void {
    this.#consumed++
    this.#cancelledAs = cancelAs
  }

  // A command may have given up steps whose calls are under way or wait to be made.
  #dropUnawaited(): void {
    const { engine } = this.#options
    for (const key of this.#requested.keys()) if (!engine.awaits(key)) this.#requested.delete(key)
    this.#waiting.keep(({ key }) => this.#requested.has(key))
  }

  /** Lets the engine go on until it waits for outcomes. Between its turns all others get theirs. */
  async #advance(): Promise<void> {
    let progress = this.#options.engine.advance()
    this.#apply(progress)
    while (progress.more) {
      // Waiting for the disk keeps a run from making more than it can take.
      await this.#commit()
      await nextTurn()
      if (this.#stop.signal.aborted || this.#failure !== null) return
      const { engine } = this.#options
      // Steps that have begun to compute end; further ones do not start.
      if (this.#isPausing || this.#commands.length > 0) engine.limitStarts(this.#mostStarts())
      progress = engine.advance()
      this.#apply(progress)
    }
  }

  // Not before the run is where it was: a replay is not interrupted.
  #mostStarts(): number {
    return Math.max(this.#options.engine.starts, this.#options.position.starts)
  }

  #apply(progress: Progress): void {
    const { board, writer } = this.#options
    for (const request of progress.effects) {
      this.#requested.set(request.key, request)
      this.#waiting.add(request)
    }
    this.#end = progress.end
    this.#held = progress.held?.by === 'limit' ? null : progress.held
    const fresh = writer.fresh(progress, this.#options.engine)
    board.apply(fresh.known.records, fresh.known.events)
    const changed = board.apply(fresh.records, fresh.events)
    const events = fresh.events.map(event => toRunEvent(event))
    if (Object.keys(changed).length > 0) events.push({ event: 'node:statuses', data: { statuses: changed } })
    if (events.length === 0 && fresh.records.length === 0 && progress.snapshot === null) return
    const snapshot = progress.snapshot && { state: progress.snapshot, consumed: this.#consumed }
    const numbered = events.map(event => this.#number(event))
    this.#unwritten.push(writer.decisionEntry({ records: fresh.records, events: numbered, snapshot }))
    if (writer.wantsSnapshot(this.#options.engine.cycle, this.#options.snapshotEvery))
      this.#options.engine.requestSnapshot()
  }

  async #commit(): Promise<void> {
    if (this.#unwritten.length === 0) return
    const now = this.#options.now()
    if (now - this.#progressTold > progressEveryMs && this.#end === null) {
      this.#progressTold = now
      this.#unwritten.push(this.#options.writer.entry(this.#progress()))
    }
    const entry = this.#options.writer.joined(this.#unwritten.splice(0))
    const written = this.#options.journal.append(entry)
    this.#lastWrite = written.catch(() => undefined)
    await written
  }

  #progress(): { readonly change: RunChange; readonly content: ContentChange } {
    const { board } = this.#options
    return {
      change: { progress: JSON.stringify(board.progress()) },
      content: { node_statuses: JSON.stringify(board.statuses()) },
    }
  }

  // A run with commands or answers left to take is neither over nor paused yet.
  #isDone(): boolean {
    if (this.#commands.length > 0 || this.#failure !== null || this.#stop.signal.aborted) return false
    if (this.#end !== null) return true
    if (this.#arrived.length > 0 || this.#underWay > 0) return false
    return this.#isPausing || this.#held !== null || this.#waitsForPeople()
  }

  #waitsForPeople(): boolean {
    return this.#waiting.isEmpty && this.#requested.size > 0
  }

  async #close(): Promise<DriveEnd> {
    const { closing, writer, journal, settle } = this.#options
    const free: RunChange = { owner: null, lease_until: null }
    const kind: DriveEnd = this.#end !== null ? 'over' : this.#isPausing || this.#held !== null ? 'paused' : 'waiting'
    const last = this.#end === null ? this.#resting(kind) : closing(this.#end, this.#cancelledAs)
    const open = [...this.#requested.keys()]
    this.#stop.abort(new Error('The run is not driven any more.'))
    const entry = writer.entry({
      events: [this.#number(last.event)],
      change: { ...last.change, ...free },
      content: last.content,
      also: tx => settle(tx, kind, open),
    })
    await journal.append(writer.joined([...this.#unwritten.splice(0), entry]))
    return kind
  }

  #resting(kind: DriveEnd): Closing {
    const progress = this.#progress()
    const held = this.#held === null ? null : { by: this.#held.by, flow_index: this.#held.flowIndex }
    return {
      change: { ...progress.change, held: held && JSON.stringify(held) },
      content: progress.content,
      event: {
        event: kind === 'paused' ? 'execution:paused' : 'execution:waiting',
        data: kind === 'paused' ? { held, progress: this.#options.board.progress() } : {},
      },
    }
  }

  /** Takes the requests that may be performed now, and notes the start of each for the commit before it. */
  #beginWaiting(): readonly EffectRequest[] {
    const { effects, writer, interrupted } = this.#options
    const begun = [...this.#takeWaiting('patient'), ...this.#takeWaiting('work')]
    const events = begun.flatMap(request => effects.begun(request, interrupted.has(request.key)) ?? [])
    if (events.length > 0) this.#unwritten.push(writer.entry({ events: events.map(event => this.#number(event)) }))
    return begun
  }

  #takeWaiting(kind: CallKind): readonly EffectRequest[] {
    if (this.#isPausing) return []
    return this.#waiting.take(kind, kind === 'patient' ? Number.POSITIVE_INFINITY : maxCallsUnderWay - this.#underWay)
  }

  async #perform(request: EffectRequest): Promise<void> {
    const startedAt = this.#options.now()
    const reads = isRead(request) ? 1 : 0
    let waits = false
    this.#underWay++
    this.#reading += reads
    const setWaits = (forPerson: boolean): void => {
      if (forPerson !== waits) this.#underWay += forPerson ? -1 : 1
      waits = forPerson
      this.#stir()
    }
    try {
      const call: PerformedCall = await this.#options.effects.perform(request, {
        signal: this.#stop.signal,
        wasInterrupted: this.#options.interrupted.has(request.key),
        waits: setWaits,
      })
      this.#arrived.push({ request, call, startedAt, finishedAt: this.#options.now() })
    } catch (cause) {
      if (!this.#stop.signal.aborted) this.#failure ??= { cause }
    } finally {
      setWaits(false)
      this.#underWay--
      this.#reading -= reads
      this.#stir()
    }
  }

  #stir(): void {
    this.#isStirred = true
    this.#wake?.()
  }

  /** Resolves once something has happened since it resolved the last time. */
  async #stirred(): Promise<void> {
    if (!this.#isStirred) await new Promise<void>(resolve => (this.#wake = resolve))
    this.#wake = null
    this.#isStirred = false
  }

  #number({ event, data }: RunEventDraft): EventDraft {
    const { organisation, runId, writer, now } = this.#options
    return { organisation, runId, seq: writer.nextSeq(), event, ts: now(), data }
  }
}

function stopped(reason: string): RunEventDraft {
  return { event: 'execution:stopped', data: { reason } }
}

function refused(commandId: string, message: string): RunEventDraft {
  return { event: 'command:refused', data: { command_id: commandId, message } }
}
