import { isUtf8 } from 'node:buffer'
import {
  deletePlan,
  deployPlan,
  getPlan,
  getPlanFile,
  getPlanGraph,
  listPlans,
  rollbackPlan,
} from '@slipway/protocol/plans'
import { handle, type Handler } from '#http/handler'
import { page, withStatus } from '#http/reply'
import { receiveZip } from '#http/upload'
import type { Plans } from './plans.ts'

export function planRoutes(plans: Plans): Handler[] {
  return [
    handle(deployPlan, async ({ request, query, signal }) => {
      const receive = (target: string): Promise<void> =>
        receiveZip(request, { field: 'plan', maxBytes: plans.maxArchiveBytes, target, signal })
      const reply = await plans.deploy(receive, { ...query, signal })
      return withStatus(reply, reply.status === 'deployed' ? 201 : 200)
    }),
    handle(listPlans, async ({ query, url }) => {
      const { plans: items, next } = await plans.list(query)
      return page(items, { url, next })
    }),
    handle(getPlan, ({ params }) => plans.get(params.id)),
    handle(getPlanGraph, ({ params, query }) => plans.graph(params.id, query.version)),
    handle(getPlanFile, async ({ params, query }) => {
      const { path, bytes } = await plans.file(params.id, { path: params['*'], version: query.version })
      const encoding = isUtf8(bytes) ? ('utf-8' as const) : ('base64' as const)
      return { path, content: bytes.toString(encoding), size: bytes.length, encoding }
    }),
    handle(rollbackPlan, ({ params, body }) => plans.rollback(params.id, body.version)),
    handle(deletePlan, async ({ params, query }) => {
      const { stoppedRuns } = await plans.delete(params.id, { force: query.force })
      return { status: 'deleted' as const, plan_id: params.id, stopped_runs: stoppedRuns }
    }),
  ]
}
