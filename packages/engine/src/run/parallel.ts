import { isDecided } from '#sequence/timing'
import { Busy } from './busy.ts'
import { IndexSet } from './index-set.ts'
import type { Item } from './program.ts'
import { isReady } from './readiness.ts'
import type { EndReason, StepRecord } from './records.ts'
import { VISIT_UNITS, type Scheduler } from './sequential.ts'
import { freshScheduler, type SchedulerState } from './scheduler-state.ts'
import type { RunState } from './state.ts'
import type { Steps } from './steps.ts'
import { touchedBy, touchedByStart } from './touched.ts'
import { looksAt, TurnOrder } from './turn-order.ts'

/**
 * Starts every step as soon as it is ready. What could make a difference to the values keeps its order: a step does not
 * start while another one is about to write what it reads or writes, steps of one lane (files and scripts; people) run
 * one at a time in flow order, and the body of a loop waits until the loop has started.
 *
 * Steps are looked at in passes over all of them in flow order, as though each was looked at in each pass. Those are left
 * out for which nothing has changed since, so the work of a run grows with what happens in it and not with its plan.
 *
 * The cycle number only goes up when a step is about to run that already ran in the current cycle.
 */
export class ParallelScheduler implements Scheduler {
  readonly #steps: Steps
  readonly #maxCycles: number
  #inCycle = false
  #ranInCycle = new Set<number>()
  #exhausted = false
  /** Where the pass over the steps stands, and whether it has started one. */
  #place = 0
  #hasStarted = false
  /** Steps that had their turn in the pass from which the run goes on, until they are read. */
  #passed: readonly number[] = []
  /** What is known of the steps; null when all of it is to be read from the state. */
  #known: Known | null = null

  constructor(steps: Steps, maxCycles: number) {
    this.#steps = steps
    this.#maxCycles = maxCycles
    steps.onEnd = (item, record) => this.#noteEnd(item, record)
  }

