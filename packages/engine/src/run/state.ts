import type { Reference } from '#reference/reference'
import type { Item, Program } from './program.ts'
import type { ConceptStatus, Detail, ItemStatus, Tracker, TruthMask } from './records.ts'

/** What a loop has kept: the elements it went over and what their bodies gave, in the order of the iterations. */
export interface LoopIteration {
  readonly element: Reference
  /** Equal for elements that are equal; see `identityOf`. */
  readonly identity: string
  /** References by concept name: the body's result and carried values. */
  readonly values: ReadonlyMap<string, Reference>
}

export interface PendingFilter {
  readonly mask: TruthMask
  readonly condition: string
  readonly source: string
}

/** The mutable state of one run, indexed by the numbers that the program gave to concepts and flow indices. */
export class RunState {
  readonly program: Program
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
  /** Slots of steps that completed with nothing but errors, with the first of these errors. */
  readonly hollow = new Map<number, string>()
  /** Step records made so far. Of steps that overlap, each end has its own number. */
  records = 0
  /** How many slots are neither completed nor failed. */
  unfinished: number
  completed = 0
  /** In parallel mode: the steps, by index, that were not ready at a turn that they would have had in sequential mode. */
  readonly late = new Set<number>()
  /** Whether a loop's first execution waits for its collection, which the reference engine does not do. */
  readonly waitForLoopBase: boolean
  readonly #parallel: boolean
  readonly #openBelow: number[]

  constructor(program: Program, { parallel }: { readonly parallel: boolean }) {
    this.waitForLoopBase = parallel || !program.strict
    this.#parallel = parallel
    this.program = program
    this.references = program.concepts.map(concept => concept.initial)
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
    if (!this.#parallel) return this.loops.size > 0 || this.filters.size > 0
    const isLate = this.late.has(item.index)
    return this.program.items.some(({ index, loopKey }) => {
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
