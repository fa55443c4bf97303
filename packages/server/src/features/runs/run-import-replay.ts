import { setImmediate as nextTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Reference } from '@slipway/engine/reference/reference'
import { decodeRecord, decodeSnapshot, encodeRecord } from '@slipway/engine/run/codec'
import type { EffectRequest } from '@slipway/engine/run/effects'
import type { RunRecord } from '@slipway/engine/run/records'
import { Run as EngineRun, type Progress } from '@slipway/engine/run/run'
import { parseJson } from '@slipway/kit/json'
import type { FinalConcept } from '@slipway/protocol/runs'
import { decodeOutcome, describeInputs } from './call-record.ts'
import { readCommand, type AskedCommand } from './commands.ts'
import { toFinalConcept } from './final-concepts.ts'
import type { PreparedPlan } from './prepared-plan.ts'
import { notARun, type ArchivedCall, type ArchivedCommand, type ArchivedRun, type ArchivedStep } from './run-archive.ts'
import type { RunArchiveReader } from './run-import-read.ts'
import { decodeInputs } from './run-inputs.ts'
import { hashesIn, ValueReader, ValueWriter } from './run-values.ts'
import { errorOf } from './run-view.ts'
import { StepBoard } from './step-board.ts'

export interface ReplayOptions {
  readonly prepared: PreparedPlan
  readonly signal: AbortSignal
}

/** What a run is that was made again from its journal. */
export interface Replayed {
  readonly steps: number
  readonly board: StepBoard
}

const unitsPerTurn = 20_000
// Values of answers are held for that many entries.
const entriesPerReader = 50
const charactersOfCommands = 256 * 1024 * 1024

/**
 * Makes a run again from what its calls answered and what people asked of it, and compares all that follows with the
 * archive: records, inputs of calls, end and result. Nothing is called: the engine alone works. Throws `archive.invalid`
 * at the first difference.
 */
export async function replay(archive: RunArchiveReader, options: ReplayOptions): Promise<Replayed> {
  try {
    return await new Replay(archive, options).run()
  } catch (error) {
    options.signal.throwIfAborted()
    if (error instanceof Error && 'code' in error) throw error
    // What the engine makes of a state or an answer that no run can have.
    throw notARun(`it cannot be replayed (${error instanceof Error ? error.message : String(error)})`, error)
  }
}

type AppliedCommand = ArchivedCommand & { readonly n: number }
type Entry =
  | { readonly kind: 'call'; readonly n: number; readonly call: ArchivedCall }
  | { readonly kind: 'command'; readonly n: number; readonly command: ArchivedCommand }

class Replay {
  readonly #archive: RunArchiveReader
  readonly #options: ReplayOptions
  readonly #document: ArchivedRun
  readonly #board: StepBoard
  readonly #steps: AsyncGenerator<ArchivedStep>
  readonly #requested = new Map<string, EffectRequest>()
  readonly #writer = new ValueWriter('')
  #values: ValueReader
  #compared = 0
  #cancelledAs: string | null = null

  constructor(archive: RunArchiveReader, options: ReplayOptions) {
    this.#archive = archive
    this.#options = options
    this.#document = archive.document
    this.#board = new StepBoard(options.prepared.flowIndexes)
    this.#steps = archive.lines('steps')
    this.#values = this.#newReader()
  }

