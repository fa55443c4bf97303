import type { Kysely, Transaction } from 'kysely'
import type { BulkInsert } from './bulk.ts'
import type { DialectName } from './columns.ts'
import type { Tx } from './database.ts'
import type { Tables } from './tables.ts'

/** What servers tell each other. */
export interface Notice {
  readonly channel: Channel
  /** At most 7,999 bytes. */
  readonly payload: string
}

/**
 * `slipway_events`: events were committed. `slipway_runs`: runs wait for something that may be done now.
 * `slipway_spine`: jobs or messages were committed, or leases are to be looked at.
 * `slipway_operators`: an operator is to be looked at. `slipway_circuits`: circuits have changed.
 * `slipway_policies`: policies of an organisation, which is the payload, have changed.
 */
export type Channel =
  'slipway_events' | 'slipway_runs' | 'slipway_spine' | 'slipway_operators' | 'slipway_policies' | 'slipway_circuits'

/** Gets what a committed transaction told, or null when something may have been told that was not heard. */
export type NoticeHandler = (payload: string | null) => void

/** What each of the two databases does in its own way. */
export interface Backend {
  readonly dialect: DialectName
  readonly kysely: Kysely<Tables>
  /** Writes many rows without building a query for them. */
  insert(transaction: Transaction<Tables>, insert: BulkInsert): Promise<void>
  /** Runs `work` while nobody else on this database runs other work of this name. */
  exclusive<T>(name: string, work: () => Promise<T>): Promise<T>
  notify(tx: Tx, notice: Notice): Promise<void>
  listen(channel: Channel, handler: NoticeHandler): Disposable
  /** Shows all servers of the database that the one of this name lives. Resolves once they can see it. */
  join(server: string): Promise<void>
  /** Those of these servers that nobody shows to live. None when that cannot be told at this moment. */
  gone(servers: readonly string[]): Promise<string[]>
  /** Gives a portion of what deleted rows took back to the disk. False when nothing is left. */
  reclaim(): Promise<boolean>
  close(): Promise<void>
}
