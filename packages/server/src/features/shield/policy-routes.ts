import {
  activatePolicy,
  deactivatePolicy,
  deletePolicy,
  getPolicy,
  listPolicies,
  putPolicy,
} from '@slipway/protocol/policies'
import { handle, type Handler } from '#http/handler'
import type { Shield } from './shield.ts'

export function policyRoutes({ policies }: Shield): Handler[] {
  return [
    handle(putPolicy, ({ identity, params, body }) => policies.put(identity, params.name, body)),
    handle(listPolicies, ({ identity }) => policies.list(identity)),
    handle(getPolicy, ({ identity, params }) => policies.get(identity, params.name)),
    handle(activatePolicy, ({ identity, params }) => policies.setActive(identity, params.name, true)),
    handle(deactivatePolicy, ({ identity, params }) => policies.setActive(identity, params.name, false)),
    handle(deletePolicy, ({ identity, params }) => policies.delete(identity, params.name)),
  ]
}
