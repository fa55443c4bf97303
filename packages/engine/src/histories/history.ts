import { parseConceptRepo, parseInferenceRepo } from '#plan/repositories'
import { asDialect, type Dialect } from '#plan/dialect'
import { decodeSnapshot, decodeReference, encodeRecord, encodeReference, encodeSnapshot } from '#run/codec'
import type { Command } from '#run/commands'
import type { EffectOutcome, EffectRequest } from '#run/effects'
import { prepareProgram, type Program } from '#run/program'
import type { EngineEvent, RunRecord } from '#run/records'
import { Run, type RunInput } from '#run/run'
import { decodeValue, encodeValue } from '#value/codec'
import { PyDict, type Value } from '#value/value'

/**
 * A recorded run: the plan, what the host gave it, and what came of it. Whatever a release can do, it must still do the
 * same with every history that an earlier one left.
 */
export interface History {
  readonly about: string
  readonly plan: HistoryPlan
  readonly run: {
    readonly mode: 'sequential' | 'parallel'
    readonly maxCycles: number
    readonly seed: string
    /** By concept: the data as text, and the axes. */
    readonly inputs: Readonly<Record<string, readonly [data: string, axes: readonly string[] | null]>>
    /** The snapshot that the run begins with, as it was stored; null for its beginning. */
    readonly from: string | null
  }
  readonly journal: readonly HistoryInput[]
  readonly led: Outcome
}

/** A plan as its files say it. */
export interface HistoryPlan {
  readonly dialect: string
  readonly concepts: string
  readonly inferences: string
  readonly paradigms: Readonly<Record<string, string>>
}

export type HistoryInput =
  | readonly [type: 'outcome', key: string, value: string]
  | readonly [type: 'error', key: string, name: string, message: string]
  /** `starts`: the executions that had started when it was given. */
  | readonly [type: 'command', starts: number, command: HistoryCommand]

/** A command with its values as text. */
export type HistoryCommand =
  | Exclude<Command, { readonly type: 'override' | 'modify' | 'restore' }>
  | {
      readonly type: 'override'
      readonly concept: string
      readonly data: string
      readonly axes: readonly string[] | null
      readonly rerunDependents: boolean
    }
  | {
      readonly type: 'modify'
      readonly flowIndex: string
      readonly changes: string
      readonly prompt: string | null
      readonly retry: boolean
    }
  | { readonly type: 'restore'; readonly snapshot: string }

/** What a run led to. */
export interface Outcome {
  /** Each as it is stored, or `#` and its digest where they would be long together. */
  readonly records: readonly string[]
  /** Digests. */
  readonly events: string
  readonly effects: string
  readonly end: string
  readonly cycle: number
  /** The final concepts with their values. */
  readonly finals: string
}

/** Everything that a run told, and its final state. */
export interface Replayed {
  readonly run: Run
  readonly program: Program
  readonly records: readonly RunRecord[]
  readonly events: readonly EngineEvent[]
  readonly effects: readonly EffectRequest[]
}

/** Gives a run what its history says, in order and each command at its place. */
export function replayHistory({ plan, run: options, journal }: History): Replayed {
  const program = programOf(plan)
  const from = options.from === null ? null : decodeSnapshot(options.from, decodeReference)
  const run = new Run(program, { ...options, inputs: inputsOf(options.inputs), from })
  const records: RunRecord[] = []
  const events: EngineEvent[] = []
  const effects: EffectRequest[] = []
  const take = (): void => {
    const progress = run.advance()
    records.push(...progress.records)
    events.push(...progress.events)
    effects.push(...progress.effects)
  }
  const starts = journal.flatMap(input => (input[0] === 'command' ? [input[1]] : []))
  run.limitStarts(starts.shift() ?? null)
  take()
  for (const input of journal) {
    give(run, input)
    if (input[0] === 'command') run.limitStarts(starts.shift() ?? null)
    take()
  }
  return { run, program, records, events, effects }
}

/** What a replay led to, in the form in which a history keeps it. `digest` makes a text short. */
export function outcomeOf({ run, records, events, effects }: Replayed, digest: (text: string) => string): Outcome {
  const texts = records.map(record => encodeRecord(record, encodeReference))
  const isLong = texts.reduce((sum, text) => sum + text.length, 0) > LONGEST
  const finals = run
    .finals()
    .map(({ name, reference }) => [name, reference === null ? null : encodeReference(reference)])
  return {
    records: isLong ? texts.map(text => `#${digest(text)}`) : texts,
    events: digest(plainText(events)),
    effects: digest(plainText(effects)),
    end: plainText(run.end),
    cycle: run.cycle,
    finals: JSON.stringify(finals),
  }
}

const LONGEST = 24_000

function programOf(plan: HistoryPlan): Program {
  const dialect: Dialect = asDialect(plan.dialect) ?? '2026-01'
  return prepareProgram({
    concepts: parseConceptRepo(plan.concepts).entries,
    inferences: parseInferenceRepo(plan.inferences, { dialect }).entries,
    dialect,
    paradigms: new Map(Object.entries(plan.paradigms)),
  })
}

function inputsOf(inputs: History['run']['inputs']): Map<string, RunInput> {
  return new Map(Object.entries(inputs).map(([name, [data, axes]]) => [name, { data: decodeValue(data), axes }]))
}

function give(run: Run, input: HistoryInput): void {
  if (input[0] === 'command') {
    const refusal = run.command(readCommand(input[2]))
    if (refusal !== null) throw new Error(`The run refuses ${input[2].type}: ${refusal.message}`)
    return
  }
  const [, key] = input
  if (!run.resolve(key, readOutcome(input))) throw new Error(`The run does not ask for ${key}.`)
}

export function writeOutcome(key: string, outcome: EffectOutcome): HistoryInput {
  if (outcome.ok) return ['outcome', key, encodeValue(outcome.value)]
  return ['error', key, outcome.error.name, outcome.error.message]
}

function readOutcome(input: Exclude<HistoryInput, readonly ['command', ...unknown[]]>): EffectOutcome {
  if (input[0] === 'outcome') return { ok: true, value: decodeValue(input[2]) }
  return { ok: false, error: { name: input[2], message: input[3] } }
}

export function writeCommand(command: Command): HistoryCommand {
  switch (command.type) {
    case 'override': {
      const { value, ...rest } = command
      return { ...rest, data: encodeValue(value.data), axes: value.axes }
    }
    case 'modify':
      return { ...command, changes: encodeValue(command.changes) }
    case 'restore':
      return { type: command.type, snapshot: encodeSnapshot(command.snapshot, encodeReference) }
    default:
      return command
  }
}

function readCommand(command: HistoryCommand): Command {
  switch (command.type) {
    case 'override': {
      const { data, axes, ...rest } = command
      return { ...rest, value: { data: decodeValue(data), axes } }
    }
    case 'modify':
      return { ...command, changes: dictOf(decodeValue(command.changes)) }
    case 'restore':
      return { type: command.type, snapshot: decodeSnapshot(command.snapshot, decodeReference) }
    default:
      return command
  }
}

function dictOf(value: Value): PyDict {
  return value instanceof PyDict ? value : new PyDict()
}

function plainText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => (item instanceof PyDict ? encodeValue(item) : item))
}
