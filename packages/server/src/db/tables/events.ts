import type { ColumnKinds } from '../columns.ts'

export interface EventTable {
  /** Rises in the order of commits, without gaps. */
  readonly id: number
  readonly run_id: string | null
  readonly seq: number
  readonly event: string
  readonly ts: number
  /** The event's own fields, a JSON object. */
  readonly data: string
}

/** One row. */
export interface EventCounterTable {
  readonly id: number
  /** The number of the newest event. */
  readonly last: number
}

export const eventColumns: ColumnKinds<EventTable> = {
  id: 'integer',
  run_id: 'text',
  seq: 'integer',
  event: 'text',
  ts: 'real',
  data: 'text',
}
