import type { TokenId } from '@slipway/protocol/access'
import type { PlanId } from '@slipway/protocol/plans'
import type { RunId } from '@slipway/protocol/runs'

// The server judges ids and says what is wrong with them; a client only passes on what it was given.
export const asPlanId = (id: string): PlanId => id as PlanId
export const asRunId = (id: string): RunId => id as RunId
export const asTokenId = (id: string): TokenId => id as TokenId
