import { isBelow } from '#plan/flow-index'
import { isDecided } from '#sequence/timing'
import type { Lane } from '#sequence/result'
import type { Item, Program } from './program.ts'
import { isReady } from './readiness.ts'
import type { EndReason } from './records.ts'
import { VISIT_UNITS, type Scheduler } from './sequential.ts'
import { freshScheduler, type SchedulerState } from './scheduler-state.ts'
import type { RunState } from './state.ts'
import type { Steps } from './steps.ts'
import { awaitsOthers, comesInTime, looksAt } from './turn-order.ts'

/**
 * Starts every step as soon as it is ready. What could make a difference to the values keeps its order: a step does not
 * start while another one is about to write what it reads or writes, steps of one lane (files and scripts; people) run
 * one at a time in flow order, and the body of a loop waits until the loop has started.
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
  /** Steps that had their turn in this pass and were not ready; kept where it makes a difference to what steps see. */
  #passed = new Set<number>()
  #program: Program | null = null
  #loopsAbove: readonly (readonly Item[])[] = []
  #keepsTurns = false

  constructor(steps: Steps, maxCycles: number) {
    this.#steps = steps
    this.#maxCycles = maxCycles
  }

  pump(): 'finished' | EndReason | 'more' | null {
    const steps = this.#steps
    const { state } = steps
    this.#read(state.program)
    steps.refill()
    this.#exhausted &&= this.#cyclesLeft() <= 0
    this.#offerSnapshot()
    while (!this.#isBarred() && (this.#startRound() || this.#startEarly())) if (steps.isSpent) return 'more'
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
      passed: [...this.#passed].map(index => items[index]?.name ?? ''),
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
    this.#passed = numbersOf(from.passed, itemNumbers)
  }

  // What a step is configured with can change while a run goes on.
  #read(program: Program): void {
    if (program === this.#program) return
    const { items, slots } = program
    this.#program = program
    this.#keepsTurns = items.some(item => item.isLoop || looksAt(item).length > 0)
    this.#loopsAbove = items.map(
      item => slots[item.slot]?.above.flatMap(slot => slots[slot]?.items.filter(other => other.isLoop) ?? []) ?? [],
    )
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
  #startRound(): boolean {
    const { state } = this.#steps
    const { items } = state.program
    for (; this.#place < items.length; this.#place++) {
      if (this.#steps.isSpent) return true
      this.#steps.spend(VISIT_UNITS)
      const item = items[this.#place]
      if (item === undefined || !this.#isTurn(item) || !this.#mayStart(item)) continue
      if (!this.#start(item)) return false
      this.#hasStarted = true
    }
    const started = this.#hasStarted
    this.#place = 0
    this.#hasStarted = false
    this.#passed.clear()
    return started
  }

  #isTurn(item: Item): boolean {
    const { state } = this.#steps
    if (isReady(state, item) && isDecided(state, item)) return true
    if (this.#keepsTurns && !comesInTime(state, item, this.#passed)) {
      this.#passed.add(item.index)
      state.noteLate(item)
    }
    return false
  }

  // A loop may wait for what only its own body gives. When nothing else is left, the first step of such a body goes on,
  // as it does in the sequential order; the loop resets it when it starts.
  #startEarly(): boolean {
    const { state, active } = this.#steps
    if (active.size > 0 || state.unfinished === 0 || this.#isBarred()) return false
    const item = state.program.items.find(candidate => isReady(state, candidate) && isDecided(state, candidate))
    return item !== undefined && this.#start(item)
  }

  #start(item: Item): boolean {
    this.#offerSnapshot()
    const beginsCycle = !this.#inCycle || this.#ranInCycle.has(item.slot)
    // Looked at before the gate: whether the cycles are used up does not depend on what a host allows.
    this.#exhausted = beginsCycle && this.#cyclesLeft() <= 0
    if (this.#exhausted || this.#steps.holds(item)) return false
    if (beginsCycle) this.#startCycle()
    this.#ranInCycle.add(item.slot)
    this.#steps.start(item, this.#steps.state.tracker.cycleCount)
    return true
  }

  #mayStart(item: Item): boolean {
    const { state, active } = this.#steps
    if (awaitsOthers(state, item, this.#passed)) return false
    if (!loopsStarted(state, this.#loopsAbove[item.index] ?? [])) return false
    for (const { item: other } of active.values()) {
      if (sharesLane(item.prepared.lanes, other.prepared.lanes) || conflicts(item, other)) return false
      if (item.isLoop && isBelow(other.flowIndex, item.flowIndex)) return false
    }
    return true
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

function numbersOf(names: readonly string[], numbers: ReadonlyMap<string, number>): Set<number> {
  return new Set(
    names.flatMap(name => {
      const number = numbers.get(name)
      return number === undefined ? [] : [number]
    }),
  )
}

// The first turn of a loop resets its body, so nothing of the body may be under way before it.
function loopsStarted(state: RunState, loops: readonly Item[]): boolean {
  return loops.every(loop => (state.counts[loop.slot] ?? 0) > 0 || state.statuses[loop.slot] !== 'pending')
}

function sharesLane(a: readonly Lane[], b: readonly Lane[]): boolean {
  return a.length > 0 && a.some(lane => b.includes(lane))
}

function conflicts(item: Item, running: Item): boolean {
  const written = running.concept
  return (
    item.concept === written || item.fn === written || item.values.includes(written) || item.contexts.includes(written)
  )
}
