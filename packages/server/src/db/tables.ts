import type { ColumnKinds } from './columns.ts'
import type { AuditTable, OrganisationTable, TokenTable } from './tables/access.ts'
import type { CircuitTable, CircuitVersionTable } from './tables/circuits.ts'
import type { OperatorEventTable, OperatorEvidenceTable, OperatorTable } from './tables/operators.ts'
import { eventColumns, type EventCounterTable, type EventTable } from './tables/events.ts'
import type { PolicyTable } from './tables/policies.ts'
import type { PlanTable, PlanVersionTable } from './tables/plans.ts'
import {
  runCallColumns,
  runStepColumns,
  runValueColumns,
  type InputTable,
  type RunCallTable,
  type RunCommandTable,
  type RunContentTable,
  type RunRemainsTable,
  type RunSnapshotTable,
  type RunStepTable,
  type RunTable,
  type RunValueTable,
} from './tables/runs.ts'
import {
  busMessageColumns,
  jobAttemptColumns,
  jobColumns,
  jobLogColumns,
  jobPayloadColumns,
  type BusCounterTable,
  type BusMessageTable,
  type BusSchemaTable,
  type JobAttemptTable,
  type JobLogTable,
  type JobPayloadTable,
  type JobQueueTable,
  type JobScheduleTable,
  type JobTable,
} from './tables/spine.ts'

/** All tables. Times are milliseconds since 1970; JSON is text. */
export interface Tables {
  readonly migration: { readonly name: string; readonly applied_at: number }
  readonly organisation: OrganisationTable
  readonly token: TokenTable
  readonly audit: AuditTable
  readonly plan: PlanTable
  readonly plan_version: PlanVersionTable
  readonly run: RunTable
  readonly run_content: RunContentTable
  readonly run_remains: RunRemainsTable
  readonly run_call: RunCallTable
  readonly run_command: RunCommandTable
  readonly run_step: RunStepTable
  readonly run_snapshot: RunSnapshotTable
  readonly run_value: RunValueTable
  readonly run_input: InputTable
  readonly event: EventTable
  readonly event_counter: EventCounterTable
  readonly job: JobTable
  readonly job_payload: JobPayloadTable
  readonly job_attempt: JobAttemptTable
  readonly job_log: JobLogTable
  readonly job_queue: JobQueueTable
  readonly job_schedule: JobScheduleTable
  readonly bus_message: BusMessageTable
  readonly bus_counter: BusCounterTable
  readonly bus_schema: BusSchemaTable
  readonly circuit: CircuitTable
  readonly circuit_version: CircuitVersionTable
  readonly operator: OperatorTable
  readonly operator_event: OperatorEventTable
  readonly operator_evidence: OperatorEvidenceTable
  readonly policy: PolicyTable
}

/** The tables that `insertAll` and `insertMissing` can write. */
export const bulkTables = {
  run_call: runCallColumns,
  run_step: runStepColumns,
  run_value: runValueColumns,
  event: eventColumns,
  job: jobColumns,
  job_payload: jobPayloadColumns,
  job_attempt: jobAttemptColumns,
  job_log: jobLogColumns,
  bus_message: busMessageColumns,
} as const satisfies { readonly [Name in keyof Tables]?: ColumnKinds<Tables[Name]> }

export type BulkTable = keyof typeof bulkTables
