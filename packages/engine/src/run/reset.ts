import { isBelow } from '#plan/flow-index'
import type { Reference } from '#reference/reference'
import { dependenciesOf, handedOut, readBy, type Dependencies } from './dependencies.ts'
import { isSameReference } from './growth.ts'
import type { Item, Program } from './program.ts'
import type { CommandRecord, ConceptChange, FilterChange, ItemChange } from './records.ts'
import type { RunState } from './state.ts'

export interface ResetSeeds {
  readonly items: readonly Item[]
  /** A concept whose value was just given; it is not cleared with the step that infers it. */
  readonly overridden?: number
  /** Concepts whose values count no more, whoever made them. */
  readonly cleared?: readonly number[]
}

/** Which steps have to be done again, and what that clears. */
export interface Reset {
  readonly items: ReadonlySet<Item>
  readonly changes: readonly ConceptChange[]
  readonly itemChanges: readonly ItemChange[]
  readonly clearedLoops: readonly string[]
  readonly filters: readonly FilterChange[]
  readonly truthMasks: CommandRecord['truthMasks']
}

/**
 * What must be done again when these steps are: they, all that depends on what they infer, the timing steps that guard
 * them, and whatever else infers the same concepts.
 *
 * A loop around such a step goes on with the iterations that it has as long as nothing changes that they depended on,
 * and its body can be put back to the start of the present iteration: its carried values are known, and what else the
 * body infers is made anew in each iteration. Otherwise, and when it is over, the loop starts again, with all of its
 * body. Concepts that are given get back what the run was given for them; they are never cleared.
 */
export function resetFor(state: RunState, seeds: ResetSeeds): Reset {
  const closure = new Closure(state, seeds)
  return closure.reset()
}

class Closure {
  readonly #state: RunState
  readonly #program: Program
  readonly #dependencies: Dependencies
  readonly #overridden: number
  readonly #items = new Set<Item>()
  readonly #cleared: Set<number>
  /** Loops that go on. */
  readonly #open = new Set<Item>()
  readonly #queue: Item[] = []

