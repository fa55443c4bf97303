import { z } from 'zod'
import { Digest, PlanId } from './plans.ts'
import { route } from './route.ts'

export const RunId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$/)
  .brand('RunId')
export type RunId = z.infer<typeof RunId>

/**
 * `pending` waits in the queue, `waiting` for people alone; neither `waiting` nor `paused` keeps a worker. `pausing` and
 * `stopping` turn into `paused` and `failed` by themselves.
 */
export const RunState = z.enum([
  'pending',
  'running',
  'waiting',
  'pausing',
  'paused',
  'stopping',
  'completed',
  'failed',
])
export type RunState = z.infer<typeof RunState>

/** Why a run did not complete. */
export const RunFailureReason = z.enum(['step_failed', 'deadlock', 'max_cycles', 'cancelled', 'timeout', 'internal'])

export const RunError = z.object({
  reason: RunFailureReason,
  message: z.string(),
  /** The steps that could not go on, with what each waits for or what went wrong. */
  stuck: z.array(z.object({ flow_index: z.string(), concept_name: z.string(), why: z.string() })),
})
export type RunError = z.infer<typeof RunError>

export const RunProgress = z.object({
  completed_count: z.number().int(),
  total_count: z.number().int(),
  failed_count: z.number().int(),
  skipped_count: z.number().int(),
  /** Finished executions so far; a step in a loop counts each time. */
  execution_count: z.number().int(),
  cycle_count: z.number().int(),
  current_inference: z.string().nullable(),
})
export type RunProgress = z.infer<typeof RunProgress>

/** Why a paused run stands where it does: nobody but a debugging command lets it go on. */
export const Held = z.object({
  by: z.enum(['breakpoint', 'step', 'run_to']),
  /** The step that would start next, or, with `run_to`, the one that the run was to go to. */
  flow_index: z.string(),
})
export type Held = z.infer<typeof Held>

