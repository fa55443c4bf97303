import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EffectRequest } from '@slipway/engine/run/effects'
import type { RunEnd, StepRecord } from '@slipway/engine/run/records'
import type { Progress, Run as EngineRun } from '@slipway/engine/run/run'
import type { EventDraft } from '#features/events/events'
import { decodeOutcome, describeInputs, encodeOutcome } from './call-record.ts'
import type { Journal, JournalEntry } from './journal.ts'
import type { PerformedCall, RunEffects } from './run-effects.ts'
import { toRunEvent, type RunEventDraft } from './run-events.ts'
import type { CallRow, InputRow, RunChange, StepRow } from './run-store.ts'
import type { StepBoard } from './step-board.ts'
import { encodeRecord } from './step-record.ts'

/** Where a run stands on disk: zeros for a new one. */
export interface RunPosition {
  /** The last event number of the run. */
  readonly seq: number
  /** Decisions whose records and events are written. */
  readonly advances: number
  readonly outcomes: readonly { readonly key: string; readonly outcome: string }[]
  /** It was paused and goes on because somebody said so, not because the server ended under it. */
  readonly isResumed: boolean
}

export interface RunDriverOptions {
  readonly runId: string
  readonly engine: EngineRun
  readonly effects: RunEffects
  readonly journal: Journal
  readonly position: RunPosition
  readonly board: StepBoard
  /** The concept that the step of a flow index infers. */
  readonly conceptOf: (flowIndex: string) => string
  /** Milliseconds since 1970, with fractions. */
  readonly now: () => number
  /** What a finished run leaves behind: its status, result and last event. */
  readonly closing: (end: RunEnd) => Closing
}

export interface Closing {
  readonly change: RunChange
  readonly event: RunEventDraft
}

interface FinishedCall {
  readonly request: EffectRequest
  readonly call: PerformedCall
  readonly startedAt: number
  readonly finishedAt: number
}

// Calls of one run that are under way at the same time; the rest wait their turn.
const maxCallsUnderWay = 32
const replayedPerTurn = 50

/**
 * Drives one run: asks the engine what to do, performs it, and puts the outcome and the next decision on disk.
 *
 * R1. An outcome is on disk, together with what the engine decided on it, before anything that follows from it leaves
 *     the process; so an answered call is never made again.
 * R2. Outcomes are handed over one at a time in the order of their numbers, so a replay decides the same.
 * R3. What a decision yields is written together with the decision's number; a replay writes nothing twice.
 */
export class RunDriver {
  readonly #options: RunDriverOptions
  readonly #requested = new Map<string, EffectRequest>()
  readonly #arrived: FinishedCall[] = []
  readonly #stop = new AbortController()
  #toPerform: EffectRequest[] = []
  #underWay = 0
  #seq: number
  #advances = 0
  #calls: number
  /** What outcomes and decisions have yielded since the last commit. */
  #unwritten: JournalEntry[] = []
  #end: RunEnd | null = null
  #cancelReason: string | null = null
  #isPausing = false
  #failure: { readonly cause: unknown } | null = null
  #wake: (() => void) | null = null
  #lastWrite: Promise<void> = Promise.resolve()

  constructor(options: RunDriverOptions) {
    this.#options = options
    this.#seq = options.position.seq
    this.#calls = options.position.outcomes.length
  }

