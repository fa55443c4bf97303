import type { EngineEvent, RunRecord } from '@slipway/engine/run/records'
import type { Snapshot } from '@slipway/engine/run/snapshot'
import type { RunProgress, StepStatus } from '@slipway/protocol/runs'
import { statusChanges, statusOfStep } from './run-events.ts'

/** The status of every step of a run and the counts that its progress is told in. */
export class StepBoard {
  readonly #statuses: Map<string, StepStatus>
  readonly #running = new Set<string>()
  #executions = 0
  #cycle = 0
  #current: string | null = null

  constructor(flowIndexes: readonly string[]) {
    this.#statuses = new Map(flowIndexes.map(flowIndex => [flowIndex, 'pending']))
  }

  /** Takes over where a run stands that does not begin at its beginning. */
  begin({ items, tracker, records }: Snapshot): void {
    this.#cycle = tracker.cycleCount
    this.#executions = records
    for (const item of items) if (this.#statuses.has(item.flowIndex)) this.#set(item.flowIndex, statusOfStep(item))
  }

  get size(): number {
    return this.#statuses.size
  }

  /** Takes over what a decision did, and gives the statuses that changed. */
  apply(records: readonly RunRecord[], events: readonly EngineEvent[]): Record<string, StepStatus> {
    const changed = new Map<string, StepStatus>()
    for (const event of events) {
      if (event.type === 'cycle:started') this.#cycle = event.cycle
      if (event.type !== 'inference:started') continue
      changed.set(event.flowIndex, 'running')
      this.#current = event.flowIndex
    }
    for (const [flowIndex, status] of statusChanges(records)) changed.set(flowIndex, status)
    this.#executions += records.length
    for (const [flowIndex, status] of changed) this.#set(flowIndex, status)
    if (this.#current !== null && !this.#running.has(this.#current)) [this.#current = null] = this.#running
    return Object.fromEntries(changed)
  }

  statuses(): Record<string, StepStatus> {
    return Object.fromEntries(this.#statuses)
  }

  progress(): RunProgress {
    const count = (wanted: StepStatus): number =>
      [...this.#statuses.values()].filter(status => status === wanted).length
    const skipped = count('skipped')
    return {
      completed_count: count('completed') + skipped,
      total_count: this.size,
      failed_count: count('failed'),
      skipped_count: skipped,
      execution_count: this.#executions,
      cycle_count: this.#cycle,
      current_inference: this.#current,
    }
  }

  #set(flowIndex: string, status: StepStatus): void {
    this.#statuses.set(flowIndex, status)
    if (status === 'running') this.#running.add(flowIndex)
    else this.#running.delete(flowIndex)
  }
}