export const Run = z.object({
  run_id: RunId,
  plan_id: PlanId,
  plan_version: z.string(),
  plan_digest: Digest,
  status: RunState,
  mode: z.enum(['parallel', 'sequential']),
  agent: z.string(),
  max_cycles: z.number().int(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  completed_at: z.string().nullable(),
  /** Place in the queue from 1 while `pending`, else null. */
  queue_position: z.number().int().nullable(),
  progress: RunProgress,
  held: Held.nullable(),
  /** The checkpoint that this run was forked from. */
  forked_from: z.object({ run_id: RunId, step: z.number().int() }).nullable(),
  /** When a run that is not over by then is ended with the reason `timeout`. */
  deadline_at: z.string().nullable(),
  error: RunError.nullable(),
})
export type Run = z.infer<typeof Run>

export const FinalConcept = z.object({
  name: z.string(),
  has_value: z.boolean(),
  axes: z.array(z.string()),
  shape: z.array(z.number().int()),
  /** The cells as the plan holds them, perceptual signs and all. */
  data: z.unknown(),
  /** The content with the signs read; a tensor of one cell is given as that cell. */
  value: z.unknown(),
})
export type FinalConcept = z.infer<typeof FinalConcept>

export const RunResult = z.object({
  run_id: RunId,
  plan_id: PlanId,
  status: RunState,
  final_concepts: z.array(FinalConcept),
  /** Files that the run wrote, relative to its folder. */
  files: z.array(z.object({ path: z.string(), size_bytes: z.number().int() })),
})
export type RunResult = z.infer<typeof RunResult>

export const StepStatus = z.enum(['pending', 'running', 'completed', 'failed', 'skipped'])
export type StepStatus = z.infer<typeof StepStatus>

export const RunDetails = Run.extend({
  node_statuses: z.record(z.string(), StepStatus),
})
export type RunDetails = z.infer<typeof RunDetails>

/** One call of a run to the outside. */
export const TraceCall = z.object({
  n: z.number().int(),
  key: z.string(),
  flow_index: z.string(),
  concept_name: z.string(),
  /** `model.generate`, `script.call`, `file.write` and so on. */
  type: z.string(),
  inputs: z.unknown(),
  output: z.unknown(),
  error: z.object({ name: z.string(), message: z.string() }).nullable(),
  /** Files that a script wrote, moved or removed, relative to the plan's base folder. */
  files: z.array(z.string()),
  started_at: z.string(),
  finished_at: z.string(),
  duration_ms: z.number(),
  agent: z.string().nullable(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  input_tokens: z.number().int().nullable(),
  output_tokens: z.number().int().nullable(),
  attempts: z.number().int(),
  /** It was under way when a server ended, and made again: the outside may have seen it twice. */
  repeated: z.boolean(),
})
export type TraceCall = z.infer<typeof TraceCall>

/** An input is a bare value, `{data, axes}`, or a `data:` URL that becomes a file of the run. */
export const RunInputs = z.record(z.string(), z.unknown())

const seconds = z
  .number()
  .positive()
  .max(366 * 24 * 3600)

/** Time limits of a run, in seconds; without one it may take as long as it takes. */
export const runLimits = {
  /** From the moment at which the run was accepted. */
  timeout_seconds: seconds.optional(),
  /** From a step's first call until its last one is answered; questions to people do not count. */
  step_timeout_seconds: seconds.optional(),
  /** How long a question to a person stays open before the step that asks it fails. */
  input_timeout_seconds: seconds.optional(),
}

export const StartRun = z
  .object({
    plan_id: PlanId,
    /** By exact concept name (`{raw document}`) or natural name (`raw_document`). */
    inputs: RunInputs.optional(),
    /** The same as `inputs`, under the name of the older servers. */
    ground_inputs: RunInputs.optional(),
    run_id: RunId.optional(),
    version: z.string().optional(),
    agent: z.string().max(200).optional(),
    max_cycles: z.number().int().min(1).max(100_000).optional(),
    mode: z.enum(['parallel', 'sequential']).optional(),
    ...runLimits,
    /** Flow indices before which the run is to pause. */
    breakpoints: z.array(z.string().max(200)).max(1000).optional(),
    /** Two requests with the same key start one run. The header `Idempotency-Key` does the same. */
    idempotency_key: z.string().min(1).max(200).optional(),
  })
  .refine(body => !(body.inputs && body.ground_inputs), {
    message: 'Give `inputs` or `ground_inputs`, not both.',
    path: ['ground_inputs'],
  })
export type StartRun = z.infer<typeof StartRun>

const runParams = z.object({ id: RunId })

export const startRun = route({
  method: 'POST',
  path: '/api/runs',
  scope: 'write:jobs',
  summary: 'Start a run. The reply comes once the run is on disk; it may still wait in the queue.',
  tag: 'runs',
  body: StartRun,
  reply: Run,
  status: 201,
  errors: ['plan.unknown', 'input.invalid', 'input.unknown', 'agent.unknown', 'run.conflict', 'server.stopping'],
})

export const listRuns = route({
  method: 'GET',
  path: '/api/runs',
  scope: 'read:jobs',
  summary: 'Runs, newest first. A further page is named in the `Link` header.',
  tag: 'runs',
  query: z.object({
    plan_id: PlanId.optional(),
    status: RunState.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
    after: z.string().optional(),
  }),
  reply: z.array(Run),
  errors: ['input.invalid'],
})

export const getRun = route({
  method: 'GET',
  path: '/api/runs/:id',
  scope: 'read:jobs',
  summary: 'One run with its progress and the status of every step.',
  tag: 'runs',
  params: runParams,
  reply: RunDetails,
  errors: ['run.unknown'],
})

export const getRunResult = route({
  method: 'GET',
  path: '/api/runs/:id/result',
  scope: 'read:jobs',
  summary: 'The final concepts of a finished run.',
  tag: 'runs',
  params: runParams,
  reply: RunResult,
  errors: ['run.unknown', 'run.not_finished'],
})

export const stopRun = route({
  method: 'POST',
  path: '/api/runs/:id/stop',
  scope: 'write:jobs',
  summary: 'Stop a run: a pending one ends at once, a running one after the calls under way were cancelled.',
  tag: 'runs',
  params: runParams,
  body: z.object({ reason: z.string().max(500).optional() }).optional(),
  reply: Run,
  errors: ['run.unknown', 'run.state'],
})

export const pauseRun = route({
  method: 'POST',
  path: '/api/runs/:id/pause',
  scope: 'write:jobs',
  summary:
    'Pause a run between its calls: those under way end, no others begin. It keeps no worker and survives restarts.',
  tag: 'runs',
  params: runParams,
  reply: Run,
  errors: ['run.unknown', 'run.state'],
})

export const resumeRun = route({
  method: 'POST',
  path: '/api/runs/:id/resume',
  aliases: ['/api/runs/:id/continue'],
  scope: 'write:jobs',
  summary: 'Go on with a paused run where it stood; it waits in the queue like a new one.',
  tag: 'runs',
  params: runParams,
  reply: Run,
  errors: ['run.unknown', 'run.state'],
})

export const getRunTrace = route({
  method: 'GET',
  path: '/api/runs/:id/trace',
  scope: 'read:jobs',
  summary:
    'Every model call, script call, file access and question of a run, in the order in which they were answered.',
  tag: 'runs',
  params: runParams,
  query: z.object({
    after: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
    type: z.string().optional(),
    flow_index: z.string().optional(),
  }),
  reply: z.array(TraceCall),
  errors: ['run.unknown'],
})

export const getRunFile = route({
  method: 'GET',
  path: '/api/runs/:id/files/*',
  scope: 'read:jobs',
  summary: 'One file of the run as it is on disk.',
  tag: 'runs',
  params: z.object({ id: RunId, '*': z.string().min(1) }),
  reply: z.unknown(),
  replyMedia: 'binary',
  errors: ['run.unknown', 'plan.file_unknown', 'file.forbidden'],
})
