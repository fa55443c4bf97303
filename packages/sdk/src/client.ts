import { api } from '@slipway/protocol/api'
import type { DeployReply, PlanDetails, PlanGraph, PlanId, PlanSummary } from '@slipway/protocol/plans'
import type { BodyInputOf, QueryInputOf, ReplyOf } from '@slipway/protocol/route'
import type { PendingInput, Run, RunDetails, RunId, RunResult, TraceCall } from '@slipway/protocol/runs'
import type { Health } from '@slipway/protocol/system'
import {
  createTransport,
  type AnyRoute,
  type CallInput,
  type ClientOptions,
  type Page,
  type Transport,
  type Waiting,
} from './transport.ts'

export interface DeployOptions extends Waiting {
  /** Check only; nothing is stored. */
  readonly dryRun?: boolean | undefined
  /** Put other content in the place of a version that is deployed. */
  readonly replace?: boolean | undefined
}
export type ListRunsOptions = QueryInputOf<typeof api.listRuns> & Waiting
export type TraceOptions = QueryInputOf<typeof api.getRunTrace> & Waiting
export type Answer = BodyInputOf<typeof api.answerInput>['answer']
export type StartRunInput = Omit<BodyInputOf<typeof api.startRun>, 'plan_id'>

/**
 * One server, as other programs see it. Every method rejects with an `AppError`: the server's own code and details, or
 * `server.unreachable` when no answer came in time. An aborted signal rejects with its own reason.
 */
export interface Client {
  /** Address of the server without a closing slash. */
  readonly url: string
  readonly token: string | undefined
  /** Any route of the protocol, for what has no method of its own. */
  call<R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting): Promise<ReplyOf<R>>

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

  startRun(planId: string, input?: StartRunInput & Waiting): Promise<Run>
  /** Newest first. `next` is the `after` of the following page, or null at the end. */
  runs(options?: ListRunsOptions): Promise<Page<Run>>
  run(id: string, options?: Waiting): Promise<RunDetails>
  result(id: string, options?: Waiting): Promise<RunResult>
  trace(id: string, options?: TraceOptions): Promise<Page<TraceCall>>
  /** The run is `paused` once the calls under way have ended. */
  pause(id: string, options?: Waiting): Promise<Run>
  resume(id: string, options?: Waiting): Promise<Run>
  stop(id: string, options?: { readonly reason?: string | undefined } & Waiting): Promise<Run>
  runFile(id: string, path: string, options?: Waiting): Promise<Uint8Array>

  /** Questions that wait for a person, oldest first; of one run when `runId` is given. */
  inputs(options?: { readonly runId?: string | undefined } & Waiting): Promise<readonly PendingInput[]>
  answer(inputId: string, answer: Answer, options?: Waiting): Promise<void>

  health(options?: Waiting): Promise<Health>
  models(options?: Waiting): Promise<ReplyOf<typeof api.listModels>>
}

const uploadTimeoutMs = 300_000

export function createClient(options: ClientOptions): Client {
  const transport = createTransport(options)
  return {
    url: transport.url,
    token: options.token,
    call: transport.call,
    ...planMethods(transport),
    ...runMethods(transport),
    health: wait => transport.call(api.healthz, { ...wait }),
    models: wait => transport.call(api.listModels, { ...wait }),
  }
}

function flag(value: boolean | undefined): string | undefined {
  return value === undefined ? undefined : String(value)
}

type PlanMethods = Pick<Client, 'deploy' | 'plans' | 'plan' | 'planGraph' | 'rollback' | 'deletePlan'>

function planMethods({ call, page }: Transport): PlanMethods {
  return {
    deploy: (bytes, { dryRun, replace, signal, timeoutMs } = {}) =>
      call(api.deployPlan, {
        query: { dryRun: flag(dryRun), replace: flag(replace) },
        upload: { field: 'plan', name: 'plan.zip', bytes },
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

type RunMethods = Omit<Client, keyof PlanMethods | 'url' | 'token' | 'call' | 'health' | 'models'>

function runMethods({ call, page, download }: Transport): RunMethods {
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
    inputs: ({ runId, ...wait } = {}) =>
      call(api.listInputs, { query: { run_id: runId === undefined ? undefined : asRunId(runId) }, ...wait }),
    answer: async (inputId, answer, wait) => {
      await call(api.answerInput, { params: { id: inputId }, body: { answer }, ...wait })
    },
  }
}

// The server judges ids and says what is wrong with them; a client only passes on what it was given.
const asPlanId = (id: string): PlanId => id as PlanId
const asRunId = (id: string): RunId => id as RunId
