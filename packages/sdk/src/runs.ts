import { api } from '@slipway/protocol/api'
import type { BodyInputOf, QueryInputOf } from '@slipway/protocol/route'
import type { Run, RunDetails, RunResult, TraceCall } from '@slipway/protocol/runs'
import { asPlanId, asRunId } from './ids.ts'
import type { Page, Transport, Waiting } from './transport.ts'

export type ListRunsOptions = QueryInputOf<typeof api.listRuns> & Waiting
export type TraceOptions = QueryInputOf<typeof api.getRunTrace> & Waiting
export type StartRunInput = Omit<BodyInputOf<typeof api.startRun>, 'plan_id'>

export interface RunMethods {
  startRun(planId: string, input?: StartRunInput & Waiting): Promise<Run>
  /** Newest first. `next` is the `after` of the following page, or null at the end. */
  runs(options?: ListRunsOptions): Promise<Page<Run>>
  run(id: string, options?: Waiting): Promise<RunDetails>
  result(id: string, options?: Waiting): Promise<RunResult>
  trace(id: string, options?: TraceOptions): Promise<Page<TraceCall>>
  /** The run is `paused` once the calls under way have ended. */
  pause(id: string, options?: Waiting): Promise<Run>
  /** Goes on where a paused run stood, past the breakpoint that held it. */
  resume(id: string, options?: Waiting): Promise<Run>
  stop(id: string, options?: { readonly reason?: string | undefined } & Waiting): Promise<Run>
  runFile(id: string, path: string, options?: Waiting): Promise<Uint8Array>
}

export function runMethods({ call, page, download }: Transport): RunMethods {
  return {
    startRun: (planId, { signal, timeoutMs, ...body } = {}) =>
      call(api.startRun, { body: { ...body, plan_id: asPlanId(planId) }, signal, timeoutMs }),
    runs: ({ signal, timeoutMs, ...query } = {}) => page(api.listRuns, { query, signal, timeoutMs }),
    run: (id, wait) => call(api.getRun, { params: { id: asRunId(id) }, ...wait }),
    result: (id, wait) => call(api.getRunResult, { params: { id: asRunId(id) }, ...wait }),
    trace: (id, { signal, timeoutMs, ...query } = {}) =>
      page(api.getRunTrace, { params: { id: asRunId(id) }, query, signal, timeoutMs }),
    pause: (id, wait) => call(api.pauseRun, { params: { id: asRunId(id) }, ...wait }),
    resume: (id, wait) => call(api.resumeRun, { params: { id: asRunId(id) }, ...wait }),
    stop: (id, { reason, ...wait } = {}) =>
      call(api.stopRun, { params: { id: asRunId(id) }, body: reason === undefined ? {} : { reason }, ...wait }),
    runFile: (id, path, wait) => download(api.getRunFile, { params: { id: asRunId(id), '*': path }, ...wait }),
  }
}
