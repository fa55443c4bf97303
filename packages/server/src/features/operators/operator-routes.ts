import {
  checkOperator,
  deleteOperator,
  drainOperator,
  getOperator,
  listOperators,
  promoteOperator,
  quarantineOperator,
  releaseOperator,
} from '@slipway/protocol/operators'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import type { Operators } from './operators.ts'

export function operatorRoutes(operators: Operators): Handler[] {
  return [
    handle(listOperators, async ({ identity, query, url }) => {
      const { operators: found, next } = await operators.page(identity, query)
      return page(found, { url, next })
    }),
    handle(getOperator, ({ identity, params }) => operators.get(identity, params.id)),
    handle(drainOperator, ({ identity, params }) => operators.drain(identity, params.id)),
    handle(quarantineOperator, ({ identity, params, body }) => operators.quarantine(identity, params.id, body.reason)),
    handle(releaseOperator, ({ identity, params }) => operators.release(identity, params.id)),
    handle(checkOperator, ({ identity, params, body }) => operators.check(identity, params.id, body)),
    handle(promoteOperator, ({ identity, params, body }) => operators.promote(identity, params.id, body)),
    handle(deleteOperator, ({ identity, params }) => operators.forget(identity, params.id)),
  ]
}
