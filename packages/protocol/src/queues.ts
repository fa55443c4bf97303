import { z } from 'zod'
import { SchemaId, ShortText } from './bus/envelope.ts'
import { misfirePolicies } from './bus/jobs.ts'
import { JobTerms } from './jobs.ts'
import { route } from './route.ts'

export const PutSchedule = z.object({
  /** Five fields, or six with seconds first; also `@daily` and the like. */
  cron: z.string().min(1).max(200),
  /** Such as `Europe/Berlin`; UTC unless given. */
  timeZone: z.string().min(1).max(64).optional(),
  /** What becomes of times that went by while no server ran: one job for all of them, or none. */
  misfire: z.enum(misfirePolicies).optional(),
  job: JobTerms,
})
export type PutSchedule = z.infer<typeof PutSchedule>

export const ScheduledJob = z.object({
  name: z.string(),
  type: z.string(),
  cron: z.string(),
  timeZone: z.string(),
  misfire: z.enum(misfirePolicies),
  nextAt: z.string(),
  lastJobId: z.string().nullable(),
})
export type ScheduledJob = z.infer<typeof ScheduledJob>

const scheduleParams = z.object({ name: ShortText })

export const listSchedules = route({
  method: 'GET',
  path: '/v1/schedules',
  scope: 'read:jobs',
  summary: 'All schedules by name, with the time at which each submits its next job.',
  tag: 'jobs',
  reply: z.array(ScheduledJob),
  errors: [],
})

export const putSchedule = route({
  method: 'PUT',
  path: '/v1/schedules/:name',
  scope: 'write:jobs',
  summary: 'Submit a job again and again at these times. A schedule of that name is replaced.',
  tag: 'jobs',
  params: scheduleParams,
  body: PutSchedule,
  reply: ScheduledJob,
  errors: ['input.invalid', 'payload.invalid', 'queue.full'],
})

export const deleteSchedule = route({
  method: 'DELETE',
  path: '/v1/schedules/:name',
  scope: 'write:jobs',
  summary: 'End a schedule. Jobs that it has submitted stay.',
  tag: 'jobs',
  params: scheduleParams,
  reply: z.object({ name: z.string() }),
  errors: ['schedule.unknown'],
})

export const PayloadSchema = z.object({
  id: z.string(),
  /** JSON Schema of the draft 2020-12. */
  schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]),
})
export type PayloadSchema = z.infer<typeof PayloadSchema>

const schemaParams = z.object({ id: SchemaId })

export const listSchemas = route({
  method: 'GET',
  path: '/v1/schemas',
  scope: 'read:jobs',
  summary: 'The ids of all registered schemas.',
  tag: 'jobs',
  reply: z.array(z.string()),
  errors: [],
})

export const getSchema = route({
  method: 'GET',
  path: '/v1/schemas/:id',
  scope: 'read:jobs',
  summary: 'One registered schema.',
  tag: 'jobs',
  params: schemaParams,
  reply: PayloadSchema,
  errors: ['schema.unknown'],
})

export const registerSchema = route({
  method: 'PUT',
  path: '/v1/schemas/:id',
  scope: 'write:jobs',
  summary:
    'Say what payloads of this schema are, as JSON Schema; from then on others are refused. Once said it does not change.',
  tag: 'jobs',
  params: schemaParams,
  body: PayloadSchema.omit({ id: true }),
  reply: PayloadSchema,
  errors: ['schema.invalid', 'schema.conflict'],
})

export const QueueDepth = z.object({
  type: z.string(),
  /** Jobs that are not over. */
  open: z.number().int(),
  /** Over and still kept, dead letters apart. */
  finished: z.number().int(),
  dead: z.number().int(),
})
export type QueueDepth = z.infer<typeof QueueDepth>

export const listQueues = route({
  method: 'GET',
  path: '/v1/queues',
  scope: 'read:jobs',
  summary: 'How many jobs there are of each type that has or had some lately. Runs of plans are in no queue.',
  tag: 'jobs',
  reply: z.array(QueueDepth),
  errors: [],
})
