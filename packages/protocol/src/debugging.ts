import { z } from 'zod'
import { route } from './route.ts'
import { Run, RunId } from './runs.ts'

const runParams = z.object({ id: RunId })
const stepParams = z.object({ id: RunId, flow_index: z.string() })
const conceptParams = z.object({ id: RunId, concept: z.string() })
const commandErrors = ['run.unknown', 'run.state', 'run.command'] as const

/** One thing that a person did to a run, as the journal keeps it. */
export const RunCommand = z.object({
  command_id: z.string(),
  run_id: RunId,
  /** `override`, `rerun`, `modify`, `restore`, `set_breakpoint`, `step`, `cancel` and so on. */
  type: z.string(),
  /** What was asked, such as the concept and its new value. */
  details: z.unknown(),
  /** Who asked. */
  by: z.string(),
  asked_at: z.string(),
  /** `waiting` until the run takes it up: it may be in the queue. */
  status: z.enum(['waiting', 'applied', 'refused']),
  applied_at: z.string().nullable(),
  /** Number in the run's journal. */
  n: z.number().int().nullable(),
  message: z.string().nullable(),
})
export type RunCommand = z.infer<typeof RunCommand>

export const CommandReply = z.object({ command: RunCommand, run: Run })
export type CommandReply = z.infer<typeof CommandReply>

export const listBreakpoints = route({
  method: 'GET',
  path: '/api/runs/:id/breakpoints',
  scope: 'read:jobs',
  summary: 'The steps before which the run pauses.',
  tag: 'debugging',
  params: runParams,
  reply: z.object({ breakpoints: z.array(z.string()) }),
  errors: ['run.unknown'],
})

export const setBreakpoint = route({
  method: 'POST',
  path: '/api/runs/:id/breakpoints',
  scope: 'write:jobs',
  summary: 'Set a breakpoint: the run pauses before that step executes. `enabled: false` clears it.',
  tag: 'debugging',
  params: runParams,
  body: z.object({ flow_index: z.string().max(200), enabled: z.boolean().default(true) }),
  reply: CommandReply,
  errors: commandErrors,
})

export const clearBreakpoint = route({
  method: 'DELETE',
  path: '/api/runs/:id/breakpoints/:flow_index',
  scope: 'write:jobs',
  summary: 'Clear one breakpoint.',
  tag: 'debugging',
  params: stepParams,
  reply: CommandReply,
  errors: commandErrors,
})

export const clearBreakpoints = route({
  method: 'DELETE',
  path: '/api/runs/:id/breakpoints',
  scope: 'write:jobs',
  summary: 'Clear all breakpoints.',
  tag: 'debugging',
  params: runParams,
  reply: CommandReply,
  errors: commandErrors,
})

export const stepRun = route({
  method: 'POST',
  path: '/api/runs/:id/step',
  scope: 'write:jobs',
  summary: 'Let a paused run execute one step and pause again.',
  tag: 'debugging',
  params: runParams,
  reply: CommandReply,
  errors: commandErrors,
})

export const runTo = route({
  method: 'POST',
  path: '/api/runs/:id/run-to/:flow_index',
  scope: 'write:jobs',
  summary: 'Let a paused run go on until that step has executed.',
  tag: 'debugging',
  params: stepParams,
  reply: CommandReply,
  errors: commandErrors,
})

export const overrideValue = route({
  method: 'POST',
  path: '/api/runs/:id/override/:concept',
  scope: 'write:jobs',
  summary:
    'Give a concept another value; the axes stay when none are given. With `rerun_dependents` all users run again.',
  tag: 'debugging',
  params: conceptParams,
  body: z.object({
    new_value: z.unknown(),
    axes: z.array(z.string()).nullable().optional(),
    rerun_dependents: z.boolean().default(false),
  }),
  reply: CommandReply,
  errors: [...commandErrors, 'input.invalid'],
})

export const rerunFrom = route({
  method: 'POST',
  path: '/api/runs/:id/rerun-from/:flow_index',
  scope: 'write:jobs',
  summary: 'Execute a step and all that depends on it again. A finished run goes on.',
  tag: 'debugging',
  params: stepParams,
  reply: CommandReply,
  errors: commandErrors,
})

export const modifyFunction = route({
  method: 'POST',
  path: '/api/runs/:id/modify-function/:flow_index',
  scope: 'write:jobs',
  summary: 'Change the paradigm, the prompt or other settings of a step in this run only.',
  tag: 'debugging',
  params: stepParams,
  body: z.object({
    paradigm: z.string().max(500).optional(),
    /** The text that takes the place of the step's prompt. */
    prompt: z.string().max(1_000_000).optional(),
    /** Further keys of the step's working interpretation. */
    changes: z.record(z.string(), z.unknown()).optional(),
    /** Whether the step and all that depends on it run again. */
    retry: z.boolean().default(false),
  }),
  reply: CommandReply,
  errors: [...commandErrors, 'input.invalid'],
})

export const listCommands = route({
  method: 'GET',
  path: '/api/runs/:id/commands',
  scope: 'read:jobs',
  summary: 'What people did to the run, oldest first: who changed what.',
  tag: 'debugging',
  params: runParams,
  reply: z.array(RunCommand),
  errors: ['run.unknown'],
})

export const ConceptState = z.object({
  concept_name: z.string(),
  natural_name: z.string().nullable(),
  is_ground: z.boolean(),
  is_final: z.boolean(),
  status: z.enum(['empty', 'pending', 'complete']),
  has_reference: z.boolean(),
  axes: z.array(z.string()),
  shape: z.array(z.number().int()),
})
export type ConceptState = z.infer<typeof ConceptState>

