import type { EffectRequest } from '@slipway/engine/run/effects'
import { encodeRecord, encodeSnapshot } from '@slipway/engine/run/codec'
import type { EngineEvent, RunRecord } from '@slipway/engine/run/records'
import type { Progress, Run as EngineRun } from '@slipway/engine/run/run'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import type { Tx } from '#db/database'
import type { EventDraft } from '#features/events/events'
import { describeInputs, encodeOutcome } from './call-record.ts'
import type { AppliedCommand, CallRow, PositionRow, SnapshotRow, StepRow } from './journal-store.ts'
import type { JournalEntry } from './journal.ts'
import type { PerformedCall } from './run-effects.ts'
import type { RunEventDraft } from './run-events.ts'
import { ValueWriter } from './run-values.ts'

/** What of a run is on disk, counted. */
export type WrittenPosition = Omit<PositionRow, 'id' | 'lease' | 'before'>

export interface FinishedCall {
  readonly request: EffectRequest
  readonly call: PerformedCall
  readonly startedAt: number
  readonly finishedAt: number
}

export interface EntryWriterOptions {
  readonly runId: string
  readonly family: string
  readonly lease: number
  readonly position: WrittenPosition
  /** Cycle of the snapshot that the engine begins with, and the records in it. */
  readonly snapshotCycle: number
  readonly snapshotRecords: number
  readonly interrupted: ReadonlySet<string>
  /** The concept that the step of a flow index infers. */
  readonly conceptOf: (flowIndex: string) => string
  readonly now: () => number
}

export interface FreshProgress {
  readonly records: readonly RunRecord[]
  readonly events: readonly EngineEvent[]
  /** What a replay made again and is on disk. */
  readonly known: { readonly records: readonly RunRecord[]; readonly events: readonly EngineEvent[] }
}

type Numbering = (event: RunEventDraft) => EventDraft

// A snapshot is worth its bytes once reading the journal behind it would cost more.
const leastSnapshotGap = 64 * 1024
// A plan without loops is done in one cycle, however many steps it has.
const recordsOfLongCycle = 500

/** Turns what a run does into entries of its journal, and keeps count of what they contain. */
export class EntryWriter {
  readonly #options: EntryWriterOptions
  readonly #values: ValueWriter
  #seq: number
  /** The last event number of the last entry. */
  #before: number
  #entries: number
  #records: number
  #emitted: number
  #starts: number
  /** Entries that the engine has taken, which a snapshot contains. */
  #sinceSnapshot = 0
  #snapshotSize = 0
  #snapshotCycle: number
  #snapshotRecords: number

  constructor(options: EntryWriterOptions) {
    this.#options = options
    this.#values = new ValueWriter(options.family)
    this.#seq = options.position.seq
    this.#before = options.position.seq
    this.#entries = options.position.entries
    this.#records = options.position.records
    this.#emitted = options.position.emitted
    this.#starts = options.position.starts
    this.#snapshotCycle = options.snapshotCycle
    this.#snapshotRecords = options.snapshotRecords
  }

  nextSeq(): number {
    return ++this.#seq
  }

