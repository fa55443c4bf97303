import type { Reference } from '#reference/reference'
import { decodeValue, encodeValue } from '#value/codec'
import { PyDict } from '#value/value'
import { asChoice, asCount, asList, asObject, asText, asTextOrNull, asTexts, UnreadableError } from './codec-read.ts'
import type { GateMode, GateState } from './gate.ts'
import { identityOf } from './identity.ts'
import type { Modification } from './modify.ts'
import type { TruthMask } from './records.ts'
import type { SchedulerState } from './scheduler-state.ts'
import type { LoopIteration, PendingFilter } from './state.ts'

/** The references of one text, each once; the text itself holds their places. */
export class ReferenceTable {
  readonly tokens: unknown[] = []
  readonly #put: (reference: Reference) => unknown
  readonly #places = new Map<Reference, number>()

  constructor(put: (reference: Reference) => unknown) {
    this.#put = put
  }

  place(reference: Reference): number {
    const known = this.#places.get(reference)
    if (known !== undefined) return known
    const place = this.tokens.length
    this.tokens.push(this.#put(reference))
    this.#places.set(reference, place)
    return place
  }
}

/** The references of a text that is read. */
export class ReadReferences {
  readonly #references: readonly Reference[]

  constructor(tokens: unknown, get: (token: unknown) => Reference) {
    this.#references = asList(tokens, 'The references').map(get)
  }

  at(place: unknown): Reference {
    const reference = this.#references[asCount(place, 'The place of a reference')]
    if (reference === undefined) throw new UnreadableError('a reference is missing')
    return reference
  }
}

/** A list as it is written: nothing where it is empty. */
export function unlessEmpty<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items
}

export function encodeMask({ tensor, filterAxis }: TruthMask, table: ReferenceTable): unknown {
  return [table.place(tensor), filterAxis]
}

export function decodeMask(value: unknown, references: ReadReferences): TruthMask {
  const [tensor, filterAxis] = asList(value, 'A mask')
  return { tensor: references.at(tensor), filterAxis: asText(filterAxis, 'The axis of a mask') }
}

export function encodeIteration({ element, values }: LoopIteration, table: ReferenceTable): unknown {
  return [table.place(element), ...[...values].flatMap(([name, reference]) => [name, table.place(reference)])]
}

export function decodeIteration(value: unknown, references: ReadReferences): LoopIteration {
  const [place, ...rest] = asList(value, 'An iteration')
  const element = references.at(place)
  const values = new Map<string, Reference>()
  for (let at = 0; at < rest.length; at += 2) {
    values.set(asText(rest[at], 'A name in an iteration'), references.at(rest[at + 1]))
  }
  return { element, identity: identityOf(element.data), values }
}

export function encodeFilter({ mask, condition, source }: PendingFilter, table: ReferenceTable): unknown {
  return [encodeMask(mask, table), condition, source]
}

export function decodeFilter(value: unknown, references: ReadReferences): PendingFilter {
  const [mask, condition, source] = asList(value, 'A filter')
  return {
    mask: decodeMask(mask, references),
    condition: asText(condition, 'The condition of a filter'),
    source: asText(source, 'The source of a filter'),
  }
}

export function encodeModification({ flowIndex, changes, prompt }: Modification): unknown {
  return { flowIndex, changes: encodeValue(changes), prompt }
}

export function decodeModification(value: unknown): Modification {
  const { flowIndex, changes, prompt } = asObject(value, 'A modification')
  const dict = decodeValue(asText(changes, 'The changes of a modification'))
  if (!(dict instanceof PyDict)) throw new UnreadableError('the changes of a modification are no object')
  return { flowIndex: asText(flowIndex, 'A flow index'), changes: dict, prompt: asTextOrNull(prompt, 'A prompt') }
}

export function encodeGate({ breakpoints, mode }: GateState): unknown {
  return { breakpoints: unlessEmpty(breakpoints), mode: mode.type === 'open' ? undefined : mode }
}

export function decodeGate(value: unknown): GateState {
  const { breakpoints, mode } = asObject(value, 'The gate')
  return {
    breakpoints: asTexts(breakpoints, 'The breakpoints'),
    mode: mode === undefined ? { type: 'open' } : decodeMode(asObject(mode, 'The mode of the gate')),
  }
}

const modes = ['open', 'passing', 'stepping', 'stepped', 'running_to', 'stopped'] as const

function decodeMode(value: Readonly<Record<string, unknown>>): GateMode {
  const type = asChoice(value['type'], modes, 'The mode of the gate')
  const flowIndex = (): string => asText(value['flowIndex'], 'A flow index')
  switch (type) {
    case 'passing':
      return { type, flowIndex: flowIndex() }
    case 'running_to':
      return { type, flowIndex: flowIndex(), passes: asTextOrNull(value['passes'], 'A flow index') }
    case 'stopped':
      return { type, by: asChoice(value['by'], ['breakpoint', 'run_to'], 'What stopped'), flowIndex: flowIndex() }
    default:
      return { type }
  }
}

export function encodeScheduler(state: SchedulerState): unknown {
  if (state.mode === 'parallel') {
    return { ...state, ran: unlessEmpty(state.ran), passed: unlessEmpty(state.passed) }
  }
  return { ...state, again: unlessEmpty(state.again), retries: unlessEmpty(state.retries) }
}

export function decodeScheduler(value: unknown): SchedulerState {
  const state = asObject(value, 'The order of steps')
  const mode = asChoice(state['mode'], ['sequential', 'parallel'], 'The mode of the run')
  const inCycle = state['inCycle'] === true
  const place = asCount(state['place'], 'The place in the order')
  if (mode === 'parallel') {
    return {
      mode,
      inCycle,
      ran: asTexts(state['ran'], 'The steps of the cycle'),
      place,
      hasStarted: state['hasStarted'] === true,
      passed: asTexts(state['passed'], 'The steps of the pass'),
    }
  }
  return {
    mode,
    inCycle,
    again: asTexts(state['again'], 'The first steps of the cycle'),
    place,
    hasExecuted: state['hasExecuted'] === true,
    retries: asTexts(state['retries'], 'The steps to do again'),
  }
}