  constructor(state: RunState, { items, overridden = -1, cleared = [] }: ResetSeeds) {
    this.#state = state
    this.#program = state.program
    this.#dependencies = dependenciesOf(state.program)
    this.#overridden = overridden
    this.#cleared = new Set(cleared)
    for (const item of items) this.#add(item)
    for (const concept of cleared) this.#addReaders(concept)
    do this.#follow()
    while (this.#addLoops())
  }

  reset(): Reset {
    const { program } = this.#state
    const items = program.items.filter(item => this.#items.has(item))
    const slots = [...new Set(items.map(({ slot }) => slot))]
    const loops = items.flatMap(({ loopKey }) => loopKey ?? [])
    const flowIndexes = slots.map(slot => program.slots[slot]?.flowIndex ?? '')
    return {
      items: this.#items,
      changes: [...this.#cleared].sort((a, b) => a - b).flatMap(concept => this.#changeOf(concept)),
      itemChanges: flowIndexes.map(flowIndex => this.#itemChange(flowIndex)),
      clearedLoops: loops.filter(key => this.#state.loops.has(key)),
      filters: flowIndexes.flatMap((flowIndex): FilterChange[] => {
        const taken = this.#state.filters.get(flowIndex)?.length ?? 0
        return taken === 0 ? [] : [{ flowIndex, taken, added: [] }]
      }),
      truthMasks: [...this.#cleared].flatMap(concept =>
        this.#state.truthMasks.has(concept) ? [{ concept: this.#nameOf(concept), mask: null }] : [],
      ),
    }
  }

  #add(item: Item): void {
    if (this.#items.has(item)) return
    // Steps of one flow index share their status.
    for (const same of this.#program.slots[item.slot]?.items ?? [item]) {
      if (this.#items.has(same)) continue
      this.#items.add(same)
      this.#queue.push(same)
    }
  }

  #follow(): void {
    for (let item = this.#queue.pop(); item !== undefined; item = this.#queue.pop()) {
      this.#clear(item.concept)
      for (const guard of this.#dependencies.guards[item.slot] ?? []) this.#add(guard)
      if (!item.isLoop) continue
      const { slots } = this.#program
      for (const slot of slots[item.slot]?.below ?? []) for (const below of slots[slot]?.items ?? []) this.#add(below)
      for (const concept of handedOut(item, this.#program)) this.#clear(concept)
    }
  }

  #clear(concept: number): void {
    if (concept < 0 || this.#cleared.has(concept)) return
    this.#cleared.add(concept)
    this.#addReaders(concept)
    if (concept === this.#overridden) return
    for (const writer of this.#dependencies.writers[concept] ?? []) if (!this.#mayGoOn(writer)) this.#add(writer)
  }

  #addReaders(concept: number): void {
    for (const reader of this.#dependencies.readers[concept] ?? []) if (!this.#mayGoOn(reader)) this.#add(reader)
  }

  // Decided once all else is known.
  #mayGoOn(item: Item): boolean {
    const { loop } = item
    if (loop === null || this.#state.statusOf(item) !== 'pending') return false
    const iterations = this.#state.loops.get(loop.key) ?? []
    // An element that its body gave nothing for is not gone over again.
    return iterations.length > 0 && iterations.every(({ values }) => values.has(loop.inferred))
  }

  /** Adds the loops that cannot go on. True when there are any. */
  #addLoops(): boolean {
    this.#open.clear()
    let added = false
    for (const loop of this.#program.items) {
      if (!loop.isLoop || this.#items.has(loop) || !this.#isTouched(loop)) continue
      if (this.#mayGoOn(loop) && this.#canGoOn(loop)) {
        this.#open.add(loop)
        continue
      }
      this.#add(loop)
      added = true
    }
    return added
  }

  #isTouched(loop: Item): boolean {
    if (readBy(loop, this.#program).some(concept => this.#cleared.has(concept))) return true
    if (handedOut(loop, this.#program).some(concept => this.#cleared.has(concept))) return true
    return [...this.#items].some(item => isBelow(item.flowIndex, loop.flowIndex))
  }

  #canGoOn(loop: Item): boolean {
    const own = new Set(readBy(loop, this.#program))
    const handed = new Set(handedOut(loop, this.#program))
    const carried = new Set(this.#carriedBy(loop).keys())
    // Something that only a new start of the loop makes again.
    for (const concept of this.#cleared) {
      const isOwn = own.has(concept) || handed.has(concept)
      if (isOwn && !this.#writersIn(concept).some(item => isBelow(item.flowIndex, loop.flowIndex))) return false
    }
    for (const item of this.#items) {
      const isInside = isBelow(item.flowIndex, loop.flowIndex)
      if (!isInside && own.has(item.concept)) return false
      if (!isInside) continue
      if (!carried.has(item.concept) && this.#isKeptBetweenIterations(item.concept)) return false
      if (readBy(item, this.#program).some(concept => this.#changesOutside(concept, loop))) return false
    }
    return true
  }

  /** Whether the earlier iterations of the loop had another value of this concept than the later ones will have. */
  #changesOutside(concept: number, loop: Item): boolean {
    if (!this.#cleared.has(concept) && concept !== this.#overridden) return false
    const isInside = (item: Item): boolean => item === loop || isBelow(item.flowIndex, loop.flowIndex)
    if (!this.#writersIn(concept).every(isInside)) return true
    return !this.#dependencies.writers[concept]?.some(isInside)
  }

  #writersIn(concept: number): Item[] {
    return (this.#dependencies.writers[concept] ?? []).filter(item => this.#items.has(item))
  }

  #isKeptBetweenIterations(concept: number): boolean {
    const entry = this.#program.concepts[concept]?.entry
    if (entry === undefined || concept === this.#overridden) return false
    // The function concept of a guarded step is marked as complete by its timing step, and otherwise not written.
    if (this.#writersIn(concept).every(({ timing }) => timing !== null)) return false
    return entry.isGround || entry.isInvariant
  }

  /** Carried values by number of the concept, with how many iterations back they come from. */
  #carriedBy(loop: Item): Map<number, { readonly name: string; readonly back: number }> {
    const carried = loop.loop?.carried ?? []
    return new Map(carried.map(one => [this.#program.conceptNumbers.get(one.name) ?? -1, one]))
  }

  #changeOf(concept: number): ConceptChange[] {
    const entry = this.#program.concepts[concept]?.entry
    if (entry === undefined || !this.#isToBeCleared(concept)) return []
    const { references, conceptStatuses, given } = this.#state
    const reference = this.#startOfIteration(concept) ?? given[concept] ?? null
    const status = reference !== null || entry.isGround ? 'complete' : 'pending'
    const isSame = conceptStatuses[concept] === status && isSameReference(references[concept] ?? null, reference)
    return isSame ? [] : [{ name: entry.conceptName, reference, status }]
  }

  // An overridden value stays, but a loop that starts again must not take it for the element that it works on.
  #isToBeCleared(concept: number): boolean {
    if (concept !== this.#overridden) return true
    const name = this.#nameOf(concept)
    return [...this.#items].some(({ loop }) => loop?.current === name)
  }

  // As it was when the loop that goes on had handed out its present element.
  #startOfIteration(concept: number): Reference | null {
    for (const loop of this.#open) {
      const carried = this.#carriedBy(loop).get(concept)
      if (carried === undefined) continue
      const iterations = this.#state.loops.get(loop.loopKey ?? '') ?? []
      const from = (carried.back > 0 ? iterations.at(-carried.back) : undefined) ?? iterations.at(-1)
      return from?.values.get(carried.name) ?? null
    }
    return null
  }

  #itemChange(flowIndex: string): ItemChange {
    const change = { flowIndex, status: 'pending', reason: 'rerun' } as const
    return this.#isInOpenLoop(flowIndex) ? { ...change, inLoop: true } : change
  }

  #isInOpenLoop(flowIndex: string): boolean {
    for (const loop of this.#open) if (isBelow(flowIndex, loop.flowIndex)) return true
    return false
  }

  #nameOf(concept: number): string {
    return this.#program.concepts[concept]?.entry.conceptName ?? ''
  }
}
