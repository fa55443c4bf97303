import { api } from '@slipway/protocol/api'
import type { DeployReply, PlanDetails, PlanGraph, PlanSummary } from '@slipway/protocol/plans'
import type { QueryInputOf, ReplyOf } from '@slipway/protocol/route'
import { asPlanId } from './ids.ts'
import { uploadTimeoutMs, type Page, type Transport, type Waiting } from './transport.ts'

export interface DeployOptions extends Waiting {
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean | undefined
  /** Put other content in the place of a version that is deployed. */
  readonly replace?: boolean | undefined
}

export interface PlanMethods {
  /** Deploys a package (zip). With `dryRun` nothing is stored. */
  deploy(bytes: Uint8Array, options?: DeployOptions): Promise<DeployReply>
  plans(options?: QueryInputOf<typeof api.listPlans> & Waiting): Promise<Page<PlanSummary>>
  plan(id: string, options?: Waiting): Promise<PlanDetails>
  planGraph(id: string, options?: Waiting): Promise<PlanGraph>
  /** Makes a version that is deployed the one that new runs take. */
  rollback(id: string, version: string, options?: Waiting): Promise<PlanDetails>
  /** Undeploys a plan. Refused with `plan.busy` while runs of it are active, unless `force` stops them. */
  deletePlan(
    id: string,
    options?: { readonly force?: boolean | undefined } & Waiting,
  ): Promise<ReplyOf<typeof api.deletePlan>>
}

export function planMethods({ call, page }: Transport): PlanMethods {
  return {
    deploy: (bytes, { dryRun, replace, signal, timeoutMs } = {}) =>
      call(api.deployPlan, {
        query: { dryRun: flag(dryRun), replace: flag(replace) },
        uploads: [{ field: 'plan', name: 'plan.zip', type: 'application/zip', content: bytes }],
        signal,
        timeoutMs: timeoutMs ?? uploadTimeoutMs,
      }),
    plans: ({ signal, timeoutMs, ...query } = {}) => page(api.listPlans, { query, signal, timeoutMs }),
    plan: (id, wait) => call(api.getPlan, { params: { id: asPlanId(id) }, ...wait }),
    planGraph: (id, wait) => call(api.getPlanGraph, { params: { id: asPlanId(id) }, query: {}, ...wait }),
    rollback: (id, version, wait) =>
      call(api.rollbackPlan, { params: { id: asPlanId(id) }, body: { version }, ...wait }),
    deletePlan: (id, { force, ...wait } = {}) =>
      call(api.deletePlan, { params: { id: asPlanId(id) }, query: { force: flag(force) }, ...wait }),
  }
}

function flag(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : String(value)
}
