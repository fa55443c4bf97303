import type { Reference } from '#reference/reference'
import { loopsOf } from './dependencies.ts'
import type { Item, Program } from './program.ts'
import { applyModifications, type Modification } from './modify.ts'
import type { ConceptStatus, Detail, ItemStatus, Tracker, TruthMask } from './records.ts'
import { Trail } from './trail.ts'

/** What a loop has kept: the elements it went over and what their bodies gave, in the order of the iterations. */
export interface LoopIteration {
  readonly element: Reference
  /** Equal for elements that are equal; see `identityOf`. */
  readonly identity: string
  /** References by concept name: the body's result and carried values. */
  readonly values: ReadonlyMap<string, Reference>
}

/** A step that completed with nothing but errors. */
export interface Hollow {
  /** The first of the errors. */
  readonly error: string
  readonly execution: number
}

export interface PendingFilter {
  readonly mask: TruthMask
  readonly condition: string
  readonly source: string
}

/** The mutable state of one run, indexed by the numbers that the program gave to concepts and flow indices. */
export class RunState {
  readonly parallel: boolean
  /** What the run was given: the plan's values, its inputs, and what was overridden among them. */
  readonly given: (Reference | null)[]
  readonly references: (Reference | null)[]
  readonly conceptStatuses: ConceptStatus[]
  readonly conceptResets: number[]
  readonly truthMasks = new Map<number, TruthMask>()
  readonly statuses: ItemStatus[]
  readonly details: (Detail | null)[]
  readonly results: (string | null)[]
  /** Executions since the last reset by a loop; this is what the readiness rules look at. */
  readonly counts: number[]
  /** Executions in the whole run. */
  readonly executions: number[]
  /** Stored iterations of every loop that has started, by the loop's key. */
  readonly loops = new Map<string, readonly LoopIteration[]>()
  readonly filters = new Map<string, readonly PendingFilter[]>()
  readonly tracker = {
    completionOrder: [] as string[],
    cycleCount: 0,
    totalExecutions: 0,
    successfulExecutions: 0,
    skippedExecutions: 0,
    failedExecutions: 0,
    retryCount: 0,
  } satisfies Tracker
  /** By slot. */
  readonly hollow = new Map<number, Hollow>()
  /** Records made so far. Of steps that overlap, each end has its own number. */
  records = 0
  /** Events told so far. */
  emitted = 0
  /** Executions started so far. Unlike the tracker's count, it stays when the run goes back to an earlier moment. */
  starts = 0
  /** The cycle from which the allowed number of cycles is counted. */
  cyclesFrom = 0
  /** How many slots are neither completed nor failed. */
  unfinished: number
  completed = 0
  /** In parallel mode: the steps, by index, that were not ready at a turn that they would have had in sequential mode. */
  readonly late = new Set<number>()
  /** Those of them that no record has yet. */
  newlyLate: number[] = []
  /** The order of steps as the records that were applied tell of it; a live run has its scheduler. */
  readonly trail: Trail
  /** Whether a loop's first execution waits for its collection, which the reference engine does not do. */
  readonly waitForLoopBase: boolean
  /** The plan as the run began with it. */
  readonly pristine: Program
  readonly #openBelow: number[]
  #program: Program
  #modifications: readonly Modification[] = []

  constructor(program: Program, { parallel }: { readonly parallel: boolean }) {
    this.waitForLoopBase = parallel || !program.strict
    this.parallel = parallel
    this.trail = new Trail(parallel)
    this.pristine = program
    this.#program = program
    this.given = program.concepts.map(concept => concept.initial)
    this.references = [...this.given]
    this.conceptStatuses = program.concepts.map(concept => (concept.entry.isGround ? 'complete' : 'empty'))
    this.conceptResets = program.concepts.map(() => 0)
    const slots = program.slots.length
    this.statuses = new Array<ItemStatus>(slots).fill('pending')
    this.details = new Array<Detail | null>(slots).fill(null)
    this.results = new Array<string | null>(slots).fill(null)
    this.counts = new Array<number>(slots).fill(0)
    this.executions = new Array<number>(slots).fill(0)
    this.unfinished = slots
    this.#openBelow = program.slots.map(slot => slot.below.length)
  }

  /** The plan with what was modified in this run. */
  get program(): Program {
    return this.#program
  }

  get modifications(): readonly Modification[] {
    return this.#modifications
  }

  /** One for each step that was modified; the plan that the run began with stays as it is. */
  set modifications(modifications: readonly Modification[]) {
    this.#modifications = modifications
    this.#program = applyModifications(this.pristine, modifications)
  }

  /** A value that the run is given: it is there, whether the plan calls the concept given or not. */
  supply(concept: number, reference: Reference): void {
    this.given[concept] = reference
    this.references[concept] = reference
    this.conceptStatuses[concept] = 'complete'
  }

  noteLate(item: Item): void {
    if (this.late.has(item.index)) return
    this.late.add(item.index)
    this.newlyLate.push(item.index)
  }

  takeLate(): string[] {
    if (this.newlyLate.length === 0) return []
    const names = this.newlyLate.map(index => this.program.items[index]?.name ?? '')
    this.newlyLate = []
    return names
  }

  /** Whether all steps below this slot are completed. */
  supported(slot: number): boolean {
    return this.#openBelow[slot] === 0
  }

  setStatus(slot: number, status: ItemStatus): void {
    const before = this.statuses[slot]
    if (before === status) return
    this.statuses[slot] = status
    if (isUnfinished(before) !== isUnfinished(status)) this.unfinished += isUnfinished(status) ? 1 : -1
    if ((before === 'completed') === (status === 'completed')) return
    const change = status === 'completed' ? -1 : 1
    this.completed -= change
    for (const above of this.program.slots[slot]?.above ?? []) {
      this.#openBelow[above] = (this.#openBelow[above] ?? 0) + change
    }
  }

  /** The detail of the last step in flow order that infers this concept, or null when none is set. */
  producerDetail(concept: number): Detail | null {
    const slot = this.program.concepts[concept]?.producer ?? -1
    return slot < 0 ? null : (this.details[slot] ?? null)
  }

  /**
   * Whether something is kept in the workspace, which is where loops and filters keep things: the reference engine
   * injects filters only beside others. In parallel mode it must not matter which loop happens to have started. There
   * the loops before the step in flow order count, since in the sequential order they start first, and those after it
   * only if the step was late itself.
   */
  usesWorkspace(item: Item): boolean {
    if (!this.parallel) return this.loops.size > 0 || this.filters.size > 0
    const isLate = this.late.has(item.index)
    return loopsOf(this.program).some(({ index, loopKey }) => {
      if (loopKey === null) return false
      const isBefore = index < item.index
      return this.loops.has(loopKey) ? isBefore || isLate : isBefore && !this.late.has(index)
    })
  }

  statusOf(item: Item): ItemStatus {
    return this.statuses[item.slot] ?? 'pending'
  }
}

function isUnfinished(status: ItemStatus | undefined): boolean {
  return status === 'pending' || status === 'in_progress'
}
