import { parentIndex } from '#plan/flow-index'
import { PyDict } from '#value/value'
import type { Item, Program } from './program.ts'

/** Who makes and who looks at what, by numbers of concepts. */
export interface Dependencies {
  /** Steps that look at a concept in any way: as function, value, context, condition, or as what they append to. */
  readonly readers: readonly (readonly Item[])[]
  /** Steps that infer a concept, and loops that hand it to their bodies. */
  readonly writers: readonly (readonly Item[])[]
  /** By slot: the timing steps that decide whether its step runs. */
  readonly guards: readonly (readonly Item[])[]
  readonly loops: readonly Item[]
}

const known = new WeakMap<Program, Dependencies>()

export function dependenciesOf(program: Program): Dependencies {
  const found = known.get(program) ?? readDependencies(program)
  known.set(program, found)
  return found
}

/** The loops of a plan in flow order. */
export function loopsOf(program: Program): readonly Item[] {
  return dependenciesOf(program).loops
}

/** What a loop hands to its body: the current element and the carried values. */
export function handedOut({ loop }: Item, { conceptNumbers }: Program): number[] {
  if (loop === null) return []
  return [loop.current, ...loop.carried.map(({ name }) => name)].flatMap(name => conceptNumbers.get(name) ?? [])
}

export function readBy(item: Item, program: Program): number[] {
  const destination = destinationOf(item)
  const appendsTo = destination === null ? -1 : (program.conceptNumbers.get(destination) ?? -1)
  const condition = item.timing?.concept ?? -1
  const all = [item.fn, ...item.values, ...item.contexts, condition, appendsTo]
  return [...new Set(all)].filter(concept => concept >= 0)
}

/** Flow indices of all steps that depend on a concept, directly or through others, in flow order. */
export function dependentsOf(program: Program, concept: string): string[] {
  const number = program.conceptNumbers.get(concept)
  return number === undefined ? [] : usersOf(program, dependenciesOf(program).readers[number] ?? [])
}

/** Flow indices of all steps that depend on what a step infers, directly or through others, in flow order. */
export function descendantsOf(program: Program, flowIndex: string): string[] {
  const slot = program.slots[program.slotNumbers.get(flowIndex) ?? -1]
  if (slot === undefined) return []
  const { readers } = dependenciesOf(program)
  const users = usersOf(
    program,
    slot.items.flatMap(item => [...(readers[item.concept] ?? []), ...around(program, item)]),
  )
  return users.filter(index => index !== flowIndex)
}

function usersOf(program: Program, first: readonly Item[]): string[] {
  const { readers } = dependenciesOf(program)
  const found = new Set<Item>(first)
  // A set that grows is gone over to its end.
  for (const item of found) {
    for (const concept of [item.concept, ...handedOut(item, program)]) {
      for (const reader of readers[concept] ?? []) found.add(reader)
    }
    for (const other of around(program, item)) found.add(other)
  }
  const slots = new Set([...found].map(({ slot }) => slot))
  return program.slots.flatMap(({ flowIndex }, slot) => (slots.has(slot) ? [flowIndex] : []))
}

/** The body of a loop, and the loops around a step. */
function around({ slots }: Program, item: Item): Item[] {
  const own = slots[item.slot]
  const body = item.isLoop ? (own?.below.flatMap(slot => slots[slot]?.items ?? []) ?? []) : []
  return [...body, ...(own?.above.flatMap(slot => slots[slot]?.items.filter(({ isLoop }) => isLoop) ?? []) ?? [])]
}

function readDependencies(program: Program): Dependencies {
  const readers = program.concepts.map((): Item[] => [])
  const writers = program.concepts.map((): Item[] => [])
  const guards = program.slots.map((): Item[] => [])
  for (const item of program.items) {
    for (const concept of readBy(item, program)) readers[concept]?.push(item)
    for (const concept of new Set([item.concept, ...handedOut(item, program)])) writers[concept]?.push(item)
    if (item.entry.sequence === 'timing') guards[program.slotNumbers.get(parentIndex(item.flowIndex)) ?? -1]?.push(item)
  }
  return { readers, writers, guards, loops: program.items.filter(({ loopKey }) => loopKey !== null) }
}

function destinationOf({ entry }: Item): string | null {
  if (entry.sequence !== 'assigning') return null
  const syntax = entry.workingInterpretation.get('syntax')
  const destination = syntax instanceof PyDict ? syntax.get('assign_destination') : null
  return typeof destination === 'string' ? destination : null
}
