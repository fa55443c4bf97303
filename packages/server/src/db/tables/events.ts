import type { Generated } from 'kysely'

export interface EventTable {
  readonly id: Generated<number>
  readonly run_id: string | null
  readonly seq: number
  readonly event: string
  readonly ts: number
  /** The event's own fields, a JSON object. */
  readonly data: string
}
