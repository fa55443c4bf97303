import { z } from 'zod'
import { PlanId } from './plans.ts'
import { route } from './route.ts'
import { Run, RunId, RunInputs, runLimits } from './runs.ts'

/** A position of a run that it can go back to and that others can be forked from: the moment after one record. */
export const Checkpoint = z.object({
  run_id: RunId,
  /** Number of the record in the run; 0 is the run before its first step. */
  step: z.number().int(),
  cycle: z.number().int(),
  /** Which record of its cycle it is, from 1. */
  inference_count: z.number().int(),
  /** The step that ended here; null for the start and for commands of a person. */
  flow_index: z.string().nullable(),
  concept_name: z.string().nullable(),
  /** Which execution of that step ended. */
  execution: z.number().int().nullable(),
  status: z.string(),
  at: z.string(),
  label: z.string(),
})
export type Checkpoint = z.infer<typeof Checkpoint>

const params = z.object({ run_id: RunId })

/** Where to: `step`, or `cycle` with or without `inference_count`; the newest checkpoint when nothing is given. */
const position = {
  step: z.number().int().min(0).optional(),
  cycle: z.number().int().min(0).optional(),
  inference_count: z.number().int().min(0).optional(),
}

/**
 * What is taken over from the source. `OVERWRITE`: everything that the plan still has. `PATCH`: what the plan has
 * unchanged; what changed, and all that depends on it, is done again. `FILL_GAPS`: what the plan and the request leave
 * empty.
 */
export const ReconcileMode = z.enum(['OVERWRITE', 'PATCH', 'FILL_GAPS'])
export type ReconcileMode = z.infer<typeof ReconcileMode>

export const listCheckpoints = route({
  method: 'GET',
  path: '/api/checkpoints/:run_id',
  scope: 'read:jobs',
  summary: 'Every position of a run, oldest first; `order=desc` newest first. A further page is in the `Link` header.',
  tag: 'checkpoints',
  params,
  query: z.object({
    after: z.coerce.number().int().min(0).optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
    order: z.enum(['asc', 'desc']).default('asc'),
    flow_index: z.string().optional(),
    cycle: z.coerce.number().int().min(0).optional(),
  }),
  reply: z.array(Checkpoint),
  errors: ['run.unknown', 'input.invalid'],
})

export const resumeCheckpoint = route({
  method: 'POST',
  path: '/api/checkpoints/:run_id/resume',
  scope: 'write:jobs',
  summary: 'Take a paused or finished run back to a checkpoint and go on from there; what came after stays recorded.',
  tag: 'checkpoints',
  params,
  body: z.object({ ...position }).optional(),
  reply: Run,
  errors: ['run.unknown', 'run.state', 'checkpoint.unknown'],
})

export const ForkRun = z.object({
  ...position,
  /** By default `OVERWRITE` onto the same package and `PATCH` onto another. */
  mode: ReconcileMode.optional(),
  /** True does every step again with the values that were taken over. */
  restart: z.boolean().optional(),
  run_id: RunId.optional(),
  plan_id: PlanId.optional(),
  version: z.string().optional(),
  /** Inputs that take the place of the source's, with all that depends on them done again. */
  inputs: RunInputs.optional(),
  /** Values of any concepts, by name, with all that depends on them done again. */
  overrides: RunInputs.optional(),
  agent: z.string().max(200).optional(),
  max_cycles: z.number().int().min(1).max(100_000).optional(),
  breakpoints: z.array(z.string().max(200)).max(1000).optional(),
  idempotency_key: z.string().min(1).max(200).optional(),
  ...runLimits,
})
export type ForkRun = z.infer<typeof ForkRun>

export const forkCheckpoint = route({
  method: 'POST',
  path: '/api/checkpoints/:run_id/fork',
  scope: 'write:jobs',
  summary: 'Start a new run from a checkpoint, of the same plan or another one; the source stays as it is.',
  tag: 'checkpoints',
  params,
  body: ForkRun.optional(),
  reply: Run,
  status: 201,
  errors: ['run.unknown', 'run.conflict', 'checkpoint.unknown', 'plan.unknown', 'input.invalid', 'input.unknown'],
})

const Change = z.object({ a: z.unknown(), b: z.unknown() })

/** One step as two runs did it; a side is null where the run did not execute it that often. */
export const StepDiff = z.object({
  flow_index: z.string(),
  concept_name: z.string(),
  execution: z.number().int(),
  difference: z.enum(['only_a', 'only_b', 'status', 'value', 'prompt']),
  status: z.object({ a: z.string().nullable(), b: z.string().nullable() }),
  /** What the step wrote, shortened where it is large. */
  value: Change.nullable(),
  /** The first prompts or arguments that differ. */
  prompt: Change.nullable(),
})
export type StepDiff = z.infer<typeof StepDiff>

const Cost = z.object({
  steps: z.number().int(),
  calls: z.number().int(),
  model_calls: z.number().int(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  call_ms: z.number(),
  wall_ms: z.number().nullable(),
})
export type RunCost = z.infer<typeof Cost>

export const RunDiff = z.object({
  a: Run,
  b: Run,
  /** The checkpoint up to which both are the same history; null when neither is a fork of the other's line. */
  common: z.object({ run_id: RunId, step: z.number().int() }).nullable(),
  inputs: z.array(z.object({ concept_name: z.string(), a: z.unknown(), b: z.unknown() })),
  /** In flow order; equal steps are only counted. */
  steps: z.array(StepDiff),
  equal_steps: z.number().int(),
  finals: z.array(z.object({ concept_name: z.string(), equal: z.boolean(), a: z.unknown(), b: z.unknown() })),
  cost: z.object({ a: Cost, b: Cost }),
  /** Whether there are more differences than are listed. */
  truncated: z.boolean(),
})
export type RunDiff = z.infer<typeof RunDiff>

export const diffRuns = route({
  method: 'GET',
  path: '/api/runs/:a/diff/:b',
  scope: 'read:jobs',
  summary: 'What two runs did differently: steps, values, prompts, results and cost.',
  tag: 'checkpoints',
  params: z.object({ a: RunId, b: RunId }),
  query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(200) }),
  reply: RunDiff,
  errors: ['run.unknown'],
})
