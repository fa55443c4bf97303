import type { EngineEvent, ItemChange, RunRecord, StepRecord } from '@slipway/engine/run/records'
import type { SnapshotItem } from '@slipway/engine/run/snapshot'
import type { EventName } from '@slipway/protocol/events'
import type { StepStatus } from '@slipway/protocol/runs'
import { unreachable } from '@slipway/kit/unreachable'

/** An event of a run before it has its number and time. */
export interface RunEventDraft {
  readonly event: EventName
  readonly data: Readonly<Record<string, unknown>>
}

/** The engine's event as clients know it. */
export function toRunEvent(event: EngineEvent): RunEventDraft {
  switch (event.type) {
    case 'cycle:started':
      return { event: event.type, data: { cycle: event.cycle } }
    case 'cycle:completed':
      return { event: event.type, data: { cycle: event.cycle, progress_made: event.progressMade } }
    case 'inference:started':
      return {
        event: event.type,
        data: {
          flow_index: event.flowIndex,
          execution: event.execution,
          concept_name: event.conceptName,
          sequence: event.sequence,
        },
      }
    case 'inference:completed':
      return {
        event: event.type,
        data: {
          flow_index: event.flowIndex,
          execution: event.execution,
          detail: event.detail,
          errors: event.errors,
          is_loop: event.isLoop,
          total_iterations: event.totalIterations,
        },
      }
    case 'inference:pending':
      return {
        event: event.type,
        data: {
          flow_index: event.flowIndex,
          execution: event.execution,
          reason: event.reason,
          iteration: event.iteration,
        },
      }
    case 'inference:failed':
    case 'inference:error':
      return {
        event: event.type,
        data: { flow_index: event.flowIndex, execution: event.execution, error: event.error },
      }
    case 'inference:skipped':
      return { event: event.type, data: { flow_index: event.flowIndex, by: event.by } }
    case 'loop:progress':
      return { event: event.type, data: { flow_index: event.flowIndex, stored: event.stored, total: event.total } }
    case 'execution:progress':
      return {
        event: event.type,
        data: {
          completed_count: event.completedCount,
          total_count: event.totalCount,
          cycle_count: event.cycleCount,
          current_inference: event.currentInference,
        },
      }
    case 'breakpoint:hit':
      return { event: event.type, data: { flow_index: event.flowIndex, execution: event.execution } }
    case 'breakpoint:set':
    case 'breakpoint:cleared':
    case 'execution:run_to':
      return { event: event.type, data: { flow_index: event.flowIndex } }
    case 'breakpoints:cleared_all':
    case 'execution:stepping':
      return { event: event.type, data: {} }
    case 'value:overridden':
      return {
        event: event.type,
        data: { concept_name: event.conceptName, rerun_dependents: event.rerunDependents },
      }
    case 'function:modified':
      return {
        event: event.type,
        data: { flow_index: event.flowIndex, keys: event.keys, has_prompt: event.hasPrompt },
      }
    case 'execution:partial_reset':
      return { event: event.type, data: { flow_indexes: event.flowIndexes } }
    case 'execution:restored':
      return { event: event.type, data: { step: event.record } }
    default:
      return unreachable(event)
  }
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
