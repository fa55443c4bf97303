import { hasContent } from '#reference/access'
import type { Reference } from '#reference/reference'
import type { FilterInjection, LoopProgress, StepResult } from '#sequence/result'
import type { StepError } from '#sequence/step'
import type { Item } from './program.ts'
import { growthOf } from './growth.ts'
import type {
  ConceptChange,
  ConceptStatus,
  EngineEvent,
  FilterChange,
  ItemChange,
  LoopChange,
  StepRecord,
} from './records.ts'
import type { LoopIteration, RunState } from './state.ts'

/** A finished execution, before it is written into the state. */
export interface Finished {
  readonly item: Item
  readonly cycle: number
  readonly execution: number
  readonly errors: readonly StepError[]
  /** How many of the filters that waited for the step it took. */
  readonly filtersTaken: number
  /** Shared values that its filters changed, and that nobody has changed since. */
  readonly filtered: readonly (readonly [concept: number, reference: Reference])[]
  readonly outcome:
    { readonly ok: true; readonly result: StepResult } | { readonly ok: false; readonly error: StepError }
}

export interface ApplyOptions {
  /** Whether a loop that resets its body also forgets how the body's steps completed. */
  readonly clearDetails: boolean
  /** Whether only the older kind of nested loops is started afresh, as the reference engine does. */
  readonly keepNestedLoops: boolean
  readonly emit: (event: EngineEvent) => void
}

/** Writes the end of an execution into the state and says what was written. */
export function applyFinished(state: RunState, finished: Finished, options: ApplyOptions): StepRecord {
  const writer = new Writer(state, finished, options)
  if (!finished.outcome.ok) writer.fail(finished.outcome.error)
  else if (finished.outcome.result.status === 'completed') writer.complete(finished.outcome.result)
  else writer.postpone(finished.outcome.result)
  return writer.record()
}

class Writer {
  readonly #state: RunState
  readonly #finished: Finished
  readonly #options: ApplyOptions
  readonly #changes: ConceptChange[] = []
  readonly #items: ItemChange[] = []
  readonly #clearedLoops: string[] = []
  readonly #loops: LoopChange[] = []
  readonly #filters: FilterChange[] = []
  #status: StepRecord['status'] = 'completed'
  #hollow = false

  constructor(state: RunState, finished: Finished, options: ApplyOptions) {
    this.#state = state
    this.#finished = finished
    this.#options = options
    const { filtered, filtersTaken, item } = finished
    for (const [concept, reference] of filtered) this.#changes.push({ name: this.#nameOf(concept), reference })
    if (filtersTaken > 0) this.#filters.push({ flowIndex: item.flowIndex, taken: filtersTaken, added: [] })
  }

  fail(error: StepError): void {
    const { item, execution } = this.#finished
    this.#status = 'failed'
    this.#state.setStatus(item.slot, 'failed')
    this.#state.results[item.slot] = `Error: ${error.message}`
    this.#state.tracker.failedExecutions++
    this.#options.emit({ type: 'inference:failed', flowIndex: item.flowIndex, execution, error })
  }

  complete(result: StepResult): void {
    const { item } = this.#finished
    const { details, results, tracker, truthMasks } = this.#state
    if (result.timing) {
      this.#setStatus(item.concept, 'complete')
      if (result.timing.verdict === 'skip') this.#skipReaders(item)
      if (result.timing.filter) this.#inject(result.timing.filter)
    }
    if (result.loop) this.#storeLoop(result.loop)
    this.#noteHollow(result)
    if (result.output) this.#write(item.concept, { reference: result.output, status: 'complete' })
    else if (result.loop) this.#setStatus(item.concept, 'complete')
    if (result.truthMask) truthMasks.set(item.concept, result.truthMask)
    if (result.detail) details[item.slot] = result.detail
    else details[item.slot] ??= 'success'
    results[item.slot] = 'Success'
    this.#state.setStatus(item.slot, 'completed')
    tracker.completionOrder.push(item.flowIndex)
    if (details[item.slot] === 'skipped') tracker.skippedExecutions++
    else tracker.successfulExecutions++
    this.#emitCompleted(result)
  }

