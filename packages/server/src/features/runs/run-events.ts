import type { EngineEvent, ItemChange, RunRecord, StepRecord } from '@slipway/engine/run/records'
import type { SnapshotItem } from '@slipway/engine/run/snapshot'
import type { EventName } from '@slipway/protocol/events'
import type { StepStatus } from '@slipway/protocol/runs'

/** An event of a run before it has its number and time. */
export interface RunEventDraft {
  readonly event: EventName
  readonly data: Readonly<Record<string, unknown>>
}

/** The engine's event as clients know it: its fields under the names that are usual on the wire. */
export function toRunEvent({ type, ...fields }: EngineEvent): RunEventDraft {
  const data: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) data[wireName(name)] = value
  return { event: type, data }
}

const wireNames = new Map([['record', 'step']])

function wireName(name: string): string {
  const known = wireNames.get(name)
  if (known !== undefined) return known
  const made = name.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
  wireNames.set(name, made)
  return made
}

/** The step statuses that these records change, in their order. */
export function statusChanges(records: readonly RunRecord[]): [string, StepStatus][] {
  return records.flatMap(record => {
    const items = record.items.map(item => [item.flowIndex, statusOfItem(item)] as [string, StepStatus])
    if (record.kind === 'step') return [[record.flowIndex, statusOfRecord(record)], ...items]
    const restored = record.snapshot?.items ?? []
    return [...restored.map(item => [item.flowIndex, statusOfStep(item)] as [string, StepStatus]), ...items]
  })
}

/** A step's status as clients know it, from what the engine keeps of it. */
export function statusOfStep({
  status,
  detail,
  hollow,
}: Pick<SnapshotItem, 'status' | 'detail' | 'hollow'>): StepStatus {
  if (hollow !== null) return 'failed'
  if (status === 'completed') return detail === 'skipped' ? 'skipped' : 'completed'
  return status === 'in_progress' ? 'running' : status
}

function statusOfRecord(record: StepRecord): StepStatus {
  if (record.hollow) return 'failed'
  if (record.status === 'completed') return record.detail === 'skipped' ? 'skipped' : 'completed'
  return record.status
}

function statusOfItem(item: ItemChange): StepStatus {
  if (item.reason === 'skipped' || item.detail === 'skipped') return 'skipped'
  return item.status === 'in_progress' ? 'running' : item.status
}
