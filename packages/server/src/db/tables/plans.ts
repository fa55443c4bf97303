import type { Generated } from 'kysely'

/** Ids of plans are an organisation's own. */
export interface PlanTable {
  readonly organisation: string
  readonly id: string
  /** The version that new runs take. */
  readonly active_version: string
}

export interface PlanVersionTable {
  /** The order in which versions were first deployed. */
  readonly position: Generated<number>
  readonly organisation: string
  readonly plan_id: string
  readonly version: string
  readonly digest: string
  readonly name: string
  readonly description: string
  readonly deployed_at: number
  readonly size_bytes: number
  /** What lists show of the plan, JSON: inputs, outputs, dialect, step count. */
  readonly summary: string
  /** What only the plan's own page shows, JSON: files, warnings, agent. Kept apart so that lists stay fast. */
  readonly details: string
}