  /** Ends the run; the calls under way are given up. */
  cancel(reason: string): void {
    if (this.#cancelReason === null) this.tell({ event: 'execution:stopped', data: { reason } })
    this.#cancelReason ??= reason
    this.#wake?.()
  }

  /** Lets the calls under way end and begins no others; questions to people stay open. */
  pause(): void {
    this.#isPausing = true
    this.#wake?.()
  }

  /** Tells watchers something outside of a decision, such as that a call has begun. */
  tell(event: RunEventDraft): void {
    if (this.#stop.signal.aborted) return
    const entry = { runId: this.#options.runId, events: [this.#number(event)] }
    // Behind what was numbered before it and is about to be written.
    if (this.#unwritten.length > 0) this.#unwritten.push(entry)
    else this.#write(entry)
  }

  /** Puts a question to a person on disk together with the event that tells of it. */
  async ask(input: InputRow, event: RunEventDraft): Promise<void> {
    this.#stop.signal.throwIfAborted()
    // What was numbered before it is written before it: a live reader drops what comes with a lower number.
    while (this.#unwritten.length > 0) {
      await nextTurn()
      this.#stop.signal.throwIfAborted()
    }
    const entry = { runId: this.#options.runId, inputs: [input], events: [this.#number(event)] }
    const written = this.#options.journal.append(entry)
    this.#lastWrite = written.catch(() => undefined)
    await written
  }

  /**
   * Resolves when the run is over, or paused, and that is on disk. Rejects with the signal's reason when it is to
   * continue another time, and with anything else when the server itself is at fault; nothing of the run is being
   * written any more then.
   */
  async drive(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const onAbort = (): void => {
      this.#stop.abort(signal.reason)
      this.#wake?.()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#unwritten.push(this.#opening())
      await this.#advance()
      await this.#replay()
      await this.#commit()
      while (this.#end === null && !this.#isPaused()) await this.#turn(signal)
      await this.#close(this.#end === null ? this.#pausing() : this.#options.closing(this.#end))
    } catch (cause) {
      this.#stop.abort(cause)
      await this.#lastWrite
      throw cause
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** What is told before the first decision. */
  #opening(): JournalEntry {
    const { runId, board, position, now } = this.#options
    const statuses = { statuses: board.statuses(), total_count: board.size }
    const startedAt = Math.round(now())
    const events: RunEventDraft[] =
      position.advances > 0
        ? [
            {
              event: position.isResumed ? 'execution:resumed' : 'run:recovered',
              data: { answered_calls: position.outcomes.length },
            },
          ]
        : [
            { event: 'run:started', data: { started_at: new Date(startedAt).toISOString() } },
            { event: 'node:statuses', data: statuses },
          ]
    const status: RunChange = this.#isPausing ? {} : { status: 'running' }
    const change = position.advances > 0 ? status : { ...status, started_at: startedAt }
    return { runId, events: events.map(event => this.#number(event)), change }
  }

  async #replay(): Promise<void> {
    for (const { key, outcome } of this.#options.position.outcomes) {
      if (this.#end !== null || this.#isInterrupted()) return
      if (!this.#requested.delete(key))
        throw new Error(`The plan no longer asks for ${key}, which the journal has an answer to.`)
      this.#options.engine.resolve(key, decodeOutcome(outcome))
      await this.#advance()
      // A long journal is read in parts, between which everybody else gets a turn.
      if (this.#advances % replayedPerTurn === 0) await nextTurn()
    }
    // What is still asked for was under way when the server ended: it is done again.
    this.#toPerform = [...this.#requested.values()]
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#failure !== null) throw this.#failure.cause
    if (this.#cancelReason !== null) return this.#apply(this.#options.engine.cancel(this.#cancelReason))
    if (!this.#isPausing) this.#performWaiting()
    const finished = this.#arrived.splice(0)
    if (finished.length === 0) return this.#arrival()
    this.#unwritten.push(this.#entryOf(finished))
    for (const { request, call } of finished) {
      this.#requested.delete(request.key)
      this.#options.engine.resolve(request.key, call.outcome)
      await this.#advance()
      // What was answered and is not handed over is on disk, for whoever takes the run up again.
      if (this.#end !== null || this.#isInterrupted()) break
    }
    await this.#commit()
  }

  /** Lets the engine go on until it waits for outcomes. Between its turns all others get theirs. */
  async #advance(): Promise<void> {
    let progress = this.#options.engine.advance()
    this.#apply(progress)
    while (progress.more) {
      // Waiting for the disk keeps a run from making more than it can take.
      await this.#commit()
      await nextTurn()
      if (this.#isInterrupted()) return
      progress = this.#options.engine.advance()
      this.#apply(progress)
    }
  }

  // A replay is not interrupted before it is where the journal ends: decisions keep their numbers.
  #isInterrupted(): boolean {
    if (this.#stop.signal.aborted || this.#failure !== null) return true
    return (this.#cancelReason !== null || this.#isPausing) && this.#advances >= this.#options.position.advances
  }

  async #commit(): Promise<void> {
    if (this.#end !== null) return
    const entries = this.#unwritten.splice(0)
    if (entries.length > 0) await this.#options.journal.append(joined(entries))
  }

  #pausing(): Closing {
    const { board } = this.#options
    const progress = board.progress()
    return {
      change: {
        status: 'paused',
        progress: JSON.stringify(progress),
        node_statuses: JSON.stringify(board.statuses()),
      },
      event: { event: 'execution:paused', data: { progress } },
    }
  }

  // A run that is to be cancelled or has answers left to take is not paused yet.
  #isPaused(): boolean {
    const isQuiet = this.#underWay === 0 && this.#arrived.length === 0 && this.#cancelReason === null
    return this.#isPausing && isQuiet && this.#failure === null
  }

  #apply(progress: Progress): void {
    this.#advances++
    const changed = this.#options.board.apply(progress.records, progress.events)
    for (const request of progress.effects) {
      this.#requested.set(request.key, request)
      this.#toPerform.push(request)
    }
    this.#end = progress.end
    if (this.#advances > this.#options.position.advances) this.#unwritten.push(this.#entryOfDecision(progress, changed))
  }

  async #close({ change, event }: Closing): Promise<void> {
    this.#stop.abort(new Error('The run is over.'))
    const last = { runId: this.#options.runId, events: [this.#number(event)], change }
    await this.#options.journal.append(joined([...this.#unwritten, last]))
  }

  #performWaiting(): void {
    const held: EffectRequest[] = []
    for (const request of this.#toPerform) {
      // People answer in their own time, and must not keep the calls of other steps waiting.
      const patient = request.effect.type === 'input.ask' || request.effect.type === 'chat.read'
      if (!patient && this.#underWay >= maxCallsUnderWay) {
        held.push(request)
        continue
      }
      if (!patient) this.#underWay++
      void this.#perform(request).finally(() => {
        if (!patient) this.#underWay--
        this.#wake?.()
      })
    }
    this.#toPerform = held
  }

  async #perform(request: EffectRequest): Promise<void> {
    const startedAt = this.#options.now()
    try {
      const call = await this.#options.effects.perform(request, this.#stop.signal)
      this.#arrived.push({ request, call, startedAt, finishedAt: this.#options.now() })
    } catch (cause) {
      if (!this.#stop.signal.aborted) this.#failure ??= { cause }
    }
  }

  #arrival(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
    })
  }

  #write(entry: JournalEntry): void {
    this.#lastWrite = this.#options.journal.append(entry).catch((cause: unknown) => {
      this.#failure ??= { cause }
      this.#wake?.()
    })
  }

  #number({ event, data }: RunEventDraft): EventDraft {
    return { runId: this.#options.runId, seq: ++this.#seq, event, ts: this.#options.now(), data }
  }

  #entryOf(finished: readonly FinishedCall[]): JournalEntry {
    return {
      runId: this.#options.runId,
      calls: finished.map(call => this.#callRow(call)),
      events: finished.flatMap(({ call }) => call.events.map(event => this.#number(event))),
    }
  }

  #callRow({ request, call, startedAt, finishedAt }: FinishedCall): CallRow {
    return {
      run_id: this.#options.runId,
      n: ++this.#calls,
      key: request.key,
      flow_index: request.flowIndex,
      concept_name: this.#options.conceptOf(request.flowIndex),
      type: request.effect.type,
      inputs: describeInputs(request.effect),
      outcome: encodeOutcome(call.outcome),
      files: JSON.stringify(call.files),
      started_at: startedAt,
      finished_at: finishedAt,
      agent: call.facts.agent,
      provider: call.facts.provider,
      model: call.facts.model,
      input_tokens: call.facts.inputTokens,
      output_tokens: call.facts.outputTokens,
      attempts: call.facts.attempts,
    }
  }

  #entryOfDecision(progress: Progress, changed: Readonly<Record<string, string>>): JournalEntry {
    const { runId } = this.#options
    const events = progress.events.map(event => toRunEvent(event))
    if (Object.keys(changed).length > 0) events.push({ event: 'node:statuses', data: { statuses: changed } })
    return {
      runId,
      steps: progress.records.map(record => stepRow(runId, record)),
      events: events.map(event => this.#number(event)),
      change: { advances: this.#advances },
    }
  }
}

/** Entries of one run as one. */
function joined(entries: readonly JournalEntry[]): JournalEntry {
  return {
    runId: entries[0]?.runId ?? '',
    calls: entries.flatMap(entry => entry.calls ?? []),
    steps: entries.flatMap(entry => entry.steps ?? []),
    events: entries.flatMap(entry => entry.events ?? []),
    change: entries.reduce<RunChange>((all, { change }) => ({ ...all, ...change }), {}),
  }
}

function stepRow(runId: string, record: StepRecord): StepRow {
  return { run_id: runId, n: record.n, record: encodeRecord(record) }
}
