import { isUtf8 } from 'node:buffer'
import {
  deletePlan,
  deployPlan,
  getPlan,
  getPlanFile,
  getPlanGraph,
  listPlans,
  rollbackPlan,
  type PlanId,
} from '@slipway/protocol/plans'
import type { Identity } from '#http/authenticate'
import { handle, type Handler } from '#http/handler'
import { page, withStatus } from '#http/reply'
import { receiveZip } from '#http/upload'
import type { PlanRef, Plans } from './plans.ts'

export function planRoutes(plans: Plans): Handler[] {
  return [
    handle(deployPlan, async ({ request, query, identity, signal }) => {
      const receive = (target: string): Promise<void> =>
        receiveZip(request, { field: 'plan', maxBytes: plans.maxArchiveBytes, target, signal })
      const reply = await plans.deploy(receive, { ...query, organisation: identity.organisation, signal })
      return withStatus(reply, reply.status === 'deployed' ? 201 : 200)
    }),
    handle(listPlans, async ({ query, identity, url }) => {
      const { plans: items, next } = await plans.list(identity.organisation, query)
      return page(items, { url, next })
    }),
    handle(getPlan, request => plans.get(planOf(request))),
    handle(getPlanGraph, request => plans.graph(planOf(request), request.query.version)),
    handle(getPlanFile, async request => {
      const { params, query } = request
      const { path, bytes } = await plans.file(planOf(request), { path: params['*'], version: query.version })
      const encoding = isUtf8(bytes) ? ('utf-8' as const) : ('base64' as const)
      return { path, content: bytes.toString(encoding), size: bytes.length, encoding }
    }),
    handle(rollbackPlan, request => plans.rollback(planOf(request), request.body.version)),
    handle(deletePlan, async request => {
      const { identity, params, query } = request
      const { stoppedRuns } = await plans.delete(planOf(request), { force: query.force, by: identity.subject })
      return { status: 'deleted' as const, plan_id: params.id, stopped_runs: stoppedRuns }
    }),
  ]
}

function planOf({
  identity,
  params,
}: {
  readonly identity: Identity
  readonly params: { readonly id: PlanId }
}): PlanRef {
  return { organisation: identity.organisation, planId: params.id }
}
