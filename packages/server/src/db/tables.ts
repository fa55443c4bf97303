import type { Generated } from 'kysely'
import type { EventTable } from './tables/events.ts'
import type { PlanTable, PlanVersionTable } from './tables/plans.ts'
import type { InputTable, RunCallTable, RunStepTable, RunTable } from './tables/runs.ts'

/** All tables. Times are milliseconds since 1970; JSON is text. */
export interface Tables {
  readonly migration: { readonly name: string; readonly applied_at: Generated<number> }
  readonly plan: PlanTable
  readonly plan_version: PlanVersionTable
  readonly run: RunTable
  readonly run_call: RunCallTable
  readonly run_step: RunStepTable
  readonly run_input: InputTable
  readonly event: EventTable
}