  // The reference engine calls such a step completed, and goes on; at the end of the run it counts as failed.
  #noteHollow({ output }: StepResult): void {
    const { item, errors, execution } = this.#finished
    const [first] = errors
    if (first === undefined || hasContent(output ?? null)) return
    this.#hollow = true
    this.#state.hollow.set(item.slot, { error: `${first.name}: ${first.message}`, execution })
  }

  postpone(result: StepResult): void {
    const { item, execution } = this.#finished
    this.#status = 'pending'
    this.#state.setStatus(item.slot, 'pending')
    this.#state.tracker.retryCount++
    const { loop } = result
    if (loop) {
      this.#resetBelow(item)
      this.#storeLoop(loop)
      if (result.output) this.#write(item.concept, { reference: result.output })
      this.#emitLoop(loop)
    }
    const iteration = loop ? loop.iterations.length + 1 : null
    const reason = loop ? 'loop_iteration' : 'not_ready'
    this.#options.emit({ type: 'inference:pending', flowIndex: item.flowIndex, execution, reason, iteration })
  }

  record(): StepRecord {
    const { item, cycle, execution, errors, outcome } = this.#finished
    return {
      kind: 'step',
      n: ++this.#state.records,
      cycle,
      flowIndex: item.flowIndex,
      execution,
      sequence: item.entry.sequence,
      concept: item.entry.conceptToInfer,
      status: this.#status,
      detail: this.#state.details[item.slot] ?? null,
      changes: this.#changes,
      items: this.#items,
      clearedLoops: this.#clearedLoops,
      loops: this.#loops,
      filters: this.#filters,
      late: this.#state.takeLate(),
      truthMask: (outcome.ok && outcome.result.truthMask) || null,
      hollow: this.#hollow,
      errors: outcome.ok ? errors : [...errors, outcome.error],
    }
  }

  #write(concept: number, change: { readonly reference: Reference; readonly status?: ConceptStatus }): void {
    const { reference, ...rest } = change
    const grown = growthOf(this.#state.references[concept] ?? null, reference)
    this.#state.references[concept] = reference
    if (change.status) this.#state.conceptStatuses[concept] = change.status
    this.#changes.push({ name: this.#nameOf(concept), ...(grown === null ? { reference } : { grown }), ...rest })
  }

  #setStatus(concept: number, status: ConceptStatus): void {
    this.#state.conceptStatuses[concept] = status
    this.#changes.push({ name: this.#nameOf(concept), status })
  }

  #nameOf(concept: number): string {
    return this.#state.program.concepts[concept]?.entry.conceptName ?? ''
  }

  // Only the steps that read the concept themselves: what they would have inferred counts as there, without a value.
  #skipReaders(timing: Item): void {
    const { program, statuses, details, results, tracker } = this.#state
    for (const reader of program.concepts[timing.concept]?.readers ?? []) {
      if (statuses[reader.slot] !== 'pending') continue
      this.#state.setStatus(reader.slot, 'completed')
      details[reader.slot] = 'skipped'
      results[reader.slot] = `Skipped due to parent ${timing.flowIndex}`
      this.#setStatus(reader.concept, 'complete')
      tracker.skippedExecutions++
      tracker.completionOrder.push(reader.flowIndex)
      this.#items.push({ flowIndex: reader.flowIndex, status: 'completed', reason: 'skipped' })
      this.#options.emit({ type: 'inference:skipped', flowIndex: reader.flowIndex, by: timing.flowIndex })
    }
  }

  #inject({ flowIndex, filter }: FilterInjection): void {
    const { filters } = this.#state
    filters.set(flowIndex, [...(filters.get(flowIndex) ?? []), filter])
    this.#filters.push({ flowIndex, taken: 0, added: [filter] })
  }

  #storeLoop(loop: LoopProgress): void {
    const kept = keptOf(this.#state.loops.get(loop.key) ?? [], loop.iterations)
    this.#loops.push({ key: loop.key, kept, added: loop.iterations.slice(kept) })
    this.#state.loops.set(loop.key, loop.iterations)
    for (const [concept, reference] of loop.context) this.#write(concept, { reference, status: 'complete' })
  }

  #resetBelow(loop: Item): void {
    const { program, counts, details, loops } = this.#state
    for (const slot of program.slots[loop.slot]?.below ?? []) {
      this.#state.setStatus(slot, 'pending')
      counts[slot] = 0
      if (this.#options.clearDetails) details[slot] = null
      this.#items.push({ flowIndex: program.slots[slot]?.flowIndex ?? '', status: 'pending', reason: 'reset' })
      for (const item of program.slots[slot]?.items ?? []) {
        if (item.loopKey !== null && !(this.#options.keepNestedLoops && item.entry.sequence === 'looping')) {
          if (loops.delete(item.loopKey)) this.#clearedLoops.push(item.loopKey)
        }
        this.#resetConcept(item.concept)
      }
    }
  }

  #resetConcept(concept: number): void {
    const { program, references, conceptStatuses, conceptResets } = this.#state
    const entry = program.concepts[concept]?.entry
    if (!entry || entry.isGround) return
    conceptResets[concept] = (conceptResets[concept] ?? 0) + 1
    if (entry.isInvariant) return
    references[concept] = null
    conceptStatuses[concept] = 'pending'
    this.#changes.push({ name: entry.conceptName, reference: null, status: 'pending' })
  }

  #emitCompleted(result: StepResult): void {
    const { item, execution, errors } = this.#finished
    const { emit } = this.#options
    if (result.loop) this.#emitLoop(result.loop)
    for (const error of errors) emit({ type: 'inference:error', flowIndex: item.flowIndex, execution, error })
    emit({
      type: 'inference:completed',
      flowIndex: item.flowIndex,
      execution,
      detail: this.#state.details[item.slot] ?? null,
      errors,
      isLoop: item.isLoop,
      totalIterations: result.loop ? result.loop.iterations.length : null,
    })
  }

  #emitLoop(loop: LoopProgress): void {
    const { flowIndex } = this.#finished.item
    this.#options.emit({ type: 'loop:progress', flowIndex, stored: loop.iterations.length, total: loop.total })
  }
}

/** How many iterations were there before: a loop only adds to those that it read. */
function keptOf(before: readonly LoopIteration[], after: readonly LoopIteration[]): number {
  const last = before.length - 1
  return last >= 0 && before[last] === after[last] && before[0] === after[0] ? before.length : 0
}
