import { diffRuns } from '@slipway/protocol/checkpoints'
import {
  getDependents,
  getDescendants,
  getFlowHistory,
  getReference,
  getReferenceHistory,
  getRunLogs,
  listReferences,
  listSteps,
} from '@slipway/protocol/debugging'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import type { Inspector } from './inspector.ts'
import type { RunDiffs } from './run-diff.ts'

export function inspectionRoutes({
  inspector,
  diffs,
}: {
  readonly inspector: Inspector
  readonly diffs: RunDiffs
}): Handler[] {
  return [
    handle(listReferences, ({ params, query }) => inspector.references(params.id, query.step)),
    handle(getReference, ({ params, query }) => {
      const { step, at = [], offset, limit } = query
      return inspector.reference(params.id, params.concept, { step, at: [at].flat(), offset, limit })
    }),
    handle(getReferenceHistory, async ({ params, query, url, signal }) => {
      const { items, next } = await inspector.referenceHistory(params.id, params.concept, { ...query, signal })
      return page([...items], { url, next })
    }),
    handle(listSteps, async ({ params, query, url }) => {
      const { after, limit, flow_index: flowIndex } = query
      const { items, next } = await inspector.steps(params.id, { after, limit, flowIndex })
      return page([...items], { url, next })
    }),
    handle(getFlowHistory, async ({ params, query, url }) => {
      const { items, next } = await inspector.flowHistory(params.id, params.flow_index, query)
      return page([...items], { url, next })
    }),
    handle(getRunLogs, async ({ params, query, url }) => {
      const { after, limit, flow_index: flowIndex, level } = query
      const { items, next } = await inspector.logs(params.id, { after, limit, flowIndex, level })
      return page([...items], { url, next })
    }),
    handle(getDependents, async ({ params }) => ({
      flow_indexes: await inspector.dependents(params.id, params.concept),
    })),
    handle(getDescendants, async ({ params }) => ({
      flow_indexes: await inspector.descendants(params.id, params.flow_index),
    })),
    handle(diffRuns, ({ params, query, signal }) => diffs.diff(params.a, params.b, { limit: query.limit, signal })),
  ]
}