  pump(): 'finished' | EndReason | 'more' | null {
    const steps = this.#steps
    const { state } = steps
    const known = (this.#known ??= this.#read(state))
    steps.refill()
    this.#exhausted &&= this.#cyclesLeft() <= 0
    this.#offerSnapshot()
    while (!this.#isBarred() && (this.#startRound(known) || this.#startEarly(known))) if (steps.isSpent) return 'more'
    if (steps.isSpent && (!this.#isBarred() || steps.hasPaused)) return 'more'
    if (steps.active.size > 0 || steps.held !== null) return null
    if (state.unfinished === 0) {
      this.#endCycle(true)
      return 'finished'
    }
    this.#endCycle(!this.#exhausted)
    return this.#exhausted ? 'max_cycles' : 'deadlock'
  }

  readonly save = (): SchedulerState => {
    const { items, slots } = this.#steps.state.program
    return {
      mode: 'parallel',
      inCycle: this.#inCycle,
      ran: [...this.#ranInCycle].map(slot => slots[slot]?.flowIndex ?? ''),
      place: this.#place,
      hasStarted: this.#hasStarted,
      passed: this.#passedInPass().map(index => items[index]?.name ?? ''),
    }
  }

  load(saved: SchedulerState): void {
    const { itemNumbers, slotNumbers } = this.#steps.state.program
    const from = saved.mode === 'parallel' ? saved : freshScheduler(true)
    if (from.mode !== 'parallel') return
    this.#inCycle = from.inCycle
    this.#ranInCycle = numbersOf(from.ran, slotNumbers)
    this.#place = from.place
    this.#hasStarted = from.hasStarted
    this.#passed = [...numbersOf(from.passed, itemNumbers)]
    this.#known = null
  }

  #passedInPass(): readonly number[] {
    return this.#known === null ? this.#passed : (this.#known.order?.passedBefore(this.#place) ?? [])
  }

  // What a step is configured with can change while a run goes on.
  #read(state: RunState): Known {
    const { items, slots } = state.program
    const keepsTurns = items.some(item => item.isLoop || looksAt(item).length > 0)
    const due = IndexSet.full(items.length)
    const touch = (item: Item): void => {
      this.#steps.spend(VISIT_UNITS)
      due.add(item.index)
    }
    const order = keepsTurns ? new TurnOrder(state, { passed: this.#passed, touch }) : null
    const busy = new Busy(slots.length, items.length)
    for (const { item } of this.#steps.active.values()) busy.start(item, slots[item.slot]?.above ?? [])
    this.#passed = []
    return { due, ready: new IndexSet(items.length), order, busy }
  }

  readonly #touch = (item: Item): void => {
    this.#steps.spend(VISIT_UNITS)
    this.#known?.due.add(item.index)
    this.#known?.order?.changed(item)
  }

  #noteEnd(item: Item, record: StepRecord): void {
    const { program } = this.#steps.state
    this.#known?.busy.end(item, program.slots[item.slot]?.above ?? [])
    if (this.#known !== null) touchedBy(program, record, this.#touch)
  }

  /** Whether nothing starts any more, because the cycles are used up or the gate is closed. */
  #isBarred(): boolean {
    return this.#exhausted || this.#steps.held !== null
  }

  #offerSnapshot(): void {
    if (this.#steps.active.size === 0 && !this.#exhausted) this.#steps.offerSnapshot(this.save)
  }

  // One pass over the steps in flow order, which the end of a turn may interrupt. True when something started, because
  // that may have made more steps ready.
  #startRound(known: Known): boolean {
    const { items } = this.#steps.state.program
    for (;;) {
      const item = items[this.#nextPlace(known)]
      if (item === undefined) break
      if (this.#steps.isSpent) return true
      this.#place = item.index
      this.#steps.spend(VISIT_UNITS)
      known.due.delete(item.index)
      known.busy.leave(item)
      if (this.#isTurn(item, known) && this.#mayStart(item, known)) {
        if (!this.#start(item, known)) return false
        this.#hasStarted = true
      }
      this.#place++
    }
    const started = this.#hasStarted
    this.#place = 0
    this.#hasStarted = false
    return started
  }

  #nextPlace({ due, busy }: Known): number {
    const place = due.next(this.#place)
    const freed = busy.nextFreed(this.#place)
    return place < 0 || (freed >= 0 && freed < place) ? freed : place
  }

  #isTurn(item: Item, { order, ready }: Known): boolean {
    const { state } = this.#steps
    const isTurn = isReady(state, item) && isDecided(state, item)
    if (isTurn) ready.add(item.index)
    else ready.delete(item.index)
    if (order !== null && !order.turn(item, isTurn)) state.noteLate(item)
    return isTurn
  }

  // A loop may wait for what only its own body gives. When nothing else is left, the first step of such a body goes on,
  // as it does in the sequential order; the loop resets it when it starts.
  #startEarly(known: Known): boolean {
    const { state, active } = this.#steps
    if (active.size > 0 || state.unfinished === 0 || this.#isBarred()) return false
    const item = this.#firstReady(known)
    return item !== undefined && this.#start(item, known)
  }

  #firstReady({ ready, due }: Known): Item | undefined {
    const { state } = this.#steps
    for (let place = 0; ; place++) {
      const known = ready.next(place)
      const changed = due.next(place)
      place = known < 0 || (changed >= 0 && changed < known) ? changed : known
      const item = state.program.items[place]
      if (item === undefined || (isReady(state, item) && isDecided(state, item))) return item
      this.#steps.spend(VISIT_UNITS)
    }
  }

  #start(item: Item, known: Known): boolean {
    this.#offerSnapshot()
    const beginsCycle = !this.#inCycle || this.#ranInCycle.has(item.slot)
    // Looked at before the gate: whether the cycles are used up does not depend on what a host allows.
    this.#exhausted = beginsCycle && this.#cyclesLeft() <= 0
    if (this.#exhausted || this.#steps.holds(item)) {
      known.due.add(item.index)
      return false
    }
    if (beginsCycle) this.#startCycle()
    this.#ranInCycle.add(item.slot)
    known.ready.delete(item.index)
    const { state } = this.#steps
    known.busy.start(item, state.program.slots[item.slot]?.above ?? [])
    this.#steps.start(item, state.tracker.cycleCount)
    touchedByStart(state.program, item.slot, this.#touch)
    return true
  }

  #mayStart(item: Item, { order, busy }: Known): boolean {
    if (order?.awaitsOthers(item) === true) return false
    return this.#loopsStarted(item) && busy.admits(item)
  }

  // The first turn of a loop resets its body, so nothing of the body may be under way before it.
  #loopsStarted({ slot }: Item): boolean {
    const { counts, statuses, program } = this.#steps.state
    const above = program.slots[slot]?.above ?? []
    return above.every(
      loop =>
        (counts[loop] ?? 0) > 0 ||
        statuses[loop] !== 'pending' ||
        !program.slots[loop]?.items.some(({ isLoop }) => isLoop),
    )
  }

  #startCycle(): void {
    const { tracker } = this.#steps.state
    this.#endCycle(true)
    tracker.cycleCount++
    this.#inCycle = true
    this.#ranInCycle.clear()
    this.#steps.emit({ type: 'cycle:started', cycle: tracker.cycleCount })
  }

  #cyclesLeft(): number {
    const { tracker, cyclesFrom } = this.#steps.state
    return this.#maxCycles - (tracker.cycleCount - cyclesFrom)
  }

  #endCycle(progressMade: boolean): void {
    if (!this.#inCycle) return
    this.#inCycle = false
    this.#steps.emit({ type: 'cycle:completed', cycle: this.#steps.state.tracker.cycleCount, progressMade })
  }
}

/** What is known of the steps of the plan while they are executed; places are those in flow order. */
interface Known {
  /** What is to be looked at, because something has changed for it since it was looked at last. */
  readonly due: IndexSet
  /** Ready when it was looked at last, and not started since. */
  readonly ready: IndexSet
  /** Null where no step looks at anything that it does not wait for. */
  readonly order: TurnOrder | null
  readonly busy: Busy
}

function numbersOf(names: readonly string[], numbers: ReadonlyMap<string, number>): Set<number> {
  return new Set(
    names.flatMap(name => {
      const number = numbers.get(name)
      return number === undefined ? [] : [number]
    }),
  )
}