  async run(): Promise<Replayed> {
    const commands = await this.#commands()
    const engine = await this.#engine()
    let at = 0
    const limit = (): void => engine.limitStarts(commands[at]?.starts ?? this.#lastLimit())
    limit()
    await this.#advance(engine)
    let n = 0
    for await (const entry of this.#entries(commands)) {
      if (entry.n !== ++n) throw notARun(`entry ${n} of its journal is missing`)
      if (n % entriesPerReader === 0) this.#values = this.#newReader()
      if (entry.kind === 'call') await this.#handBack(engine, entry.call)
      else {
        await this.#carryOut(engine, entry.command)
        at++
        limit()
      }
      await this.#advance(engine)
    }
    if (n !== this.#document.run.entries) throw notARun(`its journal has ${n} entries`)
    await this.#checkEnd(engine)
    return { steps: this.#compared, board: this.#board }
  }

  async #engine(): Promise<EngineRun> {
    const { run, inputs, origin } = this.#document
    if (origin !== null) await this.#load([origin])
    const from = origin === null ? undefined : decodeSnapshot(origin, this.#values.get)
    if (from) this.#board.begin(from)
    return new EngineRun(this.#options.prepared.program, {
      mode: run.mode,
      maxCycles: run.max_cycles,
      seed: run.seed,
      inputs: decodeInputs(inputs),
      unitsPerTurn,
      from,
    })
  }

  // A run that rests has not started all that it could; one that is over has.
  #lastLimit(): number | null {
    const { run } = this.#document
    return isOver(run) && run.error?.reason !== 'internal' ? null : run.starts
  }

  /** The commands of the journal in their order; the others were refused, or wait. */
  async #commands(): Promise<AppliedCommand[]> {
    const found: AppliedCommand[] = []
    let characters = 0
    for await (const command of this.#archive.lines('commands')) {
      characters += command.command.length
      if (characters > charactersOfCommands) throw notARun('its commands are longer than any can be')
      const standing = standingOf(command)
      if (standing === null || (standing === 'waiting' && isOver(this.#document.run)))
        throw notARun(`its command ${command.id} was never given`)
      if (standing === 'waiting') await this.#read(command)
      if (standing === 'applied' && command.n !== null) found.push({ ...command, n: command.n })
    }
    return found.sort((a, b) => a.n - b.n)
  }

  async *#entries(commands: readonly AppliedCommand[]): AsyncGenerator<Entry> {
    let at = 0
    for await (const call of this.#archive.lines('calls')) {
      for (let command = commands[at]; command && command.n < call.n; command = commands[++at])
        yield { kind: 'command', n: command.n, command }
      yield { kind: 'call', n: call.n, call }
    }
    for (const command of commands.slice(at)) yield { kind: 'command', n: command.n, command }
  }

  async #handBack(engine: EngineRun, call: ArchivedCall): Promise<void> {
    const request = this.#requested.get(call.key)
    if (!request) throw notARun(`its plan does not ask for ${call.key}, to which entry ${call.n} is an answer`)
    await this.#load([call.inputs, call.outcome])
    const { effect, flowIndex } = request
    const isAsked =
      effect.type === call.type &&
      flowIndex === call.flow_index &&
      this.#options.prepared.conceptOf(flowIndex) === call.concept_name &&
      isSameJson(describeInputs(effect), this.#values.text(call.inputs))
    if (!isAsked) throw notARun(`its plan asks for something else than entry ${call.n} answers`)
    this.#requested.delete(call.key)
    engine.resolve(call.key, decodeOutcome(this.#values.text(call.outcome)))
  }

  async #read({ id, command, type }: ArchivedCommand): Promise<AskedCommand> {
    await this.#load([command])
    const asked = readCommand(command, this.#values)
    if (asked.command.type !== type) throw notARun(`its command ${id} is no ${type}`)
    return asked
  }

  async #carryOut(engine: EngineRun, command: ArchivedCommand): Promise<void> {
    const asked = await this.#read(command)
    if (engine.command(asked.command) !== null) throw notARun(`its plan does not take its command ${command.id}`)
    this.#cancelledAs = asked.cancelAs
    for (const key of this.#requested.keys()) if (!engine.awaits(key)) this.#requested.delete(key)
  }

  async #advance(engine: EngineRun): Promise<void> {
    let progress = engine.advance()
    await this.#apply(progress)
    while (progress.more) {
      await nextTurn()
      progress = engine.advance()
      await this.#apply(progress)
    }
    this.#options.signal.throwIfAborted()
  }

  async #apply({ effects, records, events }: Progress): Promise<void> {
    for (const request of effects) this.#requested.set(request.key, request)
    this.#board.apply(records, events)
    for (const record of records) await this.#compare(record)
  }

  async #compare(record: RunRecord): Promise<void> {
    const { value: step } = (await this.#steps.next()) as { value: ArchivedStep | undefined }
    const wrong = notARun(`its journal leads to another record ${record.n}`)
    if (!step || step.n !== record.n || step.kind !== record.kind || step.cycle !== record.cycle) throw wrong
    if (step.flow_index !== (record.kind === 'step' ? record.flowIndex : null)) throw wrong
    const text = encodeRecord(record, this.#writer.put)
    this.#writer.take()
    if (step.record !== text && normalized(step.record) !== normalized(text)) throw wrong
    for (const key of hashesIn([step.record]))
      if (!this.#archive.hasValue(key)) throw notARun(`a value of record ${record.n} is missing`)
    this.#compared++
  }

  async #checkEnd(engine: EngineRun): Promise<void> {
    const { run } = this.#document
    const { value: more } = (await this.#steps.next()) as { value: ArchivedStep | undefined }
    if (more) throw notARun(`its journal does not lead to record ${more.n}`)
    const counts = { records: engine.records, emitted: engine.emitted, starts: engine.starts }
    if (!isDeepStrictEqual(counts, { records: run.records, emitted: run.emitted, starts: run.starts }))
      throw notARun('its journal does not lead to where it stands')
    if (isOver(run) !== (run.completed_at !== null)) throw notARun(`a run that is ${run.status} has another end`)
    // Not the run's own end: the server that drove it could not go on.
    if (run.error?.reason === 'internal') return
    const finals = engine.finals().map(({ name, reference }) => toFinalConcept(name, reference))
    if (isOver(run)) this.#checkResult({ end: engine.end, finals })
    else if (engine.end !== null) throw notARun(`its journal leads to its end, and it is ${run.status}`)
  }

  #checkResult({ end, finals }: { readonly end: EngineRun['end']; readonly finals: readonly FinalConcept[] }): void {
    const { run, result, node_statuses: statuses } = this.#document
    if (end?.status !== run.status) throw notARun('its journal does not lead to its end')
    const error = errorOf(end, this.#options.prepared.conceptOf)
    const isLate = error?.reason === 'cancelled' && this.#cancelledAs === 'timeout'
    if (!isDeepStrictEqual(isLate ? { ...error, reason: 'timeout' } : error, run.error))
      throw notARun('it did not end for the reason that it gives')
    if (!isSameJson(JSON.stringify(finals), result ?? 'null')) throw notARun('its journal leads to another result')
    if (!isDeepStrictEqual(this.#board.statuses(), statuses)) throw notARun('its journal leads to other steps')
  }

  async #load(texts: readonly string[]): Promise<void> {
    for (const key of hashesIn(texts)) if (!this.#archive.hasValue(key)) throw notARun(`the value ${key} is missing`)
    await this.#values.load(texts)
  }

  #newReader(): ValueReader {
    return new ValueReader(this.#archive.values, '')
  }
}

/** What became of a command; null for what cannot have. */
function standingOf({
  n,
  starts,
  applied_at: appliedAt,
  refusal,
}: ArchivedCommand): 'applied' | 'refused' | 'waiting' | null {
  if (n !== null) return starts !== null && appliedAt !== null && refusal === null ? 'applied' : null
  if (appliedAt !== null) return refusal === null ? null : 'refused'
  return refusal === null ? 'waiting' : null
}

function isOver({ status }: ArchivedRun['run']): boolean {
  return status === 'completed' || status === 'failed'
}

function isSameJson(a: string, b: string): boolean {
  return a === b || isDeepStrictEqual(parseJson(a), parseJson(b))
}

/**
 * A record as it would be written anew. Which of its values are one and the same is not part of what it says, but which
 * place they have in its list depends on it.
 */
function normalized(record: string): string {
  const references = new Map<string, Reference>()
  const tokens = new Map<Reference, unknown>()
  const get = (token: unknown): Reference => {
    const key = JSON.stringify(token)
    const known = references.get(key)
    if (known) return known
    const reference: Reference = { axes: [], shape: [], data: [] }
    references.set(key, reference)
    tokens.set(reference, token)
    return reference
  }
  return encodeRecord(decodeRecord(record, get), reference => tokens.get(reference))
}
