import { isDecided } from '#sequence/timing'
import { dependenciesOf } from './dependencies.ts'
import { IndexSet } from './index-set.ts'
import type { Item, Program } from './program.ts'
import { stepsReady } from './readiness.ts'
import type { RunState } from './state.ts'

export interface TurnOrderOptions {
  /** Steps that had their turn in the pass that is under way without being ready. */
  readonly passed: Iterable<number>
  /** Told of steps that have to be looked at again, because one that they look at comes in time by now or does not. */
  readonly touch: (item: Item) => void
}

/**
 * Knows of each step whether the sequential order would have run it by the time that it comes to the steps after it: it
 * runs now, or everything that it still waits for comes from steps before it that do. A step that had its turn in this
 * pass without being ready does not.
 *
 * What is known is corrected in flow order when something changes, from a step to those after it that look at it, and
 * no further than it makes a difference. A step's turn counts until its next one: those after it, which alone ask, have
 * their turn later in each pass.
 */
export class TurnOrder {
  readonly #state: RunState
  readonly #program: Program
  readonly #touch: (item: Item) => void
  readonly #comes: Uint8Array
  readonly #passed: IndexSet
  readonly #changed: IndexSet

  constructor(state: RunState, { passed, touch }: TurnOrderOptions) {
    const { items } = state.program
    this.#state = state
    this.#program = state.program
    this.#touch = touch
    this.#comes = new Uint8Array(items.length)
    this.#passed = new IndexSet(items.length)
    this.#changed = IndexSet.full(items.length)
    for (const index of passed) this.#passed.add(index)
  }

  /** Something that this step waits for, or its own status, may be otherwise than before. */
  changed(item: Item): void {
    this.#changed.add(item.index)
  }

  /** Notes whether a step was ready at its turn. False when it was not and does not come in time either. */
  turn(item: Item, isReady: boolean): boolean {
    this.#correct()
    const comes = isReady || this.#comesUnlessPassed(item)
    if (this.#passed.has(item.index) === comes) {
      if (comes) this.#passed.delete(item.index)
      else this.#passed.add(item.index)
      this.#changed.add(item.index)
    }
    return comes
  }

  /**
   * A step waits for its values, but it also looks at what it does not wait for: a choice of sources takes the first that
   * has a value, and a grouping the axes of its context. Of these, parallel mode waits for what would be there at the
   * step's turn in the sequential order.
   */
  awaitsOthers(item: Item): boolean {
    const concepts = looksAt(item)
    if (concepts.length === 0) return false
    this.#correct()
    return concepts.some(concept => this.#state.conceptStatuses[concept] !== 'complete' && this.#isMade(item, concept))
  }

  /** The steps that had their turn in this pass before that of `place` without being ready. */
  passedBefore(place: number): number[] {
    const passed: number[] = []
    for (let index = this.#passed.next(0); index >= 0 && index < place; index = this.#passed.next(index + 1)) {
      passed.push(index)
    }
    return passed
  }

  #correct(): void {
    const { items } = this.#program
    for (let index = this.#changed.next(0); index >= 0; index = this.#changed.next(index + 1)) {
      this.#changed.delete(index)
      const item = items[index]
      if (item === undefined) continue
      const comes = this.#comesInTime(item) ? 1 : 0
      if (comes === this.#comes[index]) continue
      this.#comes[index] = comes
      this.#tellReaders(item)
    }
  }

  // The last step of a flow index stands for all that is inferred there.
  #tellReaders({ slot, index }: Item): void {
    const { readers } = dependenciesOf(this.#program)
    for (const { concept } of this.#program.slots[slot]?.items ?? []) {
      for (const reader of readers[concept] ?? []) {
        if (reader.index <= index) continue
        this.#changed.add(reader.index)
        this.#touch(reader)
      }
    }
  }

  #comesInTime(item: Item): boolean {
    if (this.#state.statuses[item.slot] === 'in_progress') return true
    return !this.#passed.has(item.index) && this.#comesUnlessPassed(item)
  }

  #comesUnlessPassed(item: Item): boolean {
    const state = this.#state
    const status = state.statuses[item.slot]
    if (status !== 'pending') return status === 'in_progress'
    if (!stepsReady(state, item, state.counts[item.slot] === 0)) return false
    let isOpen = false
    for (const concept of neededBy(item)) {
      if (state.conceptStatuses[concept] === 'complete') continue
      if (!this.#isMade(item, concept)) return false
      isOpen = true
    }
    return isOpen || isDecided(state, item)
  }

  /** Whether the last step that infers the concept is before this one and comes in time. */
  #isMade(item: Item, concept: number): boolean {
    const maker = producerOf(this.#program, concept)
    return maker !== null && maker.index < item.index && this.#comes[maker.index] === 1
  }
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
