import { z } from 'zod'
import { route } from './route.ts'

/** A plan's id: made from its name, unique on a server, letters and digits of any script. */
export const PlanId = z.string().min(1).max(200).brand('PlanId')
export type PlanId = z.infer<typeof PlanId>

/** SHA-256 of the package's canonical content, `sha256:` and 64 hex digits. */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/)
  .brand('Digest')
export type Digest = z.infer<typeof Digest>

/** One thing that is wrong, or looks wrong, with a plan. */
export const PlanProblem = z.object({
  severity: z.enum(['error', 'warning']),
  code: z.string(),
  /** File of the package and, behind `#`, a JSON pointer or a flow index. */
  path: z.string(),
  message: z.string(),
  hint: z.string(),
})
export type PlanProblem = z.infer<typeof PlanProblem>

export const PlanInput = z.object({
  natural_name: z.string(),
  type: z.string(),
  required: z.boolean(),
  description: z.string(),
  has_default: z.boolean(),
})
export type PlanInput = z.infer<typeof PlanInput>

export const PlanVersion = z.object({
  version: z.string(),
  digest: Digest,
  deployed_at: z.string(),
  size_bytes: z.number().int(),
  active: z.boolean(),
})
export type PlanVersion = z.infer<typeof PlanVersion>

export const PlanSummary = z.object({
  id: PlanId,
  name: z.string(),
  description: z.string(),
  version: z.string(),
  digest: Digest,
  deployed_at: z.string(),
  dialect: z.enum(['2026-01', '2026-01-strict', '2026-03']),
  step_count: z.number().int(),
  /** By exact concept name. */
  inputs: z.record(z.string(), PlanInput),
  /** By exact concept name. */
  outputs: z.record(z.string(), z.object({ natural_name: z.string(), description: z.string() })),
})
export type PlanSummary = z.infer<typeof PlanSummary>

export const PlanDetails = PlanSummary.extend({
  default_agent: z.string().nullable(),
  max_cycles: z.number().int().nullable(),
  dialect_source: z.enum(['manifest', 'detected', 'default']),
  versions: z.array(PlanVersion),
  files: z.array(z.object({ path: z.string(), size_bytes: z.number().int() })),
  problems: z.array(PlanProblem),
})
export type PlanDetails = z.infer<typeof PlanDetails>

export const DeployReply = z.object({
  status: z.enum(['deployed', 'unchanged', 'valid']),
  plan_id: PlanId,
  plan_name: z.string(),
  version: z.string(),
  digest: Digest,
  /** Warnings only: a plan with errors is refused with `plan.invalid` and its problems in `details.problems`. */
  problems: z.array(PlanProblem),
})
export type DeployReply = z.infer<typeof DeployReply>

export const GraphNode = z.object({
  id: z.string(),
  label: z.string(),
  category: z.enum(['semantic-function', 'semantic-value', 'proposition', 'syntactic-function']),
  node_type: z.enum(['value', 'function']),
  flow_index: z.string(),
  level: z.number().int(),
  position: z.object({ x: z.number(), y: z.number() }),
  data: z.record(z.string(), z.unknown()),
})
export const GraphEdge = z.object({
  id: z.string(),
  source: z.string(),
  target: z.string(),
  edge_type: z.enum(['function', 'value', 'context', 'alias']),
  label: z.string(),
  flow_index: z.string(),
})
export const PlanGraph = z.object({
  plan_id: PlanId,
  plan_name: z.string(),
  nodes: z.array(GraphNode),
  edges: z.array(GraphEdge),
})
export type PlanGraph = z.infer<typeof PlanGraph>

const planParams = z.object({ id: PlanId })
const flag = z.stringbool().default(false)

export const deployPlan = route({
  method: 'POST',
  path: '/api/plans/deploy',
  aliases: ['/api/plans/deploy-file'],
  scope: 'write:plans',
  summary: 'Deploy a plan package: multipart with the field `plan`, or the zip itself as the body.',
  tag: 'plans',
  query: z.object({ dryRun: flag, replace: flag }),
  bodyMedia: 'multipart',
  reply: DeployReply,
  status: 201,
  errors: [
    'archive.invalid',
    'archive.forbidden',
    'archive.too_large',
    'plan.invalid',
    'plan.conflict',
    'plan.requirements',
    'body.unsupported',
  ],
})

export const listPlans = route({
  method: 'GET',
  path: '/api/plans',
  scope: 'read:plans',
  summary: 'The deployed plans by name. A further page is named in the `Link` header.',
  tag: 'plans',
  query: z.object({
    limit: z.coerce.number().int().min(1).max(500).default(100),
    after: z.string().optional(),
  }),
  reply: z.array(PlanSummary),
  errors: ['input.invalid'],
})

export const getPlan = route({
  method: 'GET',
  path: '/api/plans/:id',
  scope: 'read:plans',
  summary: 'One plan with its versions, files and warnings.',
  tag: 'plans',
  params: planParams,
  reply: PlanDetails,
  errors: ['plan.unknown'],
})

export const getPlanGraph = route({
  method: 'GET',
  path: '/api/plans/:id/graph',
  scope: 'read:plans',
  summary: "The plan's concepts and steps as nodes and edges.",
  tag: 'plans',
  params: planParams,
  query: z.object({ version: z.string().optional() }),
  reply: PlanGraph,
  errors: ['plan.unknown'],
})

export const getPlanFile = route({
  method: 'GET',
  path: '/api/plans/:id/files/*',
  scope: 'read:plans',
  summary: 'One file of the package: text, or base64 where it is not UTF-8.',
  tag: 'plans',
  params: z.object({ id: PlanId, '*': z.string().min(1) }),
  query: z.object({ version: z.string().optional() }),
  reply: z.object({
    path: z.string(),
    content: z.string(),
    size: z.number().int(),
    encoding: z.enum(['utf-8', 'base64']),
  }),
  errors: ['plan.unknown', 'plan.file_unknown'],
})

export const rollbackPlan = route({
  method: 'POST',
  path: '/api/plans/:id/rollback',
  scope: 'write:plans',
  summary: 'Make an earlier version the active one. New runs use it; runs under way keep theirs.',
  tag: 'plans',
  params: planParams,
  body: z.object({ version: z.string() }),
  reply: PlanDetails,
  errors: ['plan.unknown', 'input.invalid'],
})

export const deletePlan = route({
  method: 'DELETE',
  path: '/api/plans/:id',
  scope: 'write:plans',
  summary: 'Undeploy a plan. Refused while runs are active unless `force=true`, which stops them.',
  tag: 'plans',
  params: planParams,
  query: z.object({ force: flag }),
  reply: z.object({ status: z.literal('deleted'), plan_id: PlanId, stopped_runs: z.array(z.string()) }),
  errors: ['plan.unknown', 'plan.busy'],
})
