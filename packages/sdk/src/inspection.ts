import { api } from '@slipway/protocol/api'
import type { ConceptState, LogLine, ReferencePage, StepView, ValueChange } from '@slipway/protocol/debugging'
import type { QueryInputOf } from '@slipway/protocol/route'
import { asRunId } from './ids.ts'
import type { Page, Transport, Waiting } from './transport.ts'

/** Which cells of a tensor. */
export interface CellsWanted {
  /** Position of the run: after the record with this number; the newest unless given. */
  readonly step?: number | undefined
  /** Axes that are fixed at an index. */
  readonly at?: Readonly<Record<string, number>> | undefined
  /** First index and number of cells along each axis that is not fixed. */
  readonly offset?: readonly number[] | undefined
  readonly limit?: readonly number[] | undefined
}

export interface PageWanted {
  readonly after?: number | undefined
  readonly limit?: number | undefined
}

/** Looking into runs: values, records and logs, now and at any checkpoint. */
export interface InspectionMethods {
  /** Every concept of the run with its status, axes and shape. */
  references(id: string, options?: { readonly step?: number | undefined } & Waiting): Promise<readonly ConceptState[]>
  reference(id: string, concept: string, options?: CellsWanted & Waiting): Promise<ReferencePage>
  /** Every value that a concept has had in the run, oldest first. */
  referenceHistory(id: string, concept: string, options?: PageWanted & Waiting): Promise<Page<ValueChange>>
  /** The records of a run in their order. */
  steps(id: string, options?: QueryInputOf<typeof api.listSteps> & Waiting): Promise<Page<StepView>>
  /** Every execution of one step. */
  flowHistory(id: string, flowIndex: string, options?: PageWanted & Waiting): Promise<Page<StepView>>
  /** What happened, in words. */
  logs(id: string, options?: QueryInputOf<typeof api.getRunLogs> & Waiting): Promise<Page<LogLine>>
  /** The steps that would run again if this concept got another value, in flow order. */
  dependents(id: string, concept: string, options?: Waiting): Promise<readonly string[]>
  /** The steps that a re-run from this step would execute again, in flow order. */
  descendants(id: string, flowIndex: string, options?: Waiting): Promise<readonly string[]>
}

export function inspectionMethods({ call, page }: Transport): InspectionMethods {
  const run = (id: string): { id: ReturnType<typeof asRunId> } => ({ id: asRunId(id) })
  return {
    references: (id, { step, ...wait } = {}) => call(api.listReferences, { params: run(id), query: { step }, ...wait }),
    reference: (id, concept, { step, at = {}, offset, limit, ...wait } = {}) =>
      call(api.getReference, {
        params: { ...run(id), concept },
        query: {
          step,
          at: Object.entries(at).map(([axis, index]) => `${axis}:${index}`),
          offset: offset?.join(','),
          limit: limit?.join(','),
        },
        ...wait,
      }),
    referenceHistory: (id, concept, { after, limit, ...wait } = {}) =>
      page(api.getReferenceHistory, { params: { ...run(id), concept }, query: { after, limit }, ...wait }),
    steps: (id, { signal, timeoutMs, ...query } = {}) =>
      page(api.listSteps, { params: run(id), query, signal, timeoutMs }),
    flowHistory: (id, flowIndex, { after, limit, ...wait } = {}) =>
      page(api.getFlowHistory, {
        params: { ...run(id), flow_index: flowIndex },
        query: { after, limit },
        ...wait,
      }),
    logs: (id, { signal, timeoutMs, ...query } = {}) =>
      page(api.getRunLogs, { params: run(id), query, signal, timeoutMs }),
    dependents: async (id, concept, wait) =>
      (await call(api.getDependents, { params: { ...run(id), concept }, ...wait })).flow_indexes,
    descendants: async (id, flowIndex, wait) =>
      (await call(api.getDescendants, { params: { ...run(id), flow_index: flowIndex }, ...wait })).flow_indexes,
  }
}