  /** An entry under the run's lease, with all values that were put since the last one. */
  entry(parts: Omit<JournalEntry, 'position' | 'values'>): JournalEntry {
    return { position: this.#position(), values: this.#values.take(), ...parts }
  }

  /** The outcome of a call, as the next entry that a replay hands back. */
  callEntry(finished: FinishedCall, number: Numbering): JournalEntry {
    const row = this.#callRow(finished)
    return this.entry({ calls: [row], events: finished.call.events.map(number) })
  }

  /** A command as the engine has taken or refused it; refused ones are no part of what is replayed. */
  commandEntry(command: {
    readonly id: string
    readonly starts: number
    readonly refusal: string | null
    readonly events: readonly EventDraft[]
  }): JournalEntry {
    const { id, starts, refusal, events } = command
    const n = refusal === null ? ++this.#entries : null
    const applied: AppliedCommand = { id, n, starts, applied_at: Math.round(this.#options.now()), refusal }
    return this.entry({ commands: [applied], events })
  }

  /** Splits what the engine gave into what is on disk already and what is new, and counts the latter. */
  fresh(progress: Progress, engine: EngineRun): FreshProgress {
    const { records, events } = progress
    const firstEvent = engine.emitted - events.length
    const knownEvents = Math.min(events.length, Math.max(0, this.#emitted - firstEvent))
    const knownRecords = records.filter(({ n }) => n <= this.#records).length
    this.#emitted = Math.max(this.#emitted, engine.emitted)
    this.#records = Math.max(this.#records, records.at(-1)?.n ?? 0)
    this.#starts = Math.max(this.#starts, engine.starts)
    return {
      records: records.slice(knownRecords),
      events: events.slice(knownEvents),
      known: { records: records.slice(0, knownRecords), events: events.slice(0, knownEvents) },
    }
  }

  /** `consumed` are the entries that the engine had taken when it made the snapshot. */
  decisionEntry(decision: {
    readonly records: readonly RunRecord[]
    readonly events: readonly EventDraft[]
    readonly snapshot: { readonly state: Snapshot; readonly consumed: number } | null
  }): JournalEntry {
    const at = this.#options.now()
    const steps = decision.records.map(record => this.#stepRow(record, at))
    const snapshot = decision.snapshot && this.#snapshotRow(decision.snapshot)
    return this.entry({ steps, events: decision.events, snapshot })
  }

  /** Whether so much was written since the last snapshot that the next one pays. */
  wantsSnapshot(cycle: number, every: number): boolean {
    if (cycle - this.#snapshotCycle < every && this.#records - this.#snapshotRecords < recordsOfLongCycle) return false
    return this.#sinceSnapshot > Math.max(leastSnapshotGap, this.#snapshotSize)
  }

  /** Entries of this run as one. */
  joined(entries: readonly JournalEntry[]): JournalEntry {
    const [only] = entries
    if (only !== undefined && entries.length === 1) return only
    const also = entries.flatMap(entry => entry.also ?? [])
    return {
      position: {
        ...(entries.at(-1)?.position ?? this.#position()),
        before: entries[0]?.position.before ?? this.#before,
      },
      values: entries.flatMap(entry => entry.values ?? []),
      calls: entries.flatMap(entry => entry.calls ?? []),
      commands: entries.flatMap(entry => entry.commands ?? []),
      steps: entries.flatMap(entry => entry.steps ?? []),
      inputs: entries.flatMap(entry => entry.inputs ?? []),
      events: entries.flatMap(entry => entry.events ?? []),
      snapshot: entries.findLast(entry => entry.snapshot)?.snapshot ?? null,
      change: Object.assign({}, ...entries.map(entry => entry.change ?? {})) as object,
      content: Object.assign({}, ...entries.map(entry => entry.content ?? {})) as object,
      also: async (tx: Tx) => {
        for (const work of also) await work(tx)
      },
    }
  }

  #position(): PositionRow {
    const before = this.#before
    this.#before = this.#seq
    return {
      id: this.#options.runId,
      lease: this.#options.lease,
      before,
      seq: this.#seq,
      entries: this.#entries,
      records: this.#records,
      emitted: this.#emitted,
      starts: this.#starts,
    }
  }

  #callRow({ request, call, startedAt, finishedAt }: FinishedCall): CallRow {
    const inputs = describeInputs(request.effect)
    const outcome = encodeOutcome(call.outcome)
    this.#sinceSnapshot += inputs.length + outcome.length
    return {
      run_id: this.#options.runId,
      n: ++this.#entries,
      key: request.key,
      flow_index: request.flowIndex,
      concept_name: this.#options.conceptOf(request.flowIndex),
      type: request.effect.type,
      inputs: this.#values.text(inputs),
      outcome: this.#values.text(outcome),
      size: inputs.length + outcome.length,
      files: JSON.stringify(call.files),
      started_at: startedAt,
      finished_at: finishedAt,
      agent: call.facts.agent,
      provider: call.facts.provider,
      model: call.facts.model,
      input_tokens: call.facts.inputTokens,
      output_tokens: call.facts.outputTokens,
      attempts: call.facts.attempts,
      repeated: this.#options.interrupted.has(request.key) ? 1 : 0,
    }
  }

  #stepRow(record: RunRecord, at: number): StepRow {
    const text = encodeRecord(record, this.#values.put)
    this.#sinceSnapshot += text.length
    return {
      run_id: this.#options.runId,
      n: record.n,
      at,
      kind: record.kind,
      cycle: record.cycle,
      flow_index: record.kind === 'step' ? record.flowIndex : null,
      record: text,
    }
  }

  #snapshotRow({ state, consumed }: { readonly state: Snapshot; readonly consumed: number }): SnapshotRow {
    const data = encodeSnapshot(state, this.#values.put)
    this.#snapshotSize = data.length
    this.#sinceSnapshot = 0
    this.#snapshotCycle = state.tracker.cycleCount
    this.#snapshotRecords = state.records
    return { run_id: this.#options.runId, entries: consumed, seq: this.#seq, data }
  }
}
