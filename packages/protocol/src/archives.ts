import { z } from 'zod'
import { PlanId } from './plans.ts'
import { route } from './route.ts'
import { Run, RunId } from './runs.ts'

export const exportRun = route({
  method: 'GET',
  path: '/api/runs/:id/export',
  scope: 'read:jobs',
  summary: 'A finished or paused run as one archive: package, journal, values, trace, events and files.',
  tag: 'runs',
  params: z.object({ id: RunId }),
  reply: z.unknown(),
  replyMedia: 'binary',
  errors: ['run.unknown', 'run.state'],
})

export const ImportReply = z.object({
  run: Run,
  /** Records that were made again from the journal and compared with those of the archive. */
  replayed_steps: z.number().int(),
})
export type ImportReply = z.infer<typeof ImportReply>

export const importRun = route({
  method: 'POST',
  path: '/api/runs/import',
  scope: 'write:jobs',
  summary: 'Take in an exported run. It is replayed first and refused when its journal does not lead to its records.',
  tag: 'runs',
  /** Another id than the run had, such as where it was exported from. */
  query: z.object({ run_id: RunId.optional() }),
  bodyMedia: 'multipart',
  reply: ImportReply,
  status: 201,
  errors: [
    'archive.invalid',
    'archive.forbidden',
    'archive.too_large',
    'body.too_large',
    'body.unsupported',
    'run.conflict',
  ],
})

export const deleteRun = route({
  method: 'DELETE',
  path: '/api/runs/:id',
  scope: 'write:jobs',
  summary: 'Delete a run that is over, with its journal, values, events and files.',
  tag: 'runs',
  params: z.object({ id: RunId }),
  reply: z.object({ status: z.literal('deleted'), run_id: RunId }),
  errors: ['run.unknown', 'run.state'],
})

export const PruneReply = z.object({
  dry_run: z.boolean(),
  runs: z.array(z.object({ run_id: RunId, plan_id: PlanId, completed_at: z.string() })),
  /** Whether more would go; ask again. */
  more: z.boolean(),
})
export type PruneReply = z.infer<typeof PruneReply>

export const pruneRuns = route({
  method: 'POST',
  path: '/api/runs/prune',
  scope: 'admin',
  summary: 'Delete runs that are over and older than the policy says: the request, else the plan, else the server.',
  tag: 'runs',
  body: z
    .object({
      plan_id: PlanId.optional(),
      /** Runs that ended longer ago than this. */
      older_than_days: z.number().min(0).optional(),
      /** How many of each plan's newest runs stay in any case. */
      keep: z.number().int().min(0).optional(),
      dry_run: z.boolean().default(false),
      limit: z.number().int().min(1).max(10_000).default(1000),
    })
    .optional(),
  reply: PruneReply,
  errors: ['input.invalid'],
})
