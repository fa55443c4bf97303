import type { Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'
import { up as plans } from './0001-plans.ts'
import { up as runs } from './0002-runs.ts'
import { up as events } from './0003-events.ts'
import { up as access } from './0004-access.ts'
import { up as spine } from './0005-spine.ts'
import { up as operators } from './0006-operators.ts'
import { up as policies } from './0007-policies.ts'
import { up as circuits } from './0008-circuits.ts'

export interface Migration {
  readonly name: string
  readonly up: (database: Transaction<Tables>, types: ColumnTypes) => Promise<void>
}

/** In order. A released migration never changes. */
export const migrations: readonly Migration[] = [
  { name: '0001-plans', up: plans },
  { name: '0002-runs', up: runs },
  { name: '0003-events', up: events },
  { name: '0004-access', up: access },
  { name: '0005-spine', up: spine },
  { name: '0006-operators', up: operators },
  { name: '0007-policies', up: policies },
  { name: '0008-circuits', up: circuits },
]
