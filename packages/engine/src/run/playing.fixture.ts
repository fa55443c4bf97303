import { encodeValue } from '#value/codec'
import { referenceDict } from '#conformance/recording'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import { openGate } from './gate.ts'
import { answer } from './plan.fixture.ts'
import { PyDict } from '#value/value'
import type { EngineEvent, RunRecord } from './records.ts'
import type { Progress, Run } from './run.ts'
import { freshScheduler } from './scheduler-state.ts'
import { saveState, type Snapshot } from './snapshot.ts'
import type { RunState } from './state.ts'

/** Everything that a run told, and what waits for an answer. */
export class Told {
  readonly records: RunRecord[] = []
  readonly events: EngineEvent[] = []
  readonly keys: string[] = []
  readonly waiting: EffectRequest[] = []
  readonly snapshots: Snapshot[] = []
  last: Progress | null = null

  take(run: Run): Progress {
    const progress = run.advance()
    this.records.push(...progress.records)
    this.events.push(...progress.events)
    this.keys.push(...progress.effects.map(({ key }) => key))
    this.waiting.push(...progress.effects)
    if (progress.snapshot !== null) this.snapshots.push(progress.snapshot)
    this.last = progress
    return progress
  }

  /** What no command has given up since it was asked for. */
  drop(run: Run): void {
    const left = this.waiting.filter(({ key }) => run.awaits(key))
    this.waiting.splice(0, this.waiting.length, ...left)
  }

  get isQuiet(): boolean {
    return this.waiting.length === 0
  }
}

/** Answers the effect that `pick` chooses. False when none waits. */
export function answerNext(run: Run, told: Told, pick: (waiting: number) => number): boolean {
  const [request] = told.waiting.splice(pick(told.waiting.length), 1)
  if (request === undefined) return false
  run.resolve(request.key, answered(request))
  return true
}

/** Plays a run to its end. */
export function playOut(run: Run, told: Told, pick: (waiting: number) => number = first): void {
  for (;;) {
    if (told.take(run).end !== null) return
    if (!answerNext(run, told, pick)) throw new Error('The run waits for nothing.')
  }
}

/** The answer depends on the question alone, so that the order of questions does not matter. */
export function answered({ effect }: EffectRequest): EffectOutcome {
  const prompt = withoutIds(effect.type === 'model.generate' ? effect.prompt : '')
  const size = [...prompt].reduce((sum, character) => sum + (character.codePointAt(0) ?? 0), 0)
  if (size % 37 === 6) return { ok: false, error: { name: 'ValueError', message: 'no answer' } }
  return answer(['yes', 'no', 'it is (true)', 'perhaps', 'yes or no', `${size % 13}`][size % 6])
}

/** Ids count executions, of which two ways to the same values may need different numbers. */
export function withoutIds(text: string): string {
  return text.replace(/%[0-9a-f]{3}\(/g, '%(')
}

export function finalsOf(run: Run): string {
  return withoutIds(encodeValue(run.finals().map(({ name, reference }) => [name, referenceDict(reference)])))
}

export function shown(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (item instanceof PyDict) return encodeValue(item)
    return item instanceof Map ? [...(item as Map<unknown, unknown>)] : item
  })
}

/** A state as one text; what only a live run knows, and what no record has yet, is left out. */
export function stateText(state: RunState): string {
  const snapshot = saveState(state, { gate: openGate, scheduler: freshScheduler(state.parallel) })
  const unrecorded = new Set(state.newlyLate.map(index => state.program.items[index]?.name))
  const byName = <T extends { readonly concept: string }>(a: T, b: T): number => (a.concept < b.concept ? -1 : 1)
  return shown({
    ...snapshot,
    emitted: 0,
    tracker: { ...snapshot.tracker, cycleCount: 0 },
    truthMasks: [...snapshot.truthMasks].sort(byName),
    loops: [...snapshot.loops].sort((a, b) => (a.key < b.key ? -1 : 1)),
    filters: [...snapshot.filters].sort((a, b) => (a.flowIndex < b.flowIndex ? -1 : 1)),
    late: snapshot.late.filter(name => !unrecorded.has(name)).sort(),
  })
}

export const first = (): number => 0

/** A reproducible choice among the waiting effects. */
export function picking(seed: number): (waiting: number) => number {
  let state = seed
  return waiting => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * waiting)
  }
}
