import { parseJson } from '@slipway/kit/json'
import type { OperatorEvent } from '@slipway/protocol/bus/operators'
import type { Evidence, OperatorStage, OperatorView } from '@slipway/protocol/operators'
import { isAtLeast } from './operator-registry.ts'
import type { CountedOperator, EvidenceRow, OperatorEventRow } from './operator-store.ts'

export function operatorView(row: CountedOperator, leastStage: OperatorStage): OperatorView {
  return {
    operator_id: row.id,
    operator_type: row.type,
    version: row.version,
    kind: row.kind as OperatorView['kind'],
    status: statusOf(row, leastStage),
    stage: row.stage as OperatorStage,
    topics: parseJson(row.topics) as string[],
    supported_schemas: parseJson(row.schemas) as string[],
    max_parallel_jobs: row.slots,
    jobs: row.held,
    hardware_profile: row.hardware as OperatorView['hardware_profile'],
    registered_at: timeOf(row.registered_at),
    last_seen_at: timeOf(row.last_seen_at),
    faults: row.faults,
    quarantine:
      row.quarantined_at === null
        ? null
        : {
            at: timeOf(row.quarantined_at),
            by: row.quarantined_by ?? '',
            reason: row.quarantine_reason ?? '',
          },
    config_digest: row.digest,
  }
}

export function eventView({ event, operator, at, by, reason }: OperatorEventRow): OperatorEvent {
  return { event: event as OperatorEvent['event'], operator_id: operator, at: timeOf(at), by, reason }
}

export function evidenceView(row: EvidenceRow): Evidence {
  return {
    check: row.check_name as Evidence['check'],
    passed: row.passed === 1,
    config_digest: row.digest,
    at: timeOf(row.at),
    by: row.by,
    jobs: row.jobs,
    duration_ms: row.duration_ms,
    reason: row.reason,
  }
}

function statusOf(row: CountedOperator, leastStage: OperatorStage): OperatorView['status'] {
  if (row.quarantined_at !== null) return 'quarantined'
  if (row.session === null) return 'offline'
  if (row.draining_at !== null) return 'draining'
  if (row.failing !== null) return 'failing'
  return isAtLeast(row.stage as OperatorStage, leastStage) ? 'online' : 'waiting'
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
