import type { ColumnKinds } from '../columns.ts'

/** Events of one run that were written together and have consecutive numbers; an event of no run alone. */
export interface EventTable {
  /** Of the last of them. Ids rise in the order of commits, without gaps. */
  readonly id: number
  readonly organisation: string
  readonly run_id: string | null
  /** Of the last of them. */
  readonly seq: number
  /** Name, time and own fields of each, a JSON list. */
  readonly events: string
}

/** One row. */
export interface EventCounterTable {
  readonly id: number
  /** The number of the newest event. */
  readonly last: number
}

export const eventColumns: ColumnKinds<EventTable> = {
  id: 'integer',
  organisation: 'text',
  run_id: 'text',
  seq: 'integer',
  events: 'text',
}
