import { z } from 'zod'
import { hardwareProfiles, OperatorEvent, OperatorId } from './bus/operators.ts'
import { SchemaId } from './bus/envelope.ts'
import { JobTopic } from './bus/topics.ts'
import { route } from './route.ts'

/** How far an operator has come; the later, the more is known of it. */
export const operatorStages = ['prototype', 'staging', 'production'] as const
export const OperatorStage = z.enum(operatorStages)
export type OperatorStage = z.infer<typeof OperatorStage>

/**
 * `online` takes jobs. `waiting` is connected and gets none, since its stage is below the server's. `failing` does not answer its
 * health check and gets none meanwhile. `draining` ends what
 * it has. `quarantined` gets no jobs until somebody releases it. `offline` is not connected.
 */
export const operatorStatuses = ['online', 'waiting', 'failing', 'draining', 'quarantined', 'offline'] as const

export const OperatorView = z.object({
  operator_id: OperatorId,
  operator_type: z.string(),
  version: z.string(),
  /** `native` connects by itself, `proxy` is an HTTP service that this server calls. */
  kind: z.enum(['native', 'proxy']),
  status: z.enum(operatorStatuses),
  stage: OperatorStage,
  topics: z.array(z.string()),
  supported_schemas: z.array(z.string()),
  max_parallel_jobs: z.number(),
  /** Jobs that it works on, on whichever connection it got them. */
  jobs: z.number(),
  hardware_profile: z.enum(hardwareProfiles),
  registered_at: z.string(),
  /** When it was heard of last, to some seconds. */
  last_seen_at: z.string(),
  /** Failures one after the other, since it was last successful. */
  faults: z.number(),
  quarantine: z.object({ at: z.string(), by: z.string(), reason: z.string() }).nullable(),
  /** Names its configuration; another configuration has another one, and what was checked of this one is not of that. */
  config_digest: z.string(),
})
export type OperatorView = z.infer<typeof OperatorView>

/**
 * What an operator is tried with before it is let into production. `schema`: sample jobs end with results of registered
 * schemas. `load`: many jobs at once all end. `fault`: it bears cancelled jobs and a connection that breaks.
 */
export const operatorChecks = ['schema', 'load', 'fault'] as const

/** What a check found. */
export const Evidence = z.object({
  check: z.enum(operatorChecks),
  passed: z.boolean(),
  /** The configuration that was checked. */
  config_digest: z.string(),
  at: z.string(),
  by: z.string(),
  jobs: z.number(),
  duration_ms: z.number(),
  /** Why it did not pass. */
  reason: z.string().nullable(),
})
export type Evidence = z.infer<typeof Evidence>

export const OperatorDetail = OperatorView.extend({
  /** The newest of each check of each configuration, newest first. */
  evidence: z.array(Evidence),
  /** What was done to it, newest first. */
  history: z.array(OperatorEvent),
})
export type OperatorDetail = z.infer<typeof OperatorDetail>

const params = z.object({ id: OperatorId })
const Reason = z.object({ reason: z.string().trim().min(1).max(500) })

export const listOperators = route({
  method: 'GET',
  path: '/api/operators',
  scope: 'read:jobs',
  summary:
    "The organisation's operators by their ids: what they are and how they fare. A further page is named in the `Link` header.",
  tag: 'operators',
  query: z.object({
    topic: z.string().max(200).optional(),
    status: z.enum(operatorStatuses).optional(),
    limit: z.coerce.number().int().min(1).max(500).default(100),
    after: z.string().max(200).optional(),
  }),
  reply: z.array(OperatorView),
  errors: ['input.invalid'],
})

export const getOperator = route({
  method: 'GET',
  path: '/api/operators/:id',
  scope: 'read:jobs',
  summary: 'One operator, with what was done to it.',
  tag: 'operators',
  params,
  reply: OperatorDetail,
  errors: ['operator.unknown'],
})

export const drainOperator = route({
  method: 'POST',
  path: '/api/operators/:id/drain',
  scope: 'admin',
  summary: 'Let an operator end what it has and leave. It gets jobs again when it registers anew.',
  tag: 'operators',
  params,
  reply: OperatorView,
  errors: ['operator.unknown', 'operator.offline'],
})

export const quarantineOperator = route({
  method: 'POST',
  path: '/api/operators/:id/quarantine',
  scope: 'admin',
  summary: 'Give an operator no jobs until it is released, however often it registers.',
  tag: 'operators',
  params,
  body: Reason,
  reply: OperatorView,
  errors: ['input.invalid', 'operator.unknown'],
})

export const releaseOperator = route({
  method: 'POST',
  path: '/api/operators/:id/release',
  scope: 'admin',
  summary: 'End the quarantine of an operator.',
  tag: 'operators',
  params,
  reply: OperatorView,
  errors: ['operator.unknown'],
})

export const deleteOperator = route({
  method: 'DELETE',
  path: '/api/operators/:id',
  scope: 'admin',
  summary: 'Forget an operator that is not connected.',
  tag: 'operators',
  params,
  reply: z.object({ operator_id: OperatorId }),
  errors: ['operator.unknown', 'operator.online'],
})

export const CheckOperator = z.object({
  topic: JobTopic,
  schema: SchemaId,
  /** Payloads of jobs that the operator has to do. */
  samples: z.array(z.json()).min(1).max(50),
  /** Of the load: jobs in all. */
  load_jobs: z.int().min(1).max(1_000).default(100),
  /** How long each check may take. */
  timeout_seconds: z.number().min(1).max(120).default(60),
})
export type CheckOperator = z.infer<typeof CheckOperator>

export const checkOperator = route({
  method: 'POST',
  path: '/api/operators/:id/check',
  scope: 'admin',
  summary: 'Try an operator of the stage staging with sample jobs, and keep what is found as evidence.',
  tag: 'operators',
  params,
  body: CheckOperator,
  reply: z.array(Evidence),
  errors: ['input.invalid', 'operator.unknown', 'operator.offline', 'operator.evidence'],
})

export const promoteOperator = route({
  method: 'POST',
  path: '/api/operators/:id/promote',
  scope: 'admin',
  summary: 'Bring an operator to another stage; to production only a configuration that passed every check.',
  tag: 'operators',
  params,
  body: z.object({ stage: OperatorStage, reason: z.string().trim().min(1).max(500) }),
  reply: OperatorView,
  errors: ['input.invalid', 'operator.unknown', 'operator.evidence'],
})