/** Which position of the run: the newest one, or the one after the record with this number. */
const atStep = z.coerce.number().int().min(0).optional()

export const listReferences = route({
  method: 'GET',
  path: '/api/runs/:id/references',
  scope: 'read:jobs',
  summary: 'Every concept of the run with its status, axes and shape, now or at a checkpoint.',
  tag: 'debugging',
  params: runParams,
  query: z.object({ step: atStep }),
  reply: z.array(ConceptState),
  errors: ['run.unknown', 'checkpoint.unknown'],
})

export const ReferencePage = ConceptState.extend({
  /** Axes that were fixed by the request, with the index taken. */
  fixed: z.record(z.string(), z.number().int()),
  /** The remaining axes, and the cells in their order: nested lists over `page`'s axes. */
  page: z.object({
    axes: z.array(z.string()),
    shape: z.array(z.number().int()),
    offset: z.array(z.number().int()),
    data: z.unknown(),
  }),
  /** The record that wrote this value; null when it was given from the start. */
  written_at: z.number().int().nullable(),
})
export type ReferencePage = z.infer<typeof ReferencePage>

export const getReference = route({
  method: 'GET',
  path: '/api/runs/:id/reference/:concept',
  scope: 'read:jobs',
  summary:
    'Cells of a concept: `at=axis:index` fixes axes, `offset` and `limit` (comma separated, one per remaining axis) choose a part, `step` an earlier position.',
  tag: 'debugging',
  params: conceptParams,
  query: z.object({
    step: atStep,
    at: z.union([z.string(), z.array(z.string())]).optional(),
    offset: z.string().optional(),
    limit: z.string().optional(),
  }),
  reply: ReferencePage,
  errors: ['run.unknown', 'concept.unknown', 'checkpoint.unknown', 'input.invalid'],
})

export const ValueChange = z.object({
  step: z.number().int(),
  flow_index: z.string().nullable(),
  execution: z.number().int().nullable(),
  at: z.string(),
  /** Null when the value was cleared. */
  axes: z.array(z.string()).nullable(),
  shape: z.array(z.number().int()).nullable(),
  data: z.unknown(),
  /** Whether `data` was cut short; `GET …/reference/{concept}?step=` has all of it. */
  truncated: z.boolean(),
})
export type ValueChange = z.infer<typeof ValueChange>

const paging = {
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
}

export const getReferenceHistory = route({
  method: 'GET',
  path: '/api/runs/:id/reference/:concept/history',
  scope: 'read:jobs',
  summary: 'Every value that a concept has had in the run, oldest first; without `after` from what it was given.',
  tag: 'debugging',
  params: conceptParams,
  query: z.object({ ...paging, after: z.coerce.number().int().min(0).optional() }),
  reply: z.array(ValueChange),
  errors: ['run.unknown', 'concept.unknown'],
})

/** One finished execution of a step, or a command that changed the run. */
export const StepView = z.object({
  n: z.number().int(),
  kind: z.enum(['step', 'command']),
  cycle: z.number().int(),
  flow_index: z.string().nullable(),
  execution: z.number().int().nullable(),
  sequence: z.string().nullable(),
  concept_name: z.string().nullable(),
  status: z.string(),
  detail: z.string().nullable(),
  errors: z.array(z.object({ path: z.string(), name: z.string(), message: z.string() })),
  /** Names of the concepts that it wrote or cleared. */
  changed: z.array(z.string()),
  at: z.string(),
})
export type StepView = z.infer<typeof StepView>

export const listSteps = route({
  method: 'GET',
  path: '/api/runs/:id/steps',
  scope: 'read:jobs',
  summary: 'The records of a run in their order.',
  tag: 'debugging',
  params: runParams,
  query: z.object({ ...paging, flow_index: z.string().optional() }),
  reply: z.array(StepView),
  errors: ['run.unknown'],
})

export const getFlowHistory = route({
  method: 'GET',
  path: '/api/runs/:id/flow/:flow_index/history',
  scope: 'read:jobs',
  summary: 'Every execution of one step.',
  tag: 'debugging',
  params: stepParams,
  query: z.object(paging),
  reply: z.array(StepView),
  errors: ['run.unknown', 'step.unknown'],
})

export const LogLine = z.object({
  seq: z.number().int(),
  level: z.enum(['info', 'warning', 'error']),
  flow_index: z.string().nullable(),
  message: z.string(),
  at: z.string(),
})
export type LogLine = z.infer<typeof LogLine>

export const getRunLogs = route({
  method: 'GET',
  path: '/api/runs/:id/logs',
  scope: 'read:jobs',
  summary: 'What happened, in words: of the run or of one step.',
  tag: 'debugging',
  params: runParams,
  query: z.object({
    ...paging,
    flow_index: z.string().optional(),
    level: z.enum(['info', 'warning', 'error']).optional(),
  }),
  reply: z.array(LogLine),
  errors: ['run.unknown'],
})

const flowIndexes = z.object({ flow_indexes: z.array(z.string()) })

export const getDependents = route({
  method: 'GET',
  path: '/api/runs/:id/dependents/:concept',
  scope: 'read:jobs',
  summary: 'The steps that would run again if this concept got another value, in flow order.',
  tag: 'debugging',
  params: conceptParams,
  reply: flowIndexes,
  errors: ['run.unknown', 'concept.unknown'],
})

export const getDescendants = route({
  method: 'GET',
  path: '/api/runs/:id/descendants/:flow_index',
  scope: 'read:jobs',
  summary: 'The steps that a re-run from this step would execute again, in flow order.',
  tag: 'debugging',
  params: stepParams,
  reply: flowIndexes,
  errors: ['run.unknown', 'step.unknown'],
})
