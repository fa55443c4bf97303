import type { Lane } from '#sequence/result'
import { IndexSet } from './index-set.ts'
import type { Item } from './program.ts'

/** A lane, or the number of a concept that an execution is about to write. */
type Resource = Lane | number

/**
 * What the executions that are under way keep others from: those of the same lane, those that read or write what they
 * are about to write, and the loops around them. Who waits for that is not looked at before it is free.
 */
export class Busy {
  readonly #users = new Map<Resource, number>()
  /** By slot, the executions below it. */
  readonly #below: Uint32Array
  readonly #items: number
  readonly #waiting = new Map<Resource, IndexSet>()
  /** What somebody waits for and nobody uses. */
  readonly #freed = new Set<Resource>()

  constructor(slots: number, items: number) {
    this.#below = new Uint32Array(slots)
    this.#items = items
  }

  /** `above` are the slots above that of the step. */
  start(item: Item, above: readonly number[]): void {
    for (const resource of usedBy(item)) {
      this.#users.set(resource, (this.#users.get(resource) ?? 0) + 1)
      this.#freed.delete(resource)
    }
    for (const slot of above) this.#below[slot] = (this.#below[slot] ?? 0) + 1
  }

  end(item: Item, above: readonly number[]): void {
    for (const resource of usedBy(item)) {
      const left = (this.#users.get(resource) ?? 0) - 1
      if (left > 0) {
        this.#users.set(resource, left)
        continue
      }
      this.#users.delete(resource)
      if (this.#waiting.has(resource)) this.#freed.add(resource)
    }
    for (const slot of above) this.#below[slot] = (this.#below[slot] ?? 0) - 1
  }

  /** Whether nothing that is under way keeps a step from starting. */
  admits(item: Item): boolean {
    // The end of an execution has the steps above it looked at again.
    if (item.isLoop && (this.#below[item.slot] ?? 0) > 0) return false
    if (this.#users.size === 0) return true
    const resource = this.#missing(item)
    if (resource !== null) this.#wait(item, resource)
    return resource === null
  }

  /** The first step, not before `place`, that waited for something that is free now; -1 where there is none. */
  nextFreed(place: number): number {
    let first = -1
    for (const resource of this.#freed) {
      const next = this.#waiting.get(resource)?.next(place) ?? -1
      if (next >= 0 && (first < 0 || next < first)) first = next
    }
    return first
  }

  /** The step is looked at now, and waits for nothing before it was. */
  leave({ index }: Item): void {
    for (const resource of this.#freed) {
      const waiting = this.#waiting.get(resource)
      waiting?.delete(index)
      if (waiting !== undefined && waiting.next(0) >= 0) continue
      this.#waiting.delete(resource)
      this.#freed.delete(resource)
    }
  }

  #wait({ index }: Item, resource: Resource): void {
    const waiting = this.#waiting.get(resource) ?? new IndexSet(this.#items)
    this.#waiting.set(resource, waiting)
    waiting.add(index)
  }

  #missing({ concept, fn, values, contexts, prepared }: Item): Resource | null {
    const isUsed = (resource: Resource): boolean => this.#users.has(resource)
    if (isUsed(concept)) return concept
    if (isUsed(fn)) return fn
    return prepared.lanes.find(isUsed) ?? values.find(isUsed) ?? contexts.find(isUsed) ?? null
  }
}

function usedBy({ concept, prepared }: Item): Resource[] {
  return [concept, ...prepared.lanes]
}
