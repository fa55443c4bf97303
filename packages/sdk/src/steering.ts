import { api } from '@slipway/protocol/api'
import type { Checkpoint, RunDiff } from '@slipway/protocol/checkpoints'
import type { CommandReply, RunCommand } from '@slipway/protocol/debugging'
import type { BodyInputOf, QueryInputOf } from '@slipway/protocol/route'
import type { Run } from '@slipway/protocol/runs'
import { asPlanId, asRunId } from './ids.ts'
import type { Page, Transport, Waiting } from './transport.ts'

/** Where in a run: `step`, or `cycle` with or without `inference_count`; its newest checkpoint when nothing is given. */
export type Position = NonNullable<BodyInputOf<typeof api.resumeCheckpoint>>
export type ForkInput = Omit<NonNullable<BodyInputOf<typeof api.forkCheckpoint>>, 'run_id' | 'plan_id'> & {
  /** Id of the new run. */
  readonly run_id?: string | undefined
  readonly plan_id?: string | undefined
}
export type ModifyInput = BodyInputOf<typeof api.modifyFunction>

export interface OverrideInput {
  readonly value: unknown
  /** Axes of the new value; the concept's own stay when none are given. */
  readonly axes?: readonly string[] | null | undefined
  /** Whether all that depends on the concept runs again. */
  readonly rerunDependents?: boolean | undefined
}

/** Checkpoints of runs, forks, and debugging. What a command did is in its reply; `run.command` says why one is refused. */
export interface SteeringMethods {
  /** Oldest first unless `order` says otherwise. */
  checkpoints(id: string, options?: QueryInputOf<typeof api.listCheckpoints> & Waiting): Promise<Page<Checkpoint>>
  /** Takes a paused or finished run back to a checkpoint; it goes on from there. */
  resumeCheckpoint(id: string, position?: Position & Waiting): Promise<Run>
  /** Starts a new run from a checkpoint; the source stays as it is. */
  fork(id: string, input?: ForkInput & Waiting): Promise<Run>
  diff(a: string, b: string, options?: { readonly limit?: number | undefined } & Waiting): Promise<RunDiff>

  breakpoints(id: string, options?: Waiting): Promise<readonly string[]>
  /** The run pauses before that step executes. */
  setBreakpoint(id: string, flowIndex: string, options?: Waiting): Promise<CommandReply>
  clearBreakpoint(id: string, flowIndex: string, options?: Waiting): Promise<CommandReply>
  clearBreakpoints(id: string, options?: Waiting): Promise<CommandReply>
  /** A paused run executes one step and pauses again. */
  step(id: string, options?: Waiting): Promise<CommandReply>
  /** A paused run goes on until that step has executed. */
  runTo(id: string, flowIndex: string, options?: Waiting): Promise<CommandReply>
  override(id: string, concept: string, input: OverrideInput & Waiting): Promise<CommandReply>
  /** Executes a step and all that depends on it again. A finished run goes on. */
  rerunFrom(id: string, flowIndex: string, options?: Waiting): Promise<CommandReply>
  /** Changes the paradigm, the prompt or other settings of a step in this run only. */
  modifyFunction(id: string, flowIndex: string, input: ModifyInput & Waiting): Promise<CommandReply>
  /** What people did to the run, oldest first. */
  commands(id: string, options?: Waiting): Promise<readonly RunCommand[]>
}

export function steeringMethods(transport: Transport): SteeringMethods {
  return { ...checkpointMethods(transport), ...commandMethods(transport) }
}

type CheckpointMethods = Pick<SteeringMethods, 'checkpoints' | 'resumeCheckpoint' | 'fork' | 'diff'>

function checkpointMethods({ call, page }: Transport): CheckpointMethods {
  return {
    checkpoints: (id, { signal, timeoutMs, ...query } = {}) =>
      page(api.listCheckpoints, { params: { run_id: asRunId(id) }, query, signal, timeoutMs }),
    resumeCheckpoint: (id, { signal, timeoutMs, ...body } = {}) =>
      call(api.resumeCheckpoint, { params: { run_id: asRunId(id) }, body, signal, timeoutMs }),
    fork: (id, { signal, timeoutMs, run_id: runId, plan_id: planId, ...body } = {}) =>
      call(api.forkCheckpoint, {
        params: { run_id: asRunId(id) },
        body: {
          ...body,
          ...(runId === undefined ? {} : { run_id: asRunId(runId) }),
          ...(planId === undefined ? {} : { plan_id: asPlanId(planId) }),
        },
        signal,
        timeoutMs,
      }),
    diff: (a, b, { limit, ...wait } = {}) =>
      call(api.diffRuns, { params: { a: asRunId(a), b: asRunId(b) }, query: { limit }, ...wait }),
  }
}

function commandMethods({ call }: Transport): Omit<SteeringMethods, keyof CheckpointMethods> {
  const run = (id: string): { id: ReturnType<typeof asRunId> } => ({ id: asRunId(id) })
  const step = (id: string, flowIndex: string): ReturnType<typeof run> & { flow_index: string } => ({
    ...run(id),
    flow_index: flowIndex,
  })
  return {
    breakpoints: async (id, wait) => (await call(api.listBreakpoints, { params: run(id), ...wait })).breakpoints,
    setBreakpoint: (id, flowIndex, wait) =>
      call(api.setBreakpoint, { params: run(id), body: { flow_index: flowIndex }, ...wait }),
    clearBreakpoint: (id, flowIndex, wait) => call(api.clearBreakpoint, { params: step(id, flowIndex), ...wait }),
    clearBreakpoints: (id, wait) => call(api.clearBreakpoints, { params: run(id), ...wait }),
    step: (id, wait) => call(api.stepRun, { params: run(id), ...wait }),
    runTo: (id, flowIndex, wait) => call(api.runTo, { params: step(id, flowIndex), ...wait }),
    override: (id, concept, { value, axes, rerunDependents, ...wait }) =>
      call(api.overrideValue, {
        params: { ...run(id), concept },
        body: {
          new_value: value,
          ...(axes === undefined ? {} : { axes: axes && [...axes] }),
          rerun_dependents: rerunDependents ?? false,
        },
        ...wait,
      }),
    rerunFrom: (id, flowIndex, wait) => call(api.rerunFrom, { params: step(id, flowIndex), ...wait }),
    modifyFunction: (id, flowIndex, { signal, timeoutMs, ...body }) =>
      call(api.modifyFunction, { params: step(id, flowIndex), body, signal, timeoutMs }),
    commands: (id, wait) => call(api.listCommands, { params: run(id), ...wait }),
  }
}
