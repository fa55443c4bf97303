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
import { runOf } from './known-run.ts'
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
    handle(listReferences, request => inspector.references(runOf(request), request.query.step)),
    handle(getReference, request => {
      const { step, at = [], offset, limit } = request.query
      return inspector.reference(runOf(request), request.params.concept, { step, at: [at].flat(), offset, limit })
    }),
    handle(getReferenceHistory, async request => {
      const { params, query, url, signal } = request
      const { items, next } = await inspector.referenceHistory(runOf(request), params.concept, { ...query, signal })
      return page([...items], { url, next })
    }),
    handle(listSteps, async request => {
      const { query, url } = request
      const { after, limit, flow_index: flowIndex } = query
      const { items, next } = await inspector.steps(runOf(request), { after, limit, flowIndex })
      return page([...items], { url, next })
    }),
    handle(getFlowHistory, async request => {
      const { params, query, url } = request
      const { items, next } = await inspector.flowHistory(runOf(request), params.flow_index, query)
      return page([...items], { url, next })
    }),
    handle(getRunLogs, async request => {
      const { query, url } = request
      const { after, limit, flow_index: flowIndex, level } = query
      const { items, next } = await inspector.logs(runOf(request), { after, limit, flowIndex, level })
      return page([...items], { url, next })
    }),
    handle(getDependents, async request => ({
      flow_indexes: await inspector.dependents(runOf(request), request.params.concept),
    })),
    handle(getDescendants, async request => ({
      flow_indexes: await inspector.descendants(runOf(request), request.params.flow_index),
    })),
    handle(diffRuns, ({ identity: by, params, query, signal }) => {
      const runs = { a: { by, runId: params.a }, b: { by, runId: params.b } }
      return diffs.diff(runs, { limit: query.limit, signal })
    }),
  ]
}
