import type { Generated } from 'kysely'

export interface PolicyTable {
  readonly organisation: string
  readonly name: string
  /** A pattern of topics. */
  readonly topics: string
  readonly version: number
  /** 0 or 1. */
  readonly is_active: number
  /** SHA-256 of the module. */
  readonly digest: string
  readonly module: Uint8Array
  readonly changed_by: string
  readonly changed_at: number
}

/** What was done to policies, and by whom. */
export interface PolicyChangeTable {
  readonly position: Generated<number>
  readonly organisation: string
  readonly policy: string
  readonly change: string
  readonly version: number
  readonly digest: string
  readonly topics: string
  readonly is_active: number
  readonly by: string
  readonly at: number
}
