import type { Generated } from 'kysely'

export interface OperatorTable {
  readonly organisation: string
  readonly id: string
  readonly type: string
  readonly version: string
  /** `native` or `proxy`. */
  readonly kind: string
  /** JSON. */
  readonly topics: string
  /** JSON. */
  readonly schemas: string
  readonly slots: number
  readonly hardware: string
  readonly stage: string
  /** Of its configuration. */
  readonly digest: string
  readonly registered_at: number
  readonly last_seen_at: number
  /** Which connection is the operator's; null while it has none. */
  readonly session: string | null
  /** Why its health check fails; null while it does not. */
  readonly failing: string | null
  readonly draining_at: number | null
  readonly faults: number
  readonly quarantined_at: number | null
  readonly quarantined_by: string | null
  readonly quarantine_reason: string | null
}

/** What was done to operators, and by whom. */
export interface OperatorEventTable {
  readonly position: Generated<number>
  readonly organisation: string
  readonly operator: string
  readonly event: string
  readonly at: number
  readonly by: string
  readonly reason: string | null
}

/** What the checks of a configuration found; of each the newest. */
export interface OperatorEvidenceTable {
  readonly organisation: string
  readonly operator: string
  readonly digest: string
  readonly check_name: string
  readonly passed: number
  readonly at: number
  readonly by: string
  readonly jobs: number
  readonly duration_ms: number
  readonly reason: string | null
}
