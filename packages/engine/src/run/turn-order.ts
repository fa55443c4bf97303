import { isDecided } from '#sequence/timing'
import type { Item, Program } from './program.ts'
import { stepsReady } from './readiness.ts'
import type { RunState } from './state.ts'

/**
 * Whether the sequential order would have run a step by the time that it comes to the steps after it: it runs now, or
 * everything that it still waits for comes from steps before it that do. `passed` are steps that had their turn in this
 * pass without being ready.
 */
export function comesInTime(state: RunState, item: Item, passed: ReadonlySet<number>): boolean {
  const status = state.statuses[item.slot]
  if (status === 'in_progress') return true
  if (status !== 'pending' || passed.has(item.index)) return false
  if (!stepsReady(state, item, state.counts[item.slot] === 0)) return false
  const open = neededBy(item).filter(concept => state.conceptStatuses[concept] !== 'complete')
  if (open.length === 0) return isDecided(state, item)
  return open.every(concept => {
    const maker = producerOf(state.program, concept)
    return maker !== null && maker.index < item.index && comesInTime(state, maker, passed)
  })
}

/**
 * A step waits for its values, but it also looks at what it does not wait for: a choice of sources takes the first that
 * has a value, and a grouping the axes of its context. Of these, parallel mode waits for what would be there at the
 * step's turn in the sequential order.
 */
export function awaitsOthers(state: RunState, item: Item, passed: ReadonlySet<number>): boolean {
  return looksAt(item).some(concept => {
    if (state.conceptStatuses[concept] === 'complete') return false
    const maker = producerOf(state.program, concept)
    return maker !== null && maker.index < item.index && comesInTime(state, maker, passed)
  })
}

/** The concepts that a step reads whether they are there or not. */
export function looksAt(item: Item): readonly number[] {
  return item.entry.sequence === 'grouping' ? item.contexts : (item.anyOfValues ?? [])
}

function neededBy(item: Item): readonly number[] {
  const condition = item.timing === null ? [] : [item.timing.concept]
  return [item.fn, ...item.values, ...condition].filter(concept => concept >= 0)
}

function producerOf(program: Program, concept: number): Item | null {
  const slot = program.concepts[concept]?.producer ?? -1
  return program.slots[slot]?.items.at(-1) ?? null
}
