import { dependenciesOf } from './dependencies.ts'
import type { Item, Program } from './program.ts'
import type { StepRecord } from './records.ts'

/**
 * Calls `touch` for each item that may be ready, or may come in time, otherwise than before the execution that this
 * record tells of; for some more than once. All others are as they were, so nobody has to look at them again.
 */
export function touchedBy(program: Program, record: StepRecord, touch: (item: Item) => void): void {
  touchedByStep(program, program.slotNumbers.get(record.flowIndex) ?? -1, touch)
  for (const { flowIndex } of record.items) touchedByStep(program, program.slotNumbers.get(flowIndex) ?? -1, touch)
  const { readers } = dependenciesOf(program)
  for (const { name } of record.changes) {
    for (const reader of readers[program.conceptNumbers.get(name) ?? -1] ?? []) touch(reader)
  }
}

/** As `touchedBy`, for the start of a step. */
export function touchedByStart({ slots }: Program, slot: number, touch: (item: Item) => void): void {
  const step = slots[slot]
  if (step === undefined) return
  for (const item of step.items) {
    touch(item)
    // A body waits until its loop has started.
    if (item.isLoop) for (const below of step.below) for (const inside of slots[below]?.items ?? []) touch(inside)
  }
}

// Its status, its count of executions or how it ended has changed.
function touchedByStep(program: Program, slot: number, touch: (item: Item) => void): void {
  touchedByStart(program, slot, touch)
  const { slots } = program
  const step = slots[slot]
  if (step === undefined) return
  for (const above of step.above) for (const item of slots[above]?.items ?? []) touch(item)
  // A condition is decided by how the step ended that inferred it.
  const { readers } = dependenciesOf(program)
  for (const { concept } of step.items) for (const reader of readers[concept] ?? []) touch(reader)
}
